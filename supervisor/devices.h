/*
 * The disks and network interfaces of a running VM: those it was configured
 * with and those that came since, and the deadlines of operations the guest
 * has to follow. What the guest does is told to the daemon as "device"
 * messages; what it does not do in time is given up and told as "failed".
 *
 * Invariant: an entry is there exactly as long as the backend has the device,
 * so that a daemon that was restarted learns from devices_list() what runs.
 *
 * Thread: the loop thread.
 */
#ifndef SUPERVISOR_DEVICES_H
#define SUPERVISOR_DEVICES_H

#include "lib/base/json.h"
#include "lib/vmm/vmm.h"

struct supervisor;
struct device; /* in devices.c */

/* Those of s->config, once the backend is made. */
int devices_init(struct supervisor *s, struct error *e) must_check;
/* The machine was there before: it has those of `live` (borrowed, [{kind,
 * config}]; NULL: none), too, and lacks what the guest has released since. What
 * it has besides was being attached for somebody who is gone, and goes. */
int devices_adopt(struct supervisor *s, json_object *live,
		  struct error *e) must_check;
/* Forget all; the structures go when the loop has run. */
void devices_done(struct supervisor *s);

struct device_request {
	const char *kind, *id; /* id: only of detach */
	json_object *config;   /* only of attach; borrowed */
	bool force;
	uint64_t timeout_ms; /* 1 to VM_DEVICE_TIMEOUT_MAX_MS */
	struct fd_list fds;  /* only of attach; consumed, also on failure */
};

int devices_attach(struct supervisor *s, const struct device_request *q,
		   uint32_t *ret_slot, struct error *e) must_check;
int devices_detach(struct supervisor *s, const struct device_request *q,
		   struct error *e) must_check;
/* Plug a network interface's cable in or out. -ENOENT. */
int devices_set_link(struct supervisor *s, const char *id, bool up,
		     struct error *e) must_check;
/* Whether the VM is to be paused when this NIC's host end is gone. */
bool devices_pause_on_error(const struct supervisor *s, const char *id);
/* [{kind, id, state, slot, address, driver, config}], owned by the caller. */
json_object *devices_list(struct supervisor *s);

/* The backend's device event. */
void devices_event(struct supervisor *s,
		   const struct vmm_device_status *status);
/* Likewise its device_failed. */
void devices_failed(struct supervisor *s,
		    const struct vmm_device_status *status, const char *why);

#endif
