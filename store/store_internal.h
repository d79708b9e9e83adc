/*
 * What the files of store/ share; nobody else includes it.
 *
 * Two idioms carry the whole folder:
 *
 *   _cleanup_stmt_ sqlite3_stmt *q = NULL;
 *   r = store_stmt(s, STMT_X, &q, e);
 *     a statement of the table below, prepared once, reset when it leaves
 *     scope;
 *
 *   _cleanup_txn_ struct store_txn t;
 *   r = store_txn_begin(s, &t, e); ... return store_txn_commit(&t, e);
 *     a transaction, or a savepoint inside one the caller opened; leaving
 *     scope without commit undoes exactly what this function did.
 */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>

#include "store/store.h"

/* "ARMV" in the database header: the file is ours. */
#define STORE_APPLICATION_ID 0x41524d56

/* What is larger is checked after it was opened (store_check). */
#define STORE_LARGE_PAGES 2048

/* How long another process (an administrator's sqlite3) may hold the lock; and
 * how long for who batches, and should have asked store_ready(). */
#define STORE_BUSY_TIMEOUT_MS	    2000
#define STORE_BATCH_BUSY_TIMEOUT_MS 50

#define STORE_VM_COLUMNS                                                \
	"id, uuid, name, config, revision, created_ms, state, reason, " \
	"started_ms"

#define STORE_JOB_COLUMNS                                             \
	"id, method, vm, params, state, step, progress, created_ms, " \
	"deadline_ms, finished_ms, result, error, message, key"

/* The columns of a list, made from the definition in parameter ?1. */
#define STORE_VM_SUMMARY                                               \
	"coalesce(json_extract(?1, '$.hypervisor'), 'auto'), "         \
	"coalesce(json_extract(?1, '$.vcpus'), 1), "                   \
	"coalesce(json_extract(?1, '$.memory'), 0), "                  \
	"coalesce(json_array_length(?1, '$.disks'), 0), "              \
	"coalesce(json_array_length(?1, '$.nics'), 0), "               \
	"coalesce(json_extract(?1, '$.labels'), '{}'), "               \
	"iif(json_extract(?1, '$.autostart'), "                        \
	"1 + coalesce(json_extract(?1, '$.autostart_order'), 0), 0), " \
	"json_extract(?1, '$.vsock.cid')"

#define STORE_VM_OTHER "AND kept_ms = 0 AND id != ?3 "

/* X(NAME, SQL). A statement of every request had better not use IN or
 * RETURNING: for those SQLite makes a table each time. */
#define STORE_STMT_TABLE(X)                                                    \
	X(BEGIN, "BEGIN IMMEDIATE")                                            \
	X(COMMIT, "COMMIT")                                                    \
	X(ROLLBACK, "ROLLBACK")                                                \
	X(SAVEPOINT, "SAVEPOINT inner_write")                                  \
	X(RELEASE, "RELEASE inner_write")                                      \
	X(ROLLBACK_TO, "ROLLBACK TO inner_write")                              \
	X(VM_TAKEN,                                                            \
	  "SELECT name, uuid FROM vm WHERE name = ?1 " STORE_VM_OTHER          \
	  "UNION ALL SELECT name, uuid FROM vm WHERE uuid = "                  \
	  "?2 " STORE_VM_OTHER "UNION ALL SELECT name, uuid FROM vm WHERE "    \
	  "name = ?2 " STORE_VM_OTHER                                          \
	  "UNION ALL SELECT name, uuid FROM vm WHERE uuid = "                  \
	  "?1 " STORE_VM_OTHER "LIMIT 1")                                      \
	X(VM_CID_TAKEN, "SELECT name, vsock_cid FROM vm WHERE id != ?2 "       \
			"AND vsock_cid = json_extract(?1, '$.vsock.cid')")     \
	X(VM_CID_LAST, "SELECT coalesce(max(vsock_cid), 0) FROM vm")           \
	X(VM_CID_GAP, "SELECT min(cid) FROM (SELECT ?1 AS cid UNION ALL "      \
		      "SELECT vsock_cid + 1 FROM vm WHERE vsock_cid BETWEEN "  \
		      "?1 AND ?2 - 1) "                                        \
		      "WHERE cid NOT IN (SELECT vsock_cid FROM vm "            \
		      "WHERE vsock_cid IS NOT NULL)")                          \
	X(VM_ADD,                                                              \
	  "INSERT INTO vm (config, uuid, name, created_ms, "                   \
	  "hypervisor, vcpus, memory, disks, nics, labels, autostart, "        \
	  "vsock_cid) "                                                        \
	  "VALUES (?1, ?2, ?3, ?4, " STORE_VM_SUMMARY ")")                     \
	X(VM_UPDATE, "UPDATE vm SET revision = revision + 1, config = ?1, "    \
		     "name = ?3, (hypervisor, vcpus, memory, disks, nics, "    \
		     "labels, autostart, vsock_cid) = (" STORE_VM_SUMMARY ") " \
		     "WHERE id = ?2 RETURNING revision")                       \
	X(VM_GET, "SELECT " STORE_VM_COLUMNS " FROM vm "                       \
		  "WHERE name = ?1 AND kept_ms = 0")                           \
	X(VM_GET_UUID, "SELECT " STORE_VM_COLUMNS " FROM vm "                  \
		       "WHERE uuid = ?1 AND kept_ms = 0")                      \
	X(VM_GET_ID, "SELECT " STORE_VM_COLUMNS " FROM vm WHERE id = ?1")      \
	X(VM_ID, "SELECT id FROM vm WHERE name = ?1 AND kept_ms = 0")          \
	X(VM_ID_UUID, "SELECT id FROM vm WHERE uuid = ?1 AND kept_ms = 0")     \
	X(VM_REVISION, "SELECT revision FROM vm WHERE id = ?1")                \
	X(VM_EACH, "SELECT " STORE_VM_COLUMNS " FROM vm WHERE kept_ms = 0 "    \
		   "ORDER BY name")                                            \
	X(VM_LEFT,                                                             \
	  "SELECT " STORE_VM_COLUMNS " FROM vm "                               \
	  "WHERE kept_ms = 0 AND state NOT IN ('stopped', 'crashed') "         \
	  "AND id NOT IN (SELECT vm_id FROM run) ORDER BY id")                 \
	X(VM_AUTOSTART, "SELECT " STORE_VM_COLUMNS " FROM vm "                 \
			"WHERE autostart > 0 AND kept_ms = 0 "                 \
			"AND state IN ('stopped', 'crashed') "                 \
			"ORDER BY autostart, name")                            \
	X(VM_NEAR, "SELECT name FROM vm WHERE name >= ?1 AND name < ?2 "       \
		   "AND length(name) BETWEEN ?3 AND ?4 LIMIT ?5")              \
	X(VM_STATE, "UPDATE vm SET state = ?2, reason = ?3, started_ms = ?4 "  \
		    "WHERE id = ?1")                                           \
	X(VM_COUNT, "SELECT count(*) FROM vm WHERE kept_ms = 0")               \
	X(VM_DELETE, "DELETE FROM vm WHERE id = ?1")                           \
	X(VM_KEEP, "UPDATE vm SET kept_ms = ?2, kept_name = name, "            \
		   "name = '~' || uuid, autostart = 0, state = 'stopped', "    \
		   "vsock_cid = NULL, "                                        \
		   "reason = '' WHERE id = ?1 AND kept_ms = 0")                \
	X(VM_KEPT, "SELECT id FROM vm WHERE uuid = ?1 AND kept_ms != 0")       \
	X(VM_UNKEEP, "UPDATE vm SET kept_ms = 0, kept_name = '', name = ?2, "  \
		     "created_ms = ?3 WHERE id = ?1")                          \
	X(KEPT_EACH, "SELECT id, uuid, kept_name, kept_ms, "                   \
		     "(SELECT count(*) FROM variable WHERE vm_id = vm.id) "    \
		     "FROM vm WHERE kept_ms != 0 ORDER BY kept_ms, id")        \
	X(KEPT_DELETE, "DELETE FROM vm WHERE uuid = ?1 AND kept_ms != 0")      \
	X(LABELS_DROP, "DELETE FROM vm_label WHERE vm_id = ?1")                \
	X(LABELS_ADD, "INSERT INTO vm_label (vm_id, key, value) "              \
		      "SELECT ?1, key, value FROM json_each(?2, '$.labels')")  \
	X(CLONE_BLOCKS, "INSERT INTO nvram_block (vm_id, block, data) "        \
			"SELECT ?2, block, data FROM nvram_block "             \
			"WHERE vm_id = ?1")                                    \
	X(CLONE_VARS, "INSERT INTO variable (vm_id, guid, name, attributes, "  \
		      "timestamp, monotonic_count, pubkey_index, data, "       \
		      "generation) SELECT ?2, guid, name, attributes, "        \
		      "timestamp, monotonic_count, pubkey_index, data, "       \
		      "generation FROM variable WHERE vm_id = ?1")             \
	X(CLONE_GENERATION, "UPDATE vm SET var_generation = (SELECT "          \
			    "var_generation FROM vm WHERE id = ?1) "           \
			    "WHERE id = ?2")                                   \
	X(BLOCK_EACH, "SELECT block, data FROM nvram_block WHERE vm_id = ?1")  \
	X(BLOCK_PUT, "INSERT INTO nvram_block (vm_id, block, data) "           \
		     "VALUES (?1, ?2, ?3) "                                    \
		     "ON CONFLICT (vm_id, block) DO UPDATE "                   \
		     "SET data = excluded.data WHERE data != excluded.data")   \
	X(GENERATION, "SELECT var_generation FROM vm WHERE id = ?1")           \
	X(GENERATION_SET, "UPDATE vm SET var_generation = ?2 WHERE id = ?1")   \
	X(VAR_EACH, "SELECT guid, name, attributes, timestamp, "               \
		    "monotonic_count, pubkey_index, data FROM variable "       \
		    "WHERE vm_id = ?1 ORDER BY name, guid")                    \
	X(VAR_PUT, "INSERT OR REPLACE INTO variable (vm_id, guid, name, "      \
		   "attributes, timestamp, monotonic_count, pubkey_index, "    \
		   "data, generation) "                                        \
		   "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")              \
	X(VAR_DELETE, "DELETE FROM variable "                                  \
		      "WHERE vm_id = ?1 AND guid = ?2 AND name = ?3")          \
	X(VAR_LOG_ADD, "INSERT INTO var_log (vm_id, generation, time_ms, "     \
		       "actor, guid, change) VALUES (?1, ?2, ?3, ?4, ?5, ?6)") \
	X(VAR_LOG_PRUNE, "DELETE FROM var_log WHERE vm_id = ?1 AND id <= "     \
			 "(SELECT id FROM var_log WHERE vm_id = ?1 "           \
			 "ORDER BY id DESC LIMIT 1 OFFSET ?2)")                \
	X(VAR_LOG_EACH, "SELECT generation, time_ms, actor, guid, change "     \
			"FROM var_log WHERE vm_id = ?1 "                       \
			"ORDER BY id DESC LIMIT ?2")                           \
	X(RUN_SET,                                                             \
	  "INSERT INTO run (vm_id, pid, start_time, boot_id) "                 \
	  "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (vm_id) DO UPDATE SET "         \
	  "pid = ?2, start_time = ?3, boot_id = ?4, "                          \
	  "live = CASE ?5 WHEN 1 THEN live ELSE '[]' END")                     \
	X(RUN_SET_LIVE, "UPDATE run SET live = ?2 WHERE vm_id = ?1")           \
	X(RUN_LIVE, "SELECT live FROM run WHERE vm_id = ?1")                   \
	X(RUN_LIVE_FIND, "SELECT vm_id FROM run WHERE instr(live, ?1) "        \
			 "LIMIT 1")                                            \
	X(RUN_CLEAR, "DELETE FROM run WHERE vm_id = ?1")                       \
	X(RUN_EACH, "SELECT vm_id, pid, start_time, boot_id FROM run "         \
		    "ORDER BY vm_id")                                          \
	X(JOB_ADD, "INSERT INTO job (method, vm, params, state, created_ms, "  \
		   "deadline_ms, key) "                                        \
		   "VALUES (?1, ?2, ?3, 'running', ?4, ?5, ?6)")               \
	X(JOB_STEP, "UPDATE job SET step = ?2, progress = ?3 WHERE id = ?1")   \
	X(JOB_FINISH, "UPDATE job SET state = ?2, result = ?3, error = ?4, "   \
		      "message = ?5, finished_ms = ?6, "                       \
		      "progress = iif(?2 = 'done', 100, progress) "            \
		      "WHERE id = ?1")                                         \
	X(JOB_GET, "SELECT " STORE_JOB_COLUMNS " FROM job WHERE id = ?1")      \
	X(JOB_KEY, "SELECT " STORE_JOB_COLUMNS " FROM job WHERE key = ?1")     \
	X(JOB_LIST, "SELECT " STORE_JOB_COLUMNS " FROM job "                   \
		    "WHERE id < ?1 ORDER BY id DESC LIMIT ?2")                 \
	X(JOB_RUNNING, "SELECT " STORE_JOB_COLUMNS " FROM job "                \
		       "WHERE state = 'running' AND id < ?1 "                  \
		       "ORDER BY id DESC LIMIT ?2")                            \
	X(JOB_PRUNE, "DELETE FROM job "                                        \
		     "WHERE finished_ms > 0 AND finished_ms < ?1")             \
	X(EVENT_ADD, "INSERT INTO event (time_ms, vm_uuid, kind, text) "       \
		     "VALUES (?1, ?2, ?3, ?4)")                                \
	X(EVENT_FIRST, "SELECT coalesce(min(seq), 0) FROM event")              \
	X(EVENT_LAST, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence "     \
		      "WHERE name = 'event'")                                  \
	X(EVENT_PRUNE, "DELETE FROM event WHERE seq <= ?1")                    \
	X(EVENT_EACH, "SELECT seq, time_ms, vm_uuid, kind, text FROM event "   \
		      "WHERE seq > ?1 ORDER BY seq LIMIT ?2")

enum store_stmt_id {
#define X(name, sql) STMT_##name,
	STORE_STMT_TABLE(X)
#undef X
		STMT_COUNT
};

struct store {
	sqlite3 *db;
	char *path; /* of the database, for messages */
	int lock_fd;
	bool in_transaction; /* between store_begin and commit or rollback */
	bool batching;	     /* store_batch() is on */
	bool in_batch;	     /* its transaction is open */
	bool locked;	     /* by another process, when last we looked */
	int lost;	     /* why the batch was undone whole; 0: it was not */
	int damaged;	     /* why nothing is written any more; 0: it is */
	int flush_err;	     /* injected, for the next flush */
	int fail_after, fail_err;
	sqlite3_stmt *stmts[STMT_COUNT];
};

/*
 * Turn an SQLite result code into -errno with "cannot `doing`: SQLite's
 * words". -ENOSPC full, -EBUSY locked, -EEXIST unique, -ENOENT foreign key,
 * -EIO else.
 */
int store_error(sqlite3 *db, int rc, const char *doing, struct error *e);

/* Run SQL that returns no rows; `doing` as in store_error. */
int store_exec(sqlite3 *db, const char *sql, const char *doing,
	       struct error *e) must_check;

/* First column of the first row as a number. */
int store_query_int(sqlite3 *db, const char *sql, int64_t *ret,
		    struct error *e) must_check;

/* *ret is borrowed from the store; one user at a time. */
int store_stmt(struct store *s, enum store_stmt_id id, sqlite3_stmt **ret,
	       struct error *e) must_check;

static inline void store_stmt_resetp(sqlite3_stmt **stmt)
{
	if (*stmt) {
		sqlite3_reset(*stmt);
		sqlite3_clear_bindings(*stmt);
	}
}
#define _cleanup_stmt_ _cleanup_(store_stmt_resetp)

/* The row of a statement that looks a VM up by ?1, its row; *ret is borrowed
 * as from store_stmt(). -ENOENT. */
int store_row_by_id(struct store *s, enum store_stmt_id id, int64_t vm_id,
		    sqlite3_stmt **ret, struct error *e) must_check;

/* Step a statement that returns no row. */
int store_step_done(struct store *s, sqlite3_stmt *stmt, const char *doing,
		    struct error *e) must_check;

struct store_txn {
	struct store *s; /* NULL: nothing to undo */
	bool nested;
};
int store_txn_begin(struct store *s, struct store_txn *t,
		    struct error *e) must_check;
int store_txn_commit(struct store_txn *t, struct error *e) must_check;
void store_txn_done(struct store_txn *t);
#define _cleanup_txn_ _cleanup_(store_txn_done)

/* A row of STORE_VM_COLUMNS; its strings are borrowed from the row. */
struct store_vm store_vm_of_row(sqlite3_stmt *q);
int store_vm_copy(const struct store_vm *from, struct store_vm *ret,
		  struct error *e) must_check;

/* Milliseconds of Unix time. */
int64_t store_now_ms(void);

/*
 * Bring an open database from its user_version to `n_steps`; step i makes
 * schema i + 1. The database is judged first and left untouched when it is
 * damaged, newer or not ours (-EBADMSG, message says what to do).
 */
int store_migrate(sqlite3 *db, const char *path, const char *const *steps,
		  int n_steps, struct error *e) must_check;

extern const char *const store_migrations[];
extern const int store_migrations_count;

#endif
