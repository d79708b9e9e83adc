/*
 * Disks and network interfaces in a VM's definition.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_VM_DEVICE_CONFIG_H
#define DAEMON_VM_DEVICE_CONFIG_H

#include "daemon/vm.h"
#include "lib/model/vm_device.h"

/* The definition with one more device, which is the last of its kind, complete
 * and judged. `device` (JSON) is borrowed. */
int device_config_with(const struct vm *vm, enum vm_device_kind kind,
		       json_object *device, struct vm_config *ret,
		       struct error *e) must_check;
/* The definition without it. -ENOENT names what there is. */
int device_config_without(const struct vm *vm, enum vm_device_kind kind,
			  const char *id, struct vm_config *ret,
			  struct error *e) must_check;
/* The definition with a NIC's link as given (enum vm_link); likewise. */
int device_config_with_link(const struct vm *vm, const char *id, int link,
			    struct vm_config *ret, struct error *e) must_check;
/* Where a device is in a list of such: -ENOENT names what there is. */
int device_config_find(const struct vm *vm, enum vm_device_kind kind,
		       json_object *list, const char *id, size_t *ret,
		       struct error *e) must_check;
/* Whether the definition has it. */
bool device_config_has(const struct vm *vm, enum vm_device_kind kind,
		       const char *id);
/* The last device of its kind as JSON, owned by the caller. */
json_object *device_config_last(const struct vm_config *c,
				enum vm_device_kind kind);
/* All of its kind: an array, owned by the caller. */
json_object *device_config_list(const struct vm *vm, enum vm_device_kind kind);

/* Make `config` (consumed on success) the stored definition. */
int device_config_store(struct vm *vm, struct vm_config *config,
			struct error *e) must_check;

#endif
