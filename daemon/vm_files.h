/*
 * The directory a VM has below the state directory.
 */
#ifndef DAEMON_VM_FILES_H
#define DAEMON_VM_FILES_H

#include "daemon/vm.h"

/* Once the deletion just written is durable, and only then. */
void vm_files_remove(struct vm *vm);

/* One of its files, made when it is not there; `mode` as of open(2). */
int vm_files_open(struct vm *vm, const char *name, mode_t mode, int *ret_fd,
		  struct error *e) must_check;

/* Such a directory and all in it; -errno. */
int vm_files_unlink(const char *dir) must_check;

#endif
