/*
 * Copies of variable stores, and those kept after their VM was deleted.
 */
#include "store/store_internal.h"

static int copy_store(struct store *s, enum store_stmt_id id, int64_t from,
		      int64_t to, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, id, &q, e);

	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, from);
	sqlite3_bind_int64(q, 2, to);
	return store_step_done(s, q, "copy the variable store", e);
}

int store_vm_clone(struct store *s, int64_t from, const char *uuid,
		   const char *name, const char *config, int64_t *ret_id,
		   struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	int64_t id = 0;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_vm_add(s, uuid, name, config, &id, e);
	if (r == 0)
		r = copy_store(s, STMT_CLONE_BLOCKS, from, id, e);
	if (r == 0)
		r = copy_store(s, STMT_CLONE_VARS, from, id, e);
	if (r == 0)
		r = copy_store(s, STMT_CLONE_GENERATION, from, id, e);
	if (r == 0)
		r = store_txn_commit(&t, e);
	if (r == 0)
		*ret_id = id;
	return r;
}

int store_vm_keep(struct store *s, int64_t vm_id, struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL, *labels = NULL;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_stmt(s, STMT_VM_KEEP, &q, e);
	if (r == 0)
		r = store_stmt(s, STMT_LABELS_DROP, &labels, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, vm_id);
	sqlite3_bind_int64(q, 2, store_now_ms());
	sqlite3_bind_int64(labels, 1, vm_id);
	r = store_step_done(s, q, "keep the variable store", e);
	if (r < 0)
		return r;
	if (sqlite3_changes(s->db) == 0)
		return error_set(e, -ENOENT, "no VM with row %lld",
				 (long long)vm_id);
	r = store_step_done(s, labels, "drop labels", e);
	return r < 0 ? r : store_txn_commit(&t, e);
}

int store_kept_each(struct store *s,
		    int (*each)(void *cookie, const struct store_kept *kept),
		    void *cookie, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, STMT_KEPT_EACH, &q, e), rc;

	if (r < 0)
		return r;
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		struct store_kept kept = {
			.uuid = (const char *)sqlite3_column_text(q, 1),
			.name = (const char *)sqlite3_column_text(q, 2),
			.kept_ms = sqlite3_column_int64(q, 3),
			.variables = sqlite3_column_int64(q, 4),
		};

		if (each(cookie, &kept))
			return 0;
	}
	return rc == SQLITE_DONE
		       ? 0
		       : store_error(s->db, rc, "list kept variable stores", e);
}

int store_kept_forget(struct store *s, const char *uuid, struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_stmt(s, STMT_KEPT_DELETE, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_text(q, 1, uuid, -1, SQLITE_STATIC);
	r = store_step_done(s, q, "forget the variable store", e);
	if (r < 0)
		return r;
	if (sqlite3_changes(s->db) == 0)
		return error_set(e, -ENOENT,
				 "no variable store is kept under uuid %s",
				 uuid);
	return store_txn_commit(&t, e);
}
