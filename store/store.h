/*
 * The daemon's memory: VM definitions, variable stores, what runs, and events,
 * in one SQLite database (WAL, synchronous=FULL). sqlite3 is included nowhere
 * else.
 *
 * Durability: when a function that writes returns 0, the change is on disk.
 * Each is one transaction unless called between store_begin() and
 * store_commit(), or gathered in a batch (store_batch()).
 *
 * Errors: -ENOENT, -EEXIST as documented; -ENOSPC full disk; -EBUSY locked by
 * another process; -EACCES read-only; -ENOMEM; -EIO otherwise, with SQLite's
 * own words. A vm_id without its VM is -ENOENT.
 * Thread: the daemon's loop thread. Single writer: a second daemon on the same
 * directory is refused (-EBUSY) by a lock file.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/uefi/varstore.h"

struct store;

/*
 * Opens or makes DIR/armvmd.sqlite (dir 0700) and migrates its schema. A
 * database that is damaged, newer than this program or another program's is
 * refused (-EBADMSG, with the way on) and left untouched.
 */
int store_open(const char *dir, struct store **ret, struct error *e) must_check;
struct store *store_close(struct store *s);

/*
 * Reading all of a large database takes longer than a restart may: one that
 * needs no migration is opened first and checked then. store_check() does that
 * with a connection of its own, in any thread (-EBADMSG: damaged); what it
 * found is given to store_refuse(), after which every write is -EBADMSG.
 */
bool store_is_large(const struct store *s);
int store_check(const char *dir, struct error *e) must_check;
void store_refuse(struct store *s);

/*
 * One transaction around several writes. A write that fails inside undoes only
 * itself; the caller decides between store_commit() and store_rollback() for
 * the rest. When SQLite had to undo the whole transaction, store_commit() fails
 * (-EIO). A failed store_commit() leaves it open: roll back.
 */
int store_begin(struct store *s, struct error *e) must_check;
int store_commit(struct store *s, struct error *e) must_check;
void store_rollback(struct store *s);

/*
 * Group commit. After store_batch() a write that returned 0 is on disk only
 * when store_flush() has returned 0: all writes since the last flush are one
 * transaction. A write that fails still undoes only itself. When store_flush()
 * fails, none of them happened. Answer nobody in between: the caller asks
 * store_dirty(), and flushes once per turn of its loop.
 */
void store_batch(struct store *s);
bool store_dirty(const struct store *s);
/*
 * False when another process holds the lock that the next write takes: it would
 * fail with -EBUSY, soon. Does not wait. When it is true, nobody else gets that
 * lock before the next flush.
 */
bool store_ready(struct store *s);
int store_flush(struct store *s, struct error *e) must_check;

struct store_vm {
	int64_t id; /* row, stable for the life of the VM, never reused */
	char *uuid, *name;
	char *config; /* JSON text as validated */
	int64_t revision;
	int64_t created_ms; /* Unix time */
	/* As the daemon last said: a name of lib/model/vm_state.h, "stopped"
	 * for a new one. */
	char *state, *reason;
	int64_t started_ms;
};
void store_vm_done(struct store_vm *vm);

/*
 * *ret_id is the new row, or, when a variable store was kept under this uuid,
 * the row that has it. -EEXIST names what is taken (name, uuid or vsock.cid).
 * `config` is JSON; what lists show and filter by is read from it (hypervisor,
 * vcpus, memory, disks, nics, labels, autostart, autostart_order).
 */
int store_vm_add(struct store *s, const char *uuid, const char *name,
		 const char *config, int64_t *ret_id,
		 struct error *e) must_check;
/* A new definition, perhaps with a new name, for the row `vm_id`; the new
 * revision in *ret_revision. -EEXIST as above. */
int store_vm_update(struct store *s, int64_t vm_id, const char *name,
		    const char *config, int64_t *ret_revision,
		    struct error *e) must_check;
/* A vsock's context id from `min` to `max` that no VM has; -ENOSPC. One that
 * was given back lately is not the first to be had again. */
int store_vsock_cid_free(struct store *s, uint32_t min, uint32_t max,
			 uint32_t *ret, struct error *e) must_check;
/* The state a list shows, and a restarted daemon begins from. */
int store_vm_state(struct store *s, int64_t vm_id, const char *state,
		   const char *reason, int64_t started_ms,
		   struct error *e) must_check;
/* By name or uuid. -ENOENT. */
int store_vm_get(struct store *s, const char *name, struct store_vm *ret,
		 struct error *e) must_check;
int store_vm_get_id(struct store *s, int64_t vm_id, struct store_vm *ret,
		    struct error *e) must_check;
/* Its revision alone; its row alone: cheaper. -ENOENT. */
int store_vm_revision(struct store *s, int64_t vm_id, int64_t *ret,
		      struct error *e) must_check;
int store_vm_id(struct store *s, const char *name, int64_t *ret_id,
		struct error *e) must_check;
/* Names that `name` may be a slip of, NULL-terminated, at most `max`; one
 * block, free() it. NULL when there are none. */
char **store_vm_names_near(struct store *s, const char *name, size_t max);
int store_vm_count(struct store *s, int64_t *ret, struct error *e) must_check;

enum store_vm_set {
	STORE_VM_ALL,	    /* in name order */
	STORE_VM_LEFT,	    /* in an active state without a run record */
	STORE_VM_AUTOSTART, /* at rest and to be started, in that order */
};
/* The callback borrows and may write. Stops when it returns != 0. */
int store_vm_each(struct store *s, enum store_vm_set which,
		  int (*each)(void *cookie, const struct store_vm *vm),
		  void *cookie, struct error *e) must_check;
/* Variables, run record and definition, in one transaction. */
int store_vm_delete(struct store *s, int64_t vm_id, struct error *e) must_check;

/*
 * A page of a list, in name order. Everything is read from columns: 100,000
 * definitions cost what the page costs. The callback borrows and must not
 * write.
 */
struct store_label {
	const char *key, *value;
};
struct store_list {
	const char *after; /* the last name of the page before; NULL: none */
	const char *state; /* NULL: any */
	const struct store_label *labels; /* all of them */
	size_t n_labels;		  /* at most STORE_LIST_LABELS_MAX */
	int64_t limit;
};
#define STORE_LIST_LABELS_MAX 16
struct store_vm_row {
	int64_t id, revision, started_ms;
	const char *uuid, *name, *state, *reason, *hypervisor, *labels;
	int64_t vcpus, memory, disks, nics;
	bool autostart;
};
int store_vm_list(struct store *s, const struct store_list *list,
		  int (*each)(void *cookie, const struct store_vm_row *row),
		  void *cookie, struct error *e) must_check;

/* store_vm_add() with a copy of the variable store of row `from`, in one
 * transaction. */
int store_vm_clone(struct store *s, int64_t from, const char *uuid,
		   const char *name, const char *config, int64_t *ret_id,
		   struct error *e) must_check;

/* Delete the definition alone: its variable store stays, under its uuid, until
 * a VM with that uuid is added again or the store is forgotten. */
int store_vm_keep(struct store *s, int64_t vm_id, struct error *e) must_check;
struct store_kept {
	const char *uuid, *name; /* borrowed during the callback */
	int64_t kept_ms, variables;
};
int store_kept_each(struct store *s,
		    int (*each)(void *cookie, const struct store_kept *kept),
		    void *cookie, struct error *e) must_check;
/* -ENOENT. */
int store_kept_forget(struct store *s, const char *uuid,
		      struct error *e) must_check;

/*
 * The variable store of a VM: the image the firmware sees, in blocks of
 * STORE_NVRAM_BLOCK bytes, and the variables decoded from it.
 */
#define STORE_NVRAM_BLOCK 4096

/* Fills image; blocks never written are left as they are in `image`, and those
 * stored as empty are erased, all ones.
 * *ret_blocks counts those that were (0: a new VM). */
int store_nvram_load(struct store *s, int64_t vm_id, uint8_t *image,
		     uint64_t size, uint64_t *ret_blocks,
		     struct error *e) must_check;

/*
 * One transaction: the blocks covering [offset, offset+size) of `image`, and,
 * when `vars` is not NULL, the rows made equal to them with a new generation
 * if anything changed. `by` is "guest" or "operator".
 */
int store_nvram_commit(struct store *s, int64_t vm_id, const uint8_t *image,
		       uint64_t image_size, uint64_t offset, uint64_t size,
		       const struct uefi_vars *vars, const char *by,
		       struct error *e) must_check;

/* The decoded rows, sorted by name; free with uefi_vars_done(). */
int store_vars_list(struct store *s, int64_t vm_id, struct uefi_vars *ret,
		    int64_t *ret_generation, struct error *e) must_check;

/*
 * The log of changes to variables, newest first, at most `limit` lines; the
 * last STORE_VAR_LOG_MAX of a VM are kept (a guest can write without end). The
 * callback borrows, must not write to the store, and stops it with != 0.
 */
#define STORE_VAR_LOG_MAX    1000
#define STORE_VAR_CHANGE_MAX 128 /* longest `change`, with its terminator */
struct store_var_log {
	int64_t generation, time_ms;
	const char *by, *guid;
	const char *change; /* "Boot0003 added", "... changed", "... deleted" */
};
int store_var_log_each(struct store *s, int64_t vm_id, int64_t limit,
		       int (*each)(void *cookie, const struct store_var_log *l),
		       void *cookie, struct error *e) must_check;

/* What runs: written before a supervisor is spawned, cleared when it is gone.
 */
struct store_run {
	int64_t vm_id;
	int64_t pid;	     /* 0 until known */
	uint64_t start_time; /* field 22 of /proc/PID/stat */
	char boot_id[40];
	/* What ran has another supervisor: its devices stay noted. */
	bool goes_on;
};
int store_run_set(struct store *s, const struct store_run *run,
		  struct error *e) must_check;
/* The devices that it has besides its definition: a JSON array (see
 * daemon/vm_live.h), empty after store_run_set() of one that begins. *ret is
 * the caller's.
 * -ENOENT when it does not run. */
int store_run_set_live(struct store *s, int64_t vm_id, const char *live,
		       struct error *e) must_check;
int store_run_live(struct store *s, int64_t vm_id, char **ret,
		   struct error *e) must_check;
/* A VM with `text` somewhere in that array; 0 when there is none. */
int store_run_live_find(struct store *s, const char *text, int64_t *ret_vm_id,
			struct error *e) must_check;
int store_run_clear(struct store *s, int64_t vm_id, struct error *e) must_check;
int store_run_each(struct store *s,
		   int (*each)(void *cookie, const struct store_run *run),
		   void *cookie, struct error *e) must_check;

/*
 * Events: `text` is a JSON object; *ret_seq its number (ascending, no gaps),
 * *ret_time_ms its Unix time; both may be NULL. vm_uuid NULL: of the host. The
 * last STORE_EVENTS_MAX are kept. store_event_each starts after after_seq,
 * stops after `limit` (< 0: none) or when the callback returns != 0; the
 * callback must not write to the store.
 */
#define STORE_EVENTS_MAX 100000
/* The oldest that is kept and the newest there ever was; 0: none. */
int store_event_range(struct store *s, int64_t *ret_first, int64_t *ret_last,
		      struct error *e) must_check;
int store_event_add(struct store *s, const char *vm_uuid, const char *kind,
		    const char *text, int64_t *ret_seq, int64_t *ret_time_ms,
		    struct error *e) must_check;
struct store_event {
	int64_t seq, time_ms;
	const char *vm_uuid, *kind, *text; /* borrowed during the callback */
};
int store_event_each(struct store *s, int64_t after_seq, int64_t limit,
		     int (*each)(void *cookie, const struct store_event *ev),
		     void *cookie, struct error *e) must_check;

/*
 * Jobs: the journal of what was asked for and takes time, or has a key by which
 * it is known when asked again. A job is "running" until store_job_finish();
 * finished ones are kept STORE_JOB_KEEP_MS.
 */
#define STORE_JOB_KEEP_MS (24LL * 60 * 60 * 1000)
struct store_job {
	int64_t id;
	const char *method, *vm; /* vm: the name it was asked by */
	const char *params;	 /* JSON */
	const char *state;	 /* running, done, failed, cancelled */
	const char *step;
	int64_t progress;			      /* per cent */
	int64_t created_ms, deadline_ms, finished_ms; /* 0: none */
	const char *result;	     /* JSON, of a job that is done */
	const char *error, *message; /* of one that failed: the code's name */
	const char *key;	     /* NULL: none */
};
/* Uses method, vm, params, created_ms, deadline_ms and key. -EEXIST: the key
 * is taken. */
int store_job_add(struct store *s, const struct store_job *job, int64_t *ret_id,
		  struct error *e) must_check;
int store_job_step(struct store *s, int64_t id, const char *step,
		   int64_t progress, struct error *e) must_check;
/* Uses id, state, result, error, message and finished_ms. */
int store_job_finish(struct store *s, const struct store_job *job,
		     struct error *e) must_check;

typedef int store_job_fn(void *cookie, const struct store_job *job);
/* The callback borrows and must not write; it is called once or, with
 * *ret_found false, not at all. */
int store_job_get(struct store *s, int64_t id, store_job_fn *each, void *cookie,
		  bool *ret_found, struct error *e) must_check;
int store_job_by_key(struct store *s, const char *key, store_job_fn *each,
		     void *cookie, bool *ret_found, struct error *e) must_check;
/* Newest first, those with id < before; stops when the callback returns != 0.
 */
int store_job_each(struct store *s, bool running, int64_t before, int64_t limit,
		   store_job_fn *each, void *cookie,
		   struct error *e) must_check;
/* Forget those that finished before; with them their keys. */
int store_job_prune(struct store *s, int64_t before_ms,
		    struct error *e) must_check;

/* Fault injection for tests: the next `n` writes (calls of the functions above
 * that write) succeed, the one after fails with `err` (-ENOSPC, ...), later
 * ones succeed again. n < 0 turns it off. */
void store_fail_after(struct store *s, int n, int err);
/* The next store_flush() with something to commit fails with `err`. */
void store_fail_flush(struct store *s, int err);

#endif
