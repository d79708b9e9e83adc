/*
 * One VM as the daemon knows it: its definition, its state, and, while it is
 * active, the supervisor behind it. A VM at rest is a row of the store; it
 * comes into memory when it is looked up and leaves at the end of the loop's
 * turn, unless it is active or something waits for it. So a pointer is good
 * within a turn; what outlives one keeps the row's id, or vm->pins up.
 *
 * Invariants:
 *  1. vm_state_active(vm->state) exactly when vm->supervisor is not NULL.
 *  2. A state change goes through vm_set_state(), which stores it with its
 *     event; besides, only vm_load() and vm_restore_state() write vm->state.
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
	struct vm *next, *previous; /* in memory */
	struct vm *next_in_bucket;
	struct vm *next_resting; /* candidates for leaving memory */
	bool resting;
	unsigned pins; /* who need it in memory across turns */
	int64_t id;    /* row in the store */
	int64_t revision;
	struct vm_config config;
	enum vm_state state;
	char reason[ERROR_MESSAGE_MAX]; /* why it is stopped or crashed; "" if
					   nothing */
	int64_t started_ms;		/* Unix time; 0 when not active */
	int hypervisor; /* it runs on; VM_HYPERVISOR_AUTO while not known */
	struct supervisor *supervisor;
	/* The next deadline of a shutdown that waits for the guest. */
	uv_timer_t shutdown_timer;
	bool button_heard, agent_heard; /* by whom in the guest */
	bool scoped;	      /* its process is in a scope of its own */
	bool adopted;	      /* nobody is told how its process ended */
	bool stop_requested;  /* the next end is not a crash */
	bool panicked;	      /* the next end is one, all the same */
	bool reset_requested; /* the next reset is not the guest's */
	/* What the supervisor said of its end, until the process is gone. */
	bool ended_well;
	bool end_told; /* it said anything of it: all is given back */
	/* Another supervisor takes over, or ends, what the last one left
	 * behind; vm_adopt.c. */
	bool reaping;
	unsigned adoptions; /* since then, on the loop's clock */
	uint64_t adoptions_since;
	char end_reason[ERROR_MESSAGE_MAX];
	enum error_code end_code;
	/* Calls that wait for the process to be gone (vm.stop). */
	struct vm_waiter *waiters;
	struct device_op *device_ops; /* attaches and detaches under way */
	struct save_op *save;	      /* vm_save.c; NULL: none is under way */
	struct start_op *starting;    /* until it runs or its process is gone */
	/* Whether the store knows the state, and what it was before. */
	bool saving, unsaved;
	enum vm_state unsaved_previous;
	unsigned fs_restarts; /* of servers, since then; vm_fs.c */
	uint64_t fs_restarts_since;
	/* Events of consoles in this second of the loop's clock. */
	uint64_t console_second;
	unsigned console_events;
	struct vm_restarts *restarts; /* vm_policy.c; NULL: never crashed */
};

/* From a row of the store, into memory. A state that was active is "crashed"
 * until vm_restore_state(). -EINVAL when the stored definition cannot be read.
 */
int vm_load(struct manager *m, const struct store_vm *row, struct vm **ret,
	    struct error *e) must_check;

/* What store_vm_add() has just stored under `id`, without reading it again;
 * `config` is consumed. */
int vm_defined(struct manager *m, int64_t id, struct vm_config *config,
	       struct vm **ret, struct error *e) must_check;

/* Another definition under the same row, from the store; `config` is consumed.
 */
void vm_redefine(struct vm *vm, struct vm_config *config, int64_t revision);

/* Leaves memory; the VM must not be active. */
void vm_unload(struct vm *vm);

/* The VMs that may leave memory do. */
void vm_sweep(struct manager *m);
/* Look at this one at the end of the turn. */
void vm_may_rest(struct vm *vm);

/* By name or uuid; NULL and -ENOENT with a "did you mean". */
struct vm *vm_find(struct manager *m, const char *name, struct error *e);
/* By row: only in memory, or from the store when it is not. */
struct vm *vm_in_memory(struct manager *m, int64_t id);
struct vm *vm_by_id(struct manager *m, int64_t id, struct error *e);

/* Take over the state an earlier daemon stored, without an event. */
void vm_restore_state(struct vm *vm, const struct store_vm *row);

void vm_set_state(struct vm *vm, enum vm_state state, const char *reason);

/* The outcome of the flush that held states; those lost are stored again by
 * vm_save_again(), which returns how many still could not. */
void vm_saves_done(struct manager *m);
void vm_saves_lost(struct manager *m);
size_t vm_save_again(struct manager *m);

/* Announce something else that happened: kind and a sentence. */
void vm_event(struct vm *vm, const char *kind, const char *detail);

/* As api/api.h documents it; `whole` adds the definition. */
json_object *vm_to_json(const struct vm *vm, bool whole);
/* The same, of a row of a list. */
json_object *vm_row_to_json(struct manager *m, const struct store_vm_row *row,
			    unsigned fields);
/* "name,state" as a set of fields. -EINVAL names the one there is not. */
#define VM_FIELDS_ALL (~0u)
int vm_fields_parse(const char *text, unsigned *ret,
		    struct error *e) must_check;

#endif
