/*
 * The directory a VM has below the state directory.
 */
#ifndef DAEMON_VM_FILES_H
#define DAEMON_VM_FILES_H

#include "daemon/vm.h"

/* Once the deletion just written is durable, and only then. */
void vm_files_remove(struct vm *vm);

#endif
