/*
 * A transient scope of systemd's for each supervisor, in armvm.slice, with
 * limits that follow from the definition: a VM is a unit of its own beside
 * armvmd.service, survives it, and cannot take more than it was given. The one
 * place of the daemon that speaks D-Bus.
 *
 * Where systemd does not run, nothing happens and nothing is missing.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_SCOPE_H
#define DAEMON_SCOPE_H

#include <uv.h>

#include "daemon/vm.h"

struct scopes;

/* *ret is NULL where systemd does not run. */
int scopes_new(uv_loop_t *loop, struct scopes **ret,
	       struct error *e) must_check;
/* What was asked for still happens; the memory is released by the loop. NULL
 * is fine. */
struct scopes *scopes_free(struct scopes *s);

/* Ask for the process of a VM that was just started to be moved; a failure is
 * logged, as the VM runs without a scope as well. `s` may be NULL. */
void scopes_add(struct scopes *s, const struct vm *vm, pid_t pid);

/* What a VM may take at most: its memory and what the supervisor needs for
 * itself; and its CPUs and one more for the devices, in microseconds of CPU
 * time a second. */
uint64_t scope_memory_max(const struct vm_config *c);
uint64_t scope_cpu_quota(const struct vm_config *c);

#endif
