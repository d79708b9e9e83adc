/*
 * What the daemon does with a VM that runs or shall run. Requests that take
 * time report once through `done`, on the loop thread, possibly before they
 * return; `e` is NULL on success.
 */
#ifndef DAEMON_VM_RUN_H
#define DAEMON_VM_RUN_H

#include "daemon/vm.h"

typedef void (*vm_done_fn)(struct vm *vm, void *cookie, const struct error *e);

/* Open, spawn, configure, start; on failure everything is undone first. */
void vm_start(struct vm *vm, vm_done_fn done, void *cookie);

/*
 * The same with the machine a snapshot holds; it goes on, or stays paused.
 * `config` is what it is made of: the VM's definition, with other disks and
 * network interfaces where those were added or removed live only.
 */
struct vm_start_from {
	int snapshot_fd; /* borrowed */
	bool paused;
	struct vm_config *config; /* taken */
};
void vm_start_from(struct vm *vm, const struct vm_start_from *from,
		   vm_done_fn done, void *cookie);

/*
 * The supervisor's process has ended (`how`), or has not been there when the
 * daemon came. Where machines outlive their supervisor (Xen) another one is
 * started, which takes the machine over; or ends it, when the VM was about to
 * start or stop, or nothing of the kind can be said. True: that is under way,
 * and vm->supervisor is the new one.
 */
bool vm_adopt(struct vm *vm, const char *how);

/* The guest runs, or the process has ended: a start under way is told so. */
void vm_start_running(struct vm *vm);
void vm_start_ended(struct vm *vm, enum error_code code, const char *reason);

/* Press the power button. */
void vm_shutdown(struct vm *vm, vm_done_fn done, void *cookie);
/* The guest is asked to start over. */
void vm_reboot(struct vm *vm, vm_done_fn done, void *cookie);

/* End it at once: asks the supervisor, kills it when it does not answer. Done
 * when the process is gone is told by the state. */
void vm_stop(struct vm *vm, vm_done_fn done, void *cookie);
/* The same, with a reason that is the VM's when it has stopped. */
void vm_stop_because(struct vm *vm, const char *why, vm_done_fn done,
		     void *cookie);

/* "reset", "pause" or "resume". */
void vm_simple(struct vm *vm, const char *type, vm_done_fn done, void *cookie);

#endif
