/*
 * Saving a running VM to a file.
 *
 * The supervisor never has the file: it sends what the machine is through a
 * stream, and the daemon, in a thread, writes that behind its own part. So one
 * that was taken over cannot put a definition into a file which somebody then
 * restores with all privileges.
 *
 *   freeze → the devices are those of the definition → "save" → the stream
 *   begins, the machine stands: variables and disks are noted → copied, synced
 *   → both ends say so → the file gets its name → thaw, or stop
 *
 * Promise: when any of it fails the file is gone and the VM as it was.
 *
 * Thread: the loop thread, but for the copying.
 */
#ifndef DAEMON_VM_SAVE_H
#define DAEMON_VM_SAVE_H

#include "daemon/vm.h"

struct api_call;

struct save_request {
	const char *path;
	bool stop, freeze, compress, overwrite;
};

/* Answers `call`, which the state table has allowed. */
void vm_save(struct vm *vm, const struct save_request *q,
	     struct api_call *call);
/* Give it up: it ends as failed, the VM goes on. False: it is past that. */
bool vm_save_cancel(struct vm *vm);
/* The supervisor's "saving" message. */
void vm_save_message(struct vm *vm, json_object *message);
/* The daemon is stopping. */
void vm_save_abandon(struct vm *vm);

#endif
