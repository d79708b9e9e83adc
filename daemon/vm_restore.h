/*
 * Restoring a VM from a snapshot: define it as it was, with the variables it
 * had, and start it with the machine of the file. When that fails all is as
 * before: a VM that was made for it is gone, one that was there has its
 * definition and variables again.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_VM_RESTORE_H
#define DAEMON_VM_RESTORE_H

#include "daemon/snapshot_lead.h"
#include "daemon/vm.h"

struct api_call;

struct restore_request {
	const char *path, *new_name; /* new_name: NULL: as it was */
	bool paused, changed_disks;
};

void vm_restore(struct manager *m, const struct restore_request *q,
		struct api_call *call);

/* Opens and reads the daemon's part; errors name the path. */
int vm_restore_open(const char *path, int *ret_fd, struct snapshot_lead *ret,
		    struct error *e) must_check;

/* For a restore that a daemon's end cut off: which VM it was about (NULL: none
 * that is here); and, if it was made for it, since `began_ms`, its removal. */
struct vm *vm_restore_find(struct manager *m, const char *path);
void vm_restore_undo(struct vm *vm, int64_t began_ms);

#endif
