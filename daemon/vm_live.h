/*
 * The disks and network interfaces that a running VM has besides its
 * definition: attached live only. The daemon notes what it gave itself, with
 * the run (store_run_live()), since a snapshot says what its VM is made of, and
 * whoever restores it opens what is said there: a supervisor's word is no base
 * for that.
 *
 *   [{"kind": "disk", "config": {...}}, ...]
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_VM_LIVE_H
#define DAEMON_VM_LIVE_H

#include "daemon/vm.h"
#include "lib/model/vm_device.h"

/* It has this one now; another of its kind and id is forgotten. `config`
 * (borrowed) as in a definition. */
int vm_live_add(struct vm *vm, enum vm_device_kind kind, json_object *config,
		struct error *e) must_check;
/* It has it no more, if it had. */
int vm_live_remove(struct vm *vm, enum vm_device_kind kind, const char *id,
		   struct error *e) must_check;

/*
 * What runs: the definition without the devices that `present` lacks, and with
 * those that were noted, each in the slot it has. `present` is what the
 * supervisor has, as [{kind, id, slot}];
 * what is known of neither is refused (-EOPNOTSUPP). *ret_differs: it is not
 * the definition alone.
 */
int vm_live_config(const struct vm *vm, json_object *present,
		   struct vm_config *ret, bool *ret_differs,
		   struct error *e) must_check;
/* What was noted, as above; owned by the caller. */
int vm_live_noted(struct vm *vm, json_object **ret, struct error *e) must_check;
/* Whether a network interface that was noted has this tap. */
bool vm_live_has_tap(const struct vm *vm, const char *tap);
/* A VM was started as `config`: note what its definition has not. */
int vm_live_record(struct vm *vm, const struct vm_config *config,
		   struct error *e) must_check;

#endif
