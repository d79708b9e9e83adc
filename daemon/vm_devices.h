/*
 * Disks and network interfaces that come and go: of the definition, and, while
 * the VM runs, of the guest, which has to follow.
 *
 *   add:    requested → offered → acknowledged → active
 *   remove: releasing → released
 *
 * Each step is an event of kind "device". The deadline is kept by the
 * supervisor, so that it holds while no daemon is there; an operation ends
 * as "failed" when the guest did not follow, with everything as it was. The
 * definition is changed last, when the guest has followed.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_VM_DEVICES_H
#define DAEMON_VM_DEVICES_H

#include "daemon/vm.h"
#include "lib/model/vm_device.h"

struct api_call;

#define DEVICE_ADD_TIMEOUT_MS	 10000
#define DEVICE_REMOVE_TIMEOUT_MS 20000 /* a guest blinks for 5 s first */

struct device_add {
	enum vm_device_kind kind;
	json_object *config; /* as in a definition; borrowed */
	bool live;	     /* leave the definition alone */
	uint64_t timeout_ms; /* 0: the default */
};

struct device_remove {
	enum vm_device_kind kind;
	const char *id; /* borrowed */
	bool live, force;
	uint64_t timeout_ms;
};

struct disk_resize {
	const char *id; /* borrowed */
	uint64_t size;	/* bytes; 0: none was given */
	bool rescan, force;
};

/* daemon/vm_resize.c. Its disk's image gets another size, or has one; the guest
 * of an active VM is told. Answers `call`, now or later. */
void vm_disk_resize(struct vm *vm, const struct disk_resize *p,
		    struct api_call *call);

struct nic_set {
	const char *id; /* borrowed */
	int link;	/* enum vm_link */
	bool live;	/* leave the definition alone */
};

/* These answer `call`, now or when the guest has followed. */
void vm_device_add(struct vm *vm, const struct device_add *p,
		   struct api_call *call);
void vm_device_remove(struct vm *vm, const struct device_remove *p,
		      struct api_call *call);
/* vm_nic.c: at rest in the definition, else also in the guest. */
void vm_nic_set(struct vm *vm, const struct nic_set *p, struct api_call *call);
void vm_device_list(struct vm *vm, enum vm_device_kind kind,
		    struct api_call *call);
void vm_device_get(struct vm *vm, enum vm_device_kind kind, const char *id,
		   struct api_call *call);

/* The supervisor's "device" message. */
void vm_device_message(struct vm *vm, json_object *message);
/* Operations under way fail: the VM ended, or the daemon is stopping. */
void vm_devices_end(struct vm *vm, const struct error *why);

#endif
