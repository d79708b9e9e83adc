/*
 * The journal of jobs.
 */
#include "store/store_internal.h"

int store_job_add(struct store *s, const struct store_job *job, int64_t *ret_id,
		  struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int64_t id;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_stmt(s, STMT_JOB_ADD, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_text(q, 1, job->method, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, job->vm, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, job->params, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 4, job->created_ms);
	sqlite3_bind_int64(q, 5, job->deadline_ms);
	sqlite3_bind_text(q, 6, job->key, -1, SQLITE_STATIC);
	r = store_step_done(s, q, "record a job", e);
	if (r < 0)
		return r;
	id = sqlite3_last_insert_rowid(s->db);
	r = store_txn_commit(&t, e);
	if (r == 0)
		*ret_id = id;
	return r;
}

int store_job_step(struct store *s, int64_t id, const char *step,
		   int64_t progress, struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_stmt(s, STMT_JOB_STEP, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, id);
	sqlite3_bind_text(q, 2, step, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, progress);
	r = store_step_done(s, q, "record a job's step", e);
	return r < 0 ? r : store_txn_commit(&t, e);
}

int store_job_finish(struct store *s, const struct store_job *job,
		     struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_stmt(s, STMT_JOB_FINISH, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, job->id);
	sqlite3_bind_text(q, 2, job->state, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, job->result ? job->result : "", -1,
			  SQLITE_STATIC);
	sqlite3_bind_text(q, 4, job->error ? job->error : "", -1,
			  SQLITE_STATIC);
	sqlite3_bind_text(q, 5, job->message ? job->message : "", -1,
			  SQLITE_STATIC);
	sqlite3_bind_int64(q, 6, job->finished_ms);
	r = store_step_done(s, q, "record a job's end", e);
	return r < 0 ? r : store_txn_commit(&t, e);
}

static struct store_job job_of_row(sqlite3_stmt *q)
{
	return (struct store_job){
		.id = sqlite3_column_int64(q, 0),
		.method = (const char *)sqlite3_column_text(q, 1),
		.vm = (const char *)sqlite3_column_text(q, 2),
		.params = (const char *)sqlite3_column_text(q, 3),
		.state = (const char *)sqlite3_column_text(q, 4),
		.step = (const char *)sqlite3_column_text(q, 5),
		.progress = sqlite3_column_int64(q, 6),
		.created_ms = sqlite3_column_int64(q, 7),
		.deadline_ms = sqlite3_column_int64(q, 8),
		.finished_ms = sqlite3_column_int64(q, 9),
		.result = (const char *)sqlite3_column_text(q, 10),
		.error = (const char *)sqlite3_column_text(q, 11),
		.message = (const char *)sqlite3_column_text(q, 12),
		.key = (const char *)sqlite3_column_text(q, 13),
	};
}

/* The statement with its parameters, row by row. */
static int each_row(struct store *s, sqlite3_stmt *q, store_job_fn *each,
		    void *cookie, bool *ret_found, struct error *e)
{
	int rc;

	*ret_found = false;
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		struct store_job job = job_of_row(q);

		*ret_found = true;
		if (each(cookie, &job))
			return 0;
	}
	return rc == SQLITE_DONE ? 0 : store_error(s->db, rc, "read jobs", e);
}

int store_job_get(struct store *s, int64_t id, store_job_fn *each, void *cookie,
		  bool *ret_found, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, STMT_JOB_GET, &q, e);

	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, id);
	return each_row(s, q, each, cookie, ret_found, e);
}

int store_job_by_key(struct store *s, const char *key, store_job_fn *each,
		     void *cookie, bool *ret_found, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, STMT_JOB_KEY, &q, e);

	if (r < 0)
		return r;
	sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
	return each_row(s, q, each, cookie, ret_found, e);
}

int store_job_each(struct store *s, bool running, int64_t before, int64_t limit,
		   store_job_fn *each, void *cookie, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	bool found;
	int r = store_stmt(s, running ? STMT_JOB_RUNNING : STMT_JOB_LIST, &q,
			   e);

	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, before);
	sqlite3_bind_int64(q, 2, limit);
	return each_row(s, q, each, cookie, &found, e);
}

int store_job_prune(struct store *s, int64_t before_ms, struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_stmt(s, STMT_JOB_PRUNE, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, before_ms);
	r = store_step_done(s, q, "forget old jobs", e);
	return r < 0 ? r : store_txn_commit(&t, e);
}
