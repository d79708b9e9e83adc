/*
 * Events: an append-only journal of bounded length.
 */
#include "store/store_internal.h"

static int prune(struct store *s, int64_t newest, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r;

	if (newest <= STORE_EVENTS_MAX)
		return 0;
	r = store_stmt(s, STMT_EVENT_PRUNE, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, newest - STORE_EVENTS_MAX);
	return store_step_done(s, q, "drop old events", e);
}

int store_event_add(struct store *s, const char *vm_uuid, const char *kind,
		    const char *text, int64_t *ret_seq, int64_t *ret_time_ms,
		    struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int64_t now = store_now_ms(), seq = 0;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_stmt(s, STMT_EVENT_ADD, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, now);
	sqlite3_bind_text(q, 2, vm_uuid, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 4, text, -1, SQLITE_STATIC);
	r = store_step_done(s, q, "record an event", e);
	if (r == 0) {
		seq = sqlite3_last_insert_rowid(s->db);
		r = prune(s, seq, e);
	}
	if (r == 0)
		r = store_txn_commit(&t, e);
	if (r < 0)
		return r;
	if (ret_seq)
		*ret_seq = seq;
	if (ret_time_ms)
		*ret_time_ms = now;
	return 0;
}

static int query_seq(struct store *s, enum store_stmt_id id, int64_t *ret,
		     struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, id, &q, e), rc;

	if (r < 0)
		return r;
	rc = sqlite3_step(q);
	if (rc != SQLITE_ROW)
		return store_error(s->db, rc, "read the range of events", e);
	*ret = sqlite3_column_int64(q, 0);
	return 0;
}

int store_event_range(struct store *s, int64_t *ret_first, int64_t *ret_last,
		      struct error *e)
{
	int r = query_seq(s, STMT_EVENT_FIRST, ret_first, e);

	return r < 0 ? r : query_seq(s, STMT_EVENT_LAST, ret_last, e);
}

int store_event_each(struct store *s, int64_t after_seq, int64_t limit,
		     int (*each)(void *cookie, const struct store_event *ev),
		     void *cookie, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	struct store_event ev;
	int r, rc;

	r = store_stmt(s, STMT_EVENT_EACH, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, after_seq);
	sqlite3_bind_int64(q, 2, limit);
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		ev = (struct store_event){
			.seq = sqlite3_column_int64(q, 0),
			.time_ms = sqlite3_column_int64(q, 1),
			.vm_uuid = (const char *)sqlite3_column_text(q, 2),
			.kind = (const char *)sqlite3_column_text(q, 3),
			.text = (const char *)sqlite3_column_text(q, 4),
		};
		if (each(cookie, &ev))
			return 0;
	}
	return rc == SQLITE_DONE ? 0 : store_error(s->db, rc, "list events", e);
}
