/*
 * One VM as the daemon knows it: its definition, its state, and, while it is
 * active, the supervisor behind it. A VM exists here from definition (or from
 * the daemon's start) to deletion.
 *
 * Invariants:
 *  1. vm_state_active(vm->state) exactly when vm->supervisor is not NULL.
 *  2. A state change goes through vm_set_state(), which stores and announces
 *     the event; nothing else writes vm->state.
 *  3. What a supervisor says is judged: it may have been taken over.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_VM_H
#define DAEMON_VM_H

#include "daemon/manager.h"
#include "lib/model/vm_config.h"
#include "lib/model/vm_state.h"
#include "store/store.h"

struct supervisor;

struct vm {
	struct manager *manager;
	struct vm *next;
	int64_t id; /* row in the store */
	int64_t revision;
	struct vm_config config;
	enum vm_state state;
	char reason[ERROR_MESSAGE_MAX]; /* why it is stopped or crashed; "" if
					   nothing */
	int64_t started_ms;		/* Unix time; 0 when not active */
	struct supervisor *supervisor;
	/* The deadline of a shutdown that waits for the guest. */
	uv_timer_t shutdown_timer;
	uint64_t shutdown_timeout_ms;
	bool stop_requested; /* the next end is not a crash */
	/* What the supervisor said of its end, until the process is gone. */
	bool ended_well;
	char end_reason[ERROR_MESSAGE_MAX];
	enum error_code end_code;
	/* Calls that wait for the process to be gone (vm.stop). */
	struct vm_waiter *waiters;
	struct start_op *starting; /* until it runs or its process is gone */
};

/* From a row of the store; joins the manager's list. -EINVAL when the stored
 * definition cannot be read. */
int vm_load(struct manager *m, const struct store_vm *row, struct vm **ret,
	    struct error *e) must_check;

/* Leaves the list and frees; the VM must not be active. */
void vm_unload(struct vm *vm);

/* By name or uuid; NULL and -ENOENT with a "did you mean". */
struct vm *vm_find(struct manager *m, const char *name, struct error *e);

void vm_set_state(struct vm *vm, enum vm_state state, const char *reason);

/* Announce something else that happened: kind and a sentence. */
void vm_event(struct vm *vm, const char *kind, const char *detail);

/* As api/api.h documents it; `whole` adds the definition. */
json_object *vm_to_json(const struct vm *vm, bool whole);

#endif
