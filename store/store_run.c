/*
 * What runs: one row per VM that has, or is about to have, a supervisor.
 */
#include "store/store_internal.h"

#include <stdio.h>

int store_run_set(struct store *s, const struct store_run *run, struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_stmt(s, STMT_RUN_SET, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, run->vm_id);
	sqlite3_bind_int64(q, 2, run->pid);
	sqlite3_bind_int64(q, 3, (int64_t)run->start_time);
	sqlite3_bind_text(q, 4, run->boot_id,
			  (int)strnlen(run->boot_id, sizeof(run->boot_id)),
			  SQLITE_STATIC);
	sqlite3_bind_int(q, 5, run->goes_on);
	r = store_step_done(s, q, "record the running VM", e);
	return r < 0 ? r : store_txn_commit(&t, e);
}

static int not_running(int64_t vm_id, struct error *e)
{
	return error_set(e, -ENOENT, "the VM with row %lld does not run",
			 (long long)vm_id);
}

int store_run_set_live(struct store *s, int64_t vm_id, const char *live,
		       struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_stmt(s, STMT_RUN_SET_LIVE, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, vm_id);
	sqlite3_bind_text(q, 2, live, -1, SQLITE_STATIC);
	r = store_step_done(s, q, "record the devices of the running VM", e);
	if (r == 0 && sqlite3_changes(s->db) == 0)
		r = not_running(vm_id, e);
	return r < 0 ? r : store_txn_commit(&t, e);
}

int store_run_live(struct store *s, int64_t vm_id, char **ret, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, STMT_RUN_LIVE, &q, e), rc;

	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, vm_id);
	rc = sqlite3_step(q);
	if (rc == SQLITE_DONE)
		return not_running(vm_id, e);
	if (rc != SQLITE_ROW)
		return store_error(s->db, rc, "read the running VM", e);
	*ret = strdup((const char *)sqlite3_column_text(q, 0));
	return *ret ? 0 : error_set(e, -ENOMEM, "out of memory");
}

int store_run_live_find(struct store *s, const char *text, int64_t *ret_vm_id,
			struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, STMT_RUN_LIVE_FIND, &q, e), rc;

	if (r < 0)
		return r;
	sqlite3_bind_text(q, 1, text, -1, SQLITE_STATIC);
	rc = sqlite3_step(q);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return store_error(s->db, rc, "look through running VMs", e);
	*ret_vm_id = rc == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
	return 0;
}

int store_run_clear(struct store *s, int64_t vm_id, struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_stmt(s, STMT_RUN_CLEAR, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, vm_id);
	r = store_step_done(s, q, "clear the running VM", e);
	return r < 0 ? r : store_txn_commit(&t, e);
}

static int collect(struct store *s, struct store_run **ret, size_t *ret_n,
		   struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	struct store_run *grown, *run;
	const char *boot_id;
	int r, rc;

	r = store_stmt(s, STMT_RUN_EACH, &q, e);
	if (r < 0)
		return r;
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		grown = reallocarray(*ret, *ret_n + 1, sizeof(**ret));
		if (!grown)
			return error_set(e, -ENOMEM, "out of memory");
		*ret = grown;
		run = &grown[(*ret_n)++];
		*run = (struct store_run){
			.vm_id = sqlite3_column_int64(q, 0),
			.pid = sqlite3_column_int64(q, 1),
			.start_time = (uint64_t)sqlite3_column_int64(q, 2),
		};
		boot_id = (const char *)sqlite3_column_text(q, 3);
		snprintf(run->boot_id, sizeof(run->boot_id), "%s",
			 boot_id ? boot_id : "");
	}
	return rc == SQLITE_DONE
		       ? 0
		       : store_error(s->db, rc, "list running VMs", e);
}

/* Copied first, as the callback clears the rows of what is gone. */
int store_run_each(struct store *s,
		   int (*each)(void *cookie, const struct store_run *run),
		   void *cookie, struct error *e)
{
	_cleanup_free_ struct store_run *list = NULL;
	size_t n = 0;
	int r;

	r = collect(s, &list, &n, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (each(cookie, &list[i]))
			break;
	return 0;
}
