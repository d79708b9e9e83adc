/*
 * The folder's handle on SQLite: errors, cached statements, transactions.
 */
#include "store/store_internal.h"

#include <time.h>

static const char *const stmt_sql[STMT_COUNT] = {
#define X(name, sql) [STMT_##name] = sql,
	STORE_STMT_TABLE(X)
#undef X
};

int64_t store_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int errno_of(sqlite3 *db, int rc)
{
	int system_errno = db ? sqlite3_system_errno(db) : 0;

	switch (rc & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return -EACCES;
	case SQLITE_CONSTRAINT:
		return rc == SQLITE_CONSTRAINT_FOREIGNKEY ? -ENOENT : -EEXIST;
	case SQLITE_CANTOPEN:
		return system_errno == EACCES ? -EACCES : -EIO;
	case SQLITE_IOERR:
		/* The write that filled the disk may be reported this way. */
		return system_errno == ENOSPC || system_errno == EDQUOT
			       ? -ENOSPC
			       : -EIO;
	}
	return -EIO;
}

int store_error(sqlite3 *db, int rc, const char *doing, struct error *e)
{
	int extended = db ? sqlite3_extended_errcode(db) : rc;

	/* The handle remembers its last failure; trust it only for this one. */
	if ((extended & 0xff) != (rc & 0xff))
		extended = rc;
	return error_set(e, errno_of(db, extended), "cannot %s: %s (SQLite %d)",
			 doing, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc),
			 extended);
}

int store_exec(sqlite3 *db, const char *sql, const char *doing, struct error *e)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : store_error(db, rc, doing, e);
}

int store_query_int(sqlite3 *db, const char *sql, int64_t *ret, struct error *e)
{
	sqlite3_stmt *stmt = NULL;
	int r = 0, rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(stmt, 0);
	else
		r = store_error(db, rc, sql, e);
	sqlite3_finalize(stmt);
	return r;
}

int store_stmt(struct store *s, enum store_stmt_id id, sqlite3_stmt **ret,
	       struct error *e)
{
	int rc = SQLITE_OK;

	if (!s->stmts[id])
		rc = sqlite3_prepare_v3(s->db, stmt_sql[id], -1,
					SQLITE_PREPARE_PERSISTENT,
					&s->stmts[id], NULL);
	if (rc != SQLITE_OK)
		return store_error(s->db, rc, "prepare a statement", e);
	*ret = s->stmts[id];
	return 0;
}

int store_row_by_id(struct store *s, enum store_stmt_id id, int64_t vm_id,
		    sqlite3_stmt **ret, struct error *e)
{
	int r = store_stmt(s, id, ret, e), rc;

	if (r < 0)
		return r;
	sqlite3_bind_int64(*ret, 1, vm_id);
	rc = sqlite3_step(*ret);
	if (rc == SQLITE_DONE)
		return error_set(e, -ENOENT, "no VM with row %lld",
				 (long long)vm_id);
	return rc == SQLITE_ROW ? 0 : store_error(s->db, rc, "read the VM", e);
}

int store_step_done(struct store *s, sqlite3_stmt *stmt, const char *doing,
		    struct error *e)
{
	int rc = sqlite3_step(stmt);

	return rc == SQLITE_DONE ? 0 : store_error(s->db, rc, doing, e);
}

static int run(struct store *s, enum store_stmt_id id, const char *doing,
	       struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *stmt = NULL;
	int r = store_stmt(s, id, &stmt, e);

	return r < 0 ? r : store_step_done(s, stmt, doing, e);
}

/* SQLite undoes a whole transaction by itself on some errors (a full disk, an
 * I/O error): everything in the batch is then lost, and is told so. */
static int batch_lost(struct store *s, struct error *e)
{
	return error_set(e, s->lost,
			 "cannot write to %s: a change committed together with "
			 "this one failed (%s)",
			 s->path, strerror(-s->lost));
}

static void batch_judge(struct store *s)
{
	if (!s->in_batch || s->lost || !sqlite3_get_autocommit(s->db))
		return;
	s->lost = errno_of(s->db, sqlite3_extended_errcode(s->db));
}

/* Nobody waits again for a lock that was not given lately. */
static int batch_begin(struct store *s, int wait_ms, struct error *e)
{
	int r;

	sqlite3_busy_timeout(s->db, s->locked ? 0 : wait_ms);
	r = run(s, STMT_BEGIN, "begin a transaction", e);
	s->in_batch = r == 0;
	s->locked = r == -EBUSY;
	return r;
}

static int batch_open(struct store *s, struct error *e)
{
	if (s->lost)
		return batch_lost(s, e);
	return s->in_batch ? 0 : batch_begin(s, STORE_BATCH_BUSY_TIMEOUT_MS, e);
}

bool store_ready(struct store *s)
{
	if (!s->batching || s->in_batch || s->damaged)
		return true;
	return batch_begin(s, 0, NULL) != -EBUSY;
}

void store_refuse(struct store *s)
{
	s->damaged = EBADMSG;
}

bool store_is_large(const struct store *s)
{
	int64_t pages = 0;

	return store_query_int(s->db, "PRAGMA page_count", &pages, NULL) == 0 &&
	       pages > STORE_LARGE_PAGES;
}

/* Why nothing can be written, or what a test wants to fail. */
static int refuse(struct store *s, struct error *e)
{
	if (s->damaged)
		return error_set(e, -s->damaged,
				 "database %s is damaged and is not written "
				 "any more; stop armvmd, keep a copy, then "
				 "try: sqlite3 %s .recover",
				 s->path, s->path);
	if (s->fail_after == 0) {
		s->fail_after = -1;
		return error_set(e, s->fail_err,
				 "cannot write to %s: injected failure (%s)",
				 s->path, strerror(-s->fail_err));
	}
	if (s->fail_after > 0)
		s->fail_after--;
	return 0;
}

int store_txn_begin(struct store *s, struct store_txn *t, struct error *e)
{
	bool nested;
	int r;

	*t = (struct store_txn){0};
	r = refuse(s, e);
	if (r == 0 && s->batching)
		r = batch_open(s, e);
	nested = !sqlite3_get_autocommit(s->db);
	if (r == 0)
		r = run(s, nested ? STMT_SAVEPOINT : STMT_BEGIN,
			"begin a transaction", e);
	if (r < 0) {
		batch_judge(s);
		return r;
	}
	*t = (struct store_txn){.s = s, .nested = nested};
	return 0;
}

int store_txn_commit(struct store_txn *t, struct error *e)
{
	int r = run(t->s, t->nested ? STMT_RELEASE : STMT_COMMIT,
		    "commit to the database", e);

	if (r == 0)
		t->s = NULL;
	return r;
}

void store_txn_done(struct store_txn *t)
{
	if (!t->s)
		return;
	batch_judge(t->s);
	if (sqlite3_get_autocommit(t->s->db))
		return;
	if (!t->nested) {
		(void)!run(t->s, STMT_ROLLBACK, "roll back", NULL);
		return;
	}
	(void)!run(t->s, STMT_ROLLBACK_TO, "roll back", NULL);
	(void)!run(t->s, STMT_RELEASE, "roll back", NULL);
}

/* What an explicit transaction begins and ends with: in a batch it is one of
 * the changes that are committed together. */
int store_begin(struct store *s, struct error *e)
{
	int r = s->batching ? batch_open(s, e) : 0;

	if (r == 0)
		r = run(s, s->batching ? STMT_SAVEPOINT : STMT_BEGIN,
			"begin a transaction", e);
	if (r == 0)
		s->in_transaction = true;
	return r;
}

int store_commit(struct store *s, struct error *e)
{
	int r;

	if (s->in_transaction && sqlite3_get_autocommit(s->db)) {
		batch_judge(s);
		s->in_transaction = false;
		return error_set(e, -EIO,
				 "cannot commit to %s: the transaction was "
				 "undone by an earlier failure",
				 s->path);
	}
	r = run(s, s->batching ? STMT_RELEASE : STMT_COMMIT,
		"commit to the database", e);
	if (r == 0)
		s->in_transaction = false;
	return r;
}

void store_rollback(struct store *s)
{
	if (!s->in_transaction)
		return;
	s->in_transaction = false;
	batch_judge(s);
	if (sqlite3_get_autocommit(s->db))
		return;
	if (!s->batching) {
		(void)!run(s, STMT_ROLLBACK, "roll back", NULL);
		return;
	}
	(void)!run(s, STMT_ROLLBACK_TO, "roll back", NULL);
	(void)!run(s, STMT_RELEASE, "roll back", NULL);
}

void store_batch(struct store *s)
{
	s->batching = true;
	sqlite3_busy_timeout(s->db, STORE_BATCH_BUSY_TIMEOUT_MS);
}

bool store_dirty(const struct store *s)
{
	return s->in_batch;
}

int store_flush(struct store *s, struct error *e)
{
	int r = 0;

	if (!s->in_batch)
		return 0;
	batch_judge(s);
	if (s->lost)
		r = batch_lost(s, e);
	else if (s->flush_err)
		r = error_set(e, s->flush_err,
			      "cannot write to %s: injected failure (%s)",
			      s->path, strerror(-s->flush_err));
	else
		r = run(s, STMT_COMMIT, "commit to the database", e);
	if (r < 0 && !sqlite3_get_autocommit(s->db))
		(void)!run(s, STMT_ROLLBACK, "roll back", NULL);
	s->in_batch = false;
	s->lost = s->flush_err = 0;
	return r;
}

void store_fail_flush(struct store *s, int err)
{
	s->flush_err = err;
}

void store_fail_after(struct store *s, int n, int err)
{
	s->fail_after = n;
	s->fail_err = err;
}
