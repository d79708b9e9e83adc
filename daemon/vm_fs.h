/*
 * Folders of the host for VMs: for each of a running VM a server, virtiofsd,
 * of which the supervisor gets a connection. A server ends by itself with that
 * connection, whoever closes it, so it needs no record to be cleaned up after
 * a crash; those this daemon has started are also killed when their VM ends.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_VM_FS_H
#define DAEMON_VM_FS_H

#include "daemon/vm.h"

/* What can be judged before anything is started: the folder, the program. */
int vm_fs_check(const struct vm_config *c, struct error *e) must_check;

/* Starts the server of a folder, or finds the one the definition names; *ret
 * is a connection to it. */
int vm_fs_open(struct vm *vm, const struct filesystem_config *fs, int *ret,
	       struct error *e) must_check;

/* The supervisor says that a server ended: an event, and another one, unless
 * that happened too often. */
void vm_fs_lost(struct vm *vm, json_object *message);

/* The servers of this VM that are our children: at most `max`, how many. */
size_t vm_fs_pids(const struct vm *vm, pid_t *ret, size_t max);

/* The VM has ended. */
void vm_fs_ended(struct vm *vm);

/* At the daemon's end: servers go on. */
void vm_fs_forget(struct manager *m);

#endif
