/*
 * VM definitions.
 */
#include "store/store_internal.h"

#include "lib/base/parse.h"

void store_vm_done(struct store_vm *vm)
{
	free(vm->uuid);
	free(vm->name);
	free(vm->config);
	free(vm->state);
	free(vm->reason);
	*vm = (struct store_vm){0};
}

/* A name may not be another VM's uuid either: store_vm_get takes both. */
static int check_free(struct store *s, const char *uuid, const char *name,
		      int64_t but_id, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	const char *other, *what;
	int r, rc;

	r = store_stmt(s, STMT_VM_TAKEN, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, uuid, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, but_id);
	rc = sqlite3_step(q);
	if (rc == SQLITE_DONE)
		return 0;
	if (rc != SQLITE_ROW)
		return store_error(s->db, rc, "look for the VM's name", e);
	other = (const char *)sqlite3_column_text(q, 0);
	what = (const char *)sqlite3_column_text(q, 1);
	if (streq(other, name))
		return error_set(e, -EEXIST,
				 "a VM named \"%s\" exists already; choose "
				 "another name or delete that one",
				 name);
	return error_set(e, -EEXIST, "the uuid %s belongs to VM \"%s\" already",
			 what, other);
}

/*
 * Why a row was refused: two guests with one address, of which only one could
 * be started. Looked for afterwards, since few have any. `r` is the refusal.
 */
static int explain_cid(struct store *s, const char *config, int64_t but_id,
		       int r, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;

	if (r != -EEXIST || store_stmt(s, STMT_VM_CID_TAKEN, &q, e) < 0)
		return r;
	sqlite3_bind_text(q, 1, config, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 2, but_id);
	if (sqlite3_step(q) != SQLITE_ROW)
		return r;
	return error_set(e, -EEXIST,
			 "vsock.cid: %lld is the one of VM \"%s\" already; "
			 "use auto, or another",
			 (long long)sqlite3_column_int64(q, 1),
			 (const char *)sqlite3_column_text(q, 0));
}

static int drop_labels(struct store *s, int64_t vm_id, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, STMT_LABELS_DROP, &q, e);

	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, vm_id);
	return store_step_done(s, q, "drop labels", e);
}

/* To a VM that has none. */
static int add_labels(struct store *s, int64_t vm_id, const char *config,
		      struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, STMT_LABELS_ADD, &q, e);

	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, vm_id);
	sqlite3_bind_text(q, 2, config, -1, SQLITE_STATIC);
	return store_step_done(s, q, "save labels", e);
}

static int insert(struct store *s, const char *uuid, const char *name,
		  const char *config, int64_t *ret_id, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, STMT_VM_ADD, &q, e);

	if (r < 0)
		return r;
	sqlite3_bind_text(q, 1, config, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, uuid, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 4, store_now_ms());
	r = store_step_done(s, q, "add the VM", e);
	if (r < 0)
		return explain_cid(s, config, 0, r, e);
	*ret_id = sqlite3_last_insert_rowid(s->db);
	return add_labels(s, *ret_id, config, e);
}

static int update(struct store *s, int64_t vm_id, const char *name,
		  const char *config, int64_t *ret_revision, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, STMT_VM_UPDATE, &q, e), rc;

	if (r < 0)
		return r;
	sqlite3_bind_text(q, 1, config, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 2, vm_id);
	sqlite3_bind_text(q, 3, name, -1, SQLITE_STATIC);
	rc = sqlite3_step(q);
	if (rc == SQLITE_DONE)
		return error_set(e, -ENOENT, "no VM with row %lld",
				 (long long)vm_id);
	if (rc != SQLITE_ROW) {
		r = store_error(s->db, rc, "change the VM", e);
		return explain_cid(s, config, vm_id, r, e);
	}
	*ret_revision = sqlite3_column_int64(q, 0);
	/* RETURNING gives its row before the statement has ended. */
	rc = sqlite3_step(q);
	if (rc != SQLITE_DONE)
		return store_error(s->db, rc, "change the VM", e);
	r = drop_labels(s, vm_id, e);
	return r < 0 ? r : add_labels(s, vm_id, config, e);
}

/* 0 in *ret_id when none is kept under this uuid. */
static int find_kept(struct store *s, const char *uuid, int64_t *ret_id,
		     struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, STMT_VM_KEPT, &q, e), rc;

	if (r < 0)
		return r;
	sqlite3_bind_text(q, 1, uuid, -1, SQLITE_STATIC);
	rc = sqlite3_step(q);
	*ret_id = rc == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
	return rc == SQLITE_ROW || rc == SQLITE_DONE
		       ? 0
		       : store_error(s->db, rc,
				     "look for a kept variable store", e);
}

/* A variable store that was kept becomes a VM again. */
static int unkeep(struct store *s, int64_t id, const char *name,
		  struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, STMT_VM_UNKEEP, &q, e);

	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, id);
	sqlite3_bind_text(q, 2, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, store_now_ms());
	return store_step_done(s, q, "pick up the variable store", e);
}

int store_vm_add(struct store *s, const char *uuid, const char *name,
		 const char *config, int64_t *ret_id, struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	int64_t id = 0, revision;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = check_free(s, uuid, name, 0, e);
	if (r == 0)
		r = find_kept(s, uuid, &id, e);
	if (r == 0 && id)
		r = unkeep(s, id, name, e);
	if (r == 0 && id)
		r = update(s, id, name, config, &revision, e);
	else if (r == 0)
		r = insert(s, uuid, name, config, &id, e);
	if (r == 0)
		r = store_txn_commit(&t, e);
	if (r == 0)
		*ret_id = id;
	return r;
}

int store_vm_update(struct store *s, int64_t vm_id, const char *name,
		    const char *config, int64_t *ret_revision, struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	int64_t revision;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = check_free(s, name, name, vm_id, e);
	if (r == 0)
		r = update(s, vm_id, name, config, &revision, e);
	if (r == 0)
		r = store_txn_commit(&t, e);
	if (r == 0)
		*ret_revision = revision;
	return r;
}

int store_vm_state(struct store *s, int64_t vm_id, const char *state,
		   const char *reason, int64_t started_ms, struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_stmt(s, STMT_VM_STATE, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, vm_id);
	sqlite3_bind_text(q, 2, state, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, reason, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 4, started_ms);
	r = store_step_done(s, q, "record the VM's state", e);
	return r < 0 ? r : store_txn_commit(&t, e);
}

/* Borrows the strings from the row. */
struct store_vm store_vm_of_row(sqlite3_stmt *q)
{
	return (struct store_vm){
		.id = sqlite3_column_int64(q, 0),
		.uuid = (char *)sqlite3_column_text(q, 1),
		.name = (char *)sqlite3_column_text(q, 2),
		.config = (char *)sqlite3_column_text(q, 3),
		.revision = sqlite3_column_int64(q, 4),
		.created_ms = sqlite3_column_int64(q, 5),
		.state = (char *)sqlite3_column_text(q, 6),
		.reason = (char *)sqlite3_column_text(q, 7),
		.started_ms = sqlite3_column_int64(q, 8),
	};
}

int store_vm_copy(const struct store_vm *from, struct store_vm *ret,
		  struct error *e)
{
	struct store_vm vm = *from;

	vm.uuid = from->uuid ? strdup(from->uuid) : NULL;
	vm.name = from->name ? strdup(from->name) : NULL;
	vm.config = from->config ? strdup(from->config) : NULL;
	vm.state = from->state ? strdup(from->state) : NULL;
	vm.reason = from->reason ? strdup(from->reason) : NULL;
	if (!vm.uuid || !vm.name || !vm.config || !vm.state || !vm.reason) {
		store_vm_done(&vm);
		return error_set(e, -ENOMEM, "out of memory");
	}
	*ret = vm;
	return 0;
}

/* The row of a statement that looks a VM up by ?1. */
static int row_by_text(struct store *s, enum store_stmt_id id, const char *name,
		       sqlite3_stmt **ret, struct error *e)
{
	int r = store_stmt(s, id, ret, e), rc;

	if (r < 0)
		return r;
	sqlite3_bind_text(*ret, 1, name, -1, SQLITE_STATIC);
	rc = sqlite3_step(*ret);
	if (rc == SQLITE_DONE)
		return error_set(e, -ENOENT, "no VM named \"%s\"", name);
	return rc == SQLITE_ROW ? 0
				: store_error(s->db, rc, "look for the VM", e);
}

/* One index is looked into, not two: what is no uuid is nobody's, and a name
 * is never another VM's uuid (check_free). */
static int row_by_name(struct store *s, enum store_stmt_id by_name,
		       enum store_stmt_id by_uuid, const char *name,
		       sqlite3_stmt **ret, struct error *e)
{
	struct error why = ERROR_INIT;
	int r = -ENOENT;

	if (uuid_valid(name))
		r = row_by_text(s, by_uuid, name, ret, &why);
	if (r == -ENOENT) {
		store_stmt_resetp(ret);
		return row_by_text(s, by_name, name, ret, e);
	}
	if (r < 0 && e)
		*e = why;
	return r;
}

int store_vm_get(struct store *s, const char *name, struct store_vm *ret,
		 struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	struct store_vm row;
	int r = row_by_name(s, STMT_VM_GET, STMT_VM_GET_UUID, name, &q, e);

	if (r < 0)
		return r;
	row = store_vm_of_row(q);
	return store_vm_copy(&row, ret, e);
}

int store_vm_get_id(struct store *s, int64_t vm_id, struct store_vm *ret,
		    struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	struct store_vm row;
	int r = store_row_by_id(s, STMT_VM_GET_ID, vm_id, &q, e);

	if (r < 0)
		return r;
	row = store_vm_of_row(q);
	return store_vm_copy(&row, ret, e);
}

int store_vm_id(struct store *s, const char *name, int64_t *ret_id,
		struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = row_by_name(s, STMT_VM_ID, STMT_VM_ID_UUID, name, &q, e);

	if (r == 0)
		*ret_id = sqlite3_column_int64(q, 0);
	return r;
}

int store_vm_revision(struct store *s, int64_t vm_id, int64_t *ret,
		      struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_row_by_id(s, STMT_VM_REVISION, vm_id, &q, e);

	if (r == 0)
		*ret = sqlite3_column_int64(q, 0);
	return r;
}

int store_vm_delete(struct store *s, int64_t vm_id, struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = store_stmt(s, STMT_VM_DELETE, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, vm_id);
	r = store_step_done(s, q, "delete the VM", e);
	if (r < 0)
		return r;
	if (sqlite3_changes(s->db) == 0)
		return error_set(e, -ENOENT, "no VM with row %lld",
				 (long long)vm_id);
	return store_txn_commit(&t, e);
}

static int query_cid(struct store *s, enum store_stmt_id id, uint32_t min,
		     uint32_t max, int64_t *ret, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, id, &q, e), rc;

	if (r < 0)
		return r;
	if (id == STMT_VM_CID_GAP) {
		sqlite3_bind_int64(q, 1, min);
		sqlite3_bind_int64(q, 2, max);
	}
	rc = sqlite3_step(q);
	if (rc != SQLITE_ROW)
		return store_error(s->db, rc, "look for a cid", e);
	*ret = sqlite3_column_int64(q, 0);
	return 0;
}

int store_vsock_cid_free(struct store *s, uint32_t min, uint32_t max,
			 uint32_t *ret, struct error *e)
{
	int64_t cid;
	int r = query_cid(s, STMT_VM_CID_LAST, min, max, &cid, e);

	cid++;
	/* Someone chose the highest there is: then the first gap. */
	if (r == 0 && cid > max)
		r = query_cid(s, STMT_VM_CID_GAP, min, max, &cid, e);
	if (r < 0)
		return r;
	if (cid == 0)
		return error_set(e, -ENOSPC, "all cids are taken");
	*ret = (uint32_t)MAX(cid, (int64_t)min);
	return 0;
}
