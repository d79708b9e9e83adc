/*
 * Calls that are answered when a VM's process has ended: vm.stop, and
 * vm.shutdown with a deadline; or when it has started over: vm.reboot with one.
 */
#ifndef DAEMON_VM_WAIT_H
#define DAEMON_VM_WAIT_H

#include "daemon/vm.h"

struct api_call;

/* Answer `call` with the VM when it is at rest. */
void vm_wait_end(struct vm *vm, struct api_call *call);

/* The same with `result` (consumed) instead of the VM. */
void vm_wait_end_with(struct vm *vm, struct api_call *call,
		      json_object *result);

/* The same, or fail with a timeout after timeout_ms; when nobody waits any
 * longer the VM goes back to "running", since it is. With `then_stop` it is
 * stopped instead, and the call answered with that. */
void vm_wait_shutdown(struct vm *vm, struct api_call *call, uint64_t timeout_ms,
		      bool then_stop);
/* What follows a shutdown that was not heeded for so long: the VM's end. */
void vm_shutdown_overdue(struct vm *vm, uint64_t timeout_ms);

/* Answer `call` with the VM when it has started over, or is at rest, or fail
 * with a timeout; with `then_reset` it is reset instead. */
void vm_wait_reboot(struct vm *vm, struct api_call *call, uint64_t timeout_ms,
		    bool then_reset);
/* It has, and what its on_reboot says was begun. */
void vm_wait_rebooted(struct vm *vm);

/* Does this call wait for the end? Then it can stop waiting: it fails as
 * cancelled, and the VM goes on. */
bool vm_waits(const struct vm *vm, const struct api_call *call);
void vm_wait_give_up(struct vm *vm, const struct api_call *call);

/* The process has ended: answers everyone. */
void vm_wait_ended(struct vm *vm);

/* The daemon is stopping: fails everyone. */
void vm_wait_cancel(struct vm *vm);

#endif
