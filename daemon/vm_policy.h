/*
 * What the daemon does with a VM of its own accord: start it with the host,
 * restart it after a crash, obey its policy for panics and reboots, and end a
 * transient one's definition with its run.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_VM_POLICY_H
#define DAEMON_VM_POLICY_H

#include "daemon/vm.h"

/* At most this many restarts in that time; then the VM stays crashed. */
#define VM_RESTARTS_MAX	      5
#define VM_RESTARTS_WINDOW_MS (10 * 60 * 1000)

/* The VM is at rest; `crashed` when nobody wanted that. */
void vm_policy_ended(struct vm *vm, bool crashed);

/* The guest reset itself, or told that it panicked. */
void vm_policy_reset(struct vm *vm);
void vm_policy_panic(struct vm *vm);

/* The VM leaves memory. */
void vm_policy_forget(struct vm *vm);

/* Begin to start the VMs that want it, once per boot of the host. */
void vm_policy_autostart(struct manager *m);
/* The daemon ends; what was not started yet is by the next one. */
void vm_policy_stop(struct manager *m);

#endif
