/*
 * The states of a VM and which request is allowed in which: one table.
 *
 * Thread: pure functions over constant tables.
 */
#ifndef LIB_MODEL_VM_STATE_H
#define LIB_MODEL_VM_STATE_H

#include <stdbool.h>

#include "lib/base/error.h"

/* X(STATE, name, a process (supervisor) belongs to it) */
#define VM_STATE_TABLE(X)                       \
	X(STOPPED, "stopped", false)            \
	X(STARTING, "starting", true)           \
	X(RUNNING, "running", true)             \
	X(PAUSED, "paused", true)               \
	X(SHUTTING_DOWN, "shutting-down", true) \
	X(STOPPING, "stopping", true)           \
	X(CRASHED, "crashed", false)

enum vm_state {
#define X(state, name, active) VM_##state,
	VM_STATE_TABLE(X)
#undef X
		VM_STATE_COUNT
};

enum vm_request {
	VM_REQUEST_START,
	VM_REQUEST_SHUTDOWN, /* ask the guest (power button) */
	VM_REQUEST_STOP,     /* at once */
	VM_REQUEST_RESET,
	VM_REQUEST_REBOOT, /* ask the guest */
	VM_REQUEST_PAUSE,
	VM_REQUEST_RESUME,
	VM_REQUEST_CONSOLE,
	VM_REQUEST_GUEST, /* ask its agent */
	VM_REQUEST_BALLOON,
	VM_REQUEST_HOTPLUG, /* attach and detach */
	VM_REQUEST_SNAPSHOT,
	VM_REQUEST_RESTORE, /* from a snapshot */
	VM_REQUEST_STATS,
	VM_REQUEST_DELETE,
	VM_REQUEST_RENAME,
	VM_REQUEST_COUNT
};

const char *vm_state_name(enum vm_state state);
/* -EINVAL when no state has that name. */
int vm_state_by_name(const char *name, enum vm_state *ret) must_check;
bool vm_state_active(enum vm_state state);

/* "start", "shutdown", ... */
const char *vm_request_name(enum vm_request request);

/*
 * 0 when `request` may be made of a VM in `state`; else -EPROTO (STATE) with a
 * message that names the VM, its state and what would be allowed.
 */
int vm_request_check(const char *vm, enum vm_state state,
		     enum vm_request request, struct error *e) must_check;

#endif
