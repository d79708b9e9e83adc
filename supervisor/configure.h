/*
 * The `configure` message: descriptors by role, a definition, and from both a
 * backend that is ready to start.
 *
 * Thread: the loop thread.
 */
#ifndef SUPERVISOR_CONFIGURE_H
#define SUPERVISOR_CONFIGURE_H

#include "lib/base/json.h"
#include "lib/model/vm_config.h"

struct supervisor;

#define HANDOVER_ROLE_MAX 128
/* kvm, firmware, kernel, initrd, nvram, spill, 2 of console-log, vsock,
 * snapshot; folders; disks; network interfaces, whose queues may each have a
 * vhost */
#define HANDOVER_MAX                              \
	(10 + VM_FILESYSTEMS_MAX + VM_DISKS_MAX + \
	 VM_NICS_MAX * 2 * VM_NIC_QUEUES_MAX)

/* Descriptors that arrived and wait for their use. Zeroed is empty. */
struct handover {
	struct {
		char role[HANDOVER_ROLE_MAX];
		int fd; /* -1 once taken */
	} items[HANDOVER_MAX];
	size_t n;
};

/* Takes *fd (leaving -1); -EINVAL for an unknown role or one given twice. */
int handover_add(struct handover *h, const char *role, int *fd,
		 struct error *e) must_check;
/* The descriptor of role `prefix``id`, owned by the caller; -1 for none. */
int handover_take(struct handover *h, const char *prefix, const char *id);
/* Closes what was not taken; empty again. */
void handover_done(struct handover *h);

struct configure_request {
	json_object *config; /* borrowed; may be NULL when `more` */
	json_object *roles;  /* borrowed */
	json_object *live; /* borrowed; with adopt: devices besides config's */
	uint64_t nvram_size, console_log_bytes;
	bool paused; /* is how it shall be started */
	bool adopt;  /* as in struct vmm_params */
	bool more;
	int *fds; /* owned by the caller; what is taken becomes -1 */
	size_t n_fds;
};

/*
 * On failure everything handed over so far is closed and the VM stays
 * unconfigured.
 */
int supervisor_configure(struct supervisor *s,
			 const struct configure_request *request,
			 struct error *e) must_check;

#endif
