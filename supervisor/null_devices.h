/*
 * The slots of the null backend: devices come and go at once, or not at all
 * while its guest was told to be deaf.
 *
 * Thread: the loop thread.
 */
#ifndef SUPERVISOR_NULL_DEVICES_H
#define SUPERVISOR_NULL_DEVICES_H

#include "lib/vmm/vmm.h"

struct null_devices;

/* No hypervisor, no devices: the backend wants none of the descriptors, but,
 * when null_devices_new() took them, those of what has a slot. */
void null_devices_close(const struct vmm_params *params, bool slots_taken);

/* `params` is borrowed during the call; of its descriptors those of what has a
 * slot are taken over, on success: they hold the locks of images and keep taps
 * there, as those of a real device do. */
int null_devices_new(const struct vmm_params *params, struct null_devices **ret,
		     struct error *e) must_check;
/* NULL is fine. Memory goes when the loop has run. */
struct null_devices *null_devices_free(struct null_devices *n);

/* Whether the guest follows from now on; what waits is then done. */
void null_devices_listen(struct null_devices *n, bool listens);

/* As the operations of struct vmm_ops. */
int null_devices_attach(struct null_devices *n, const struct vmm_device *device,
			uint32_t *ret_slot, struct error *e) must_check;
int null_devices_detach(struct null_devices *n, const char *id, bool force,
			struct error *e) must_check;
void null_devices_give_up(struct null_devices *n, const char *id,
			  struct error *why);
int null_devices_status(struct null_devices *n, const char *id,
			struct vmm_device_status *ret) must_check;

/* Those that are attached, which never move a byte. -ENOMEM. */
int null_devices_stats(const struct null_devices *n,
		       struct vm_stats *ret) must_check;

#endif
