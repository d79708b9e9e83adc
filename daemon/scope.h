/*
 * A transient scope of systemd's for each supervisor, in armvm.slice, with
 * limits that follow from the definition: a VM is a unit of its own beside
 * armvmd.service, survives it, and cannot take more than it was given. What
 * serves it (virtiofsd, passt) is in there, too.
 *
 * Where systemd does not run, nothing happens and nothing is missing.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_SCOPE_H
#define DAEMON_SCOPE_H

#include "daemon/dbus.h"
#include "daemon/vm.h"

struct scopes;

/* *ret is NULL where systemd does not run. Joins m->dbus. */
int scopes_new(struct manager *m, struct scopes **ret,
	       struct error *e) must_check;
/* What was asked for still happens. NULL is fine. */
struct scopes *scopes_free(struct scopes *s);

/* Ask for the process of a VM that runs to be moved, now or when the bus is
 * there; a failure is logged, as the VM runs without a scope as well. Then
 * it is registered with machined. `s` may be NULL. */
void scopes_add(struct scopes *s, struct vm *vm);

/* Other processes serve it as well by now (vm_processes.h): they are moved
 * into its scope, if it has one by now. A failure is logged. */
void scopes_join(struct vm *vm);

/* The supervisor's process has ended: so does its scope, with whoever is left
 * in there. `s` may be NULL. */
void scopes_end(struct scopes *s, const struct vm *vm);

/* The definition has changed: what can be changed of its scope is. `s` may be
 * NULL. */
void scopes_update(struct scopes *s, struct vm *vm);

/* What a VM may take at most: its memory and what the supervisor and those who
 * serve it need for themselves; and its CPUs and one more for the devices, in
 * microseconds of CPU time a second. */
uint64_t scope_memory_max(const struct vm_config *c);
uint64_t scope_cpu_quota(const struct vm_config *c);

#endif
