/*
 * VM definitions.
 */
#include "store/store_internal.h"

void store_vm_done(struct store_vm *vm)
{
	free(vm->uuid);
	free(vm->name);
	free(vm->config);
	*vm = (struct store_vm){0};
}

/* A name may not be another VM's uuid either: store_vm_get takes both. */
static int check_free(struct store *s, const char *uuid, const char *name,
		      struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	const char *other, *what;
	int r, rc;

	r = store_stmt(s, STMT_VM_TAKEN, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, uuid, -1, SQLITE_STATIC);
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

int store_vm_add(struct store *s, const char *uuid, const char *name,
		 const char *config, int64_t *ret_id, struct error *e)
{
	_cleanup_txn_ struct store_txn t = {0};
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int64_t id;
	int r;

	r = store_txn_begin(s, &t, e);
	if (r == 0)
		r = check_free(s, uuid, name, e);
	if (r == 0)
		r = store_stmt(s, STMT_VM_ADD, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_text(q, 1, uuid, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, config, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 4, store_now_ms());
	r = store_step_done(s, q, "add the VM", e);
	if (r < 0)
		return r;
	id = sqlite3_last_insert_rowid(s->db);
	r = store_txn_commit(&t, e);
	if (r == 0)
		*ret_id = id;
	return r;
}

/* Borrows the strings from the row. */
static struct store_vm vm_of_row(sqlite3_stmt *q)
{
	return (struct store_vm){
		.id = sqlite3_column_int64(q, 0),
		.uuid = (char *)sqlite3_column_text(q, 1),
		.name = (char *)sqlite3_column_text(q, 2),
		.config = (char *)sqlite3_column_text(q, 3),
		.revision = sqlite3_column_int64(q, 4),
		.created_ms = sqlite3_column_int64(q, 5),
	};
}

static int vm_copy(const struct store_vm *from, struct store_vm *ret,
		   struct error *e)
{
	struct store_vm vm = *from;

	vm.uuid = from->uuid ? strdup(from->uuid) : NULL;
	vm.name = from->name ? strdup(from->name) : NULL;
	vm.config = from->config ? strdup(from->config) : NULL;
	if (!vm.uuid || !vm.name || !vm.config) {
		store_vm_done(&vm);
		return error_set(e, -ENOMEM, "out of memory");
	}
	*ret = vm;
	return 0;
}

int store_vm_get(struct store *s, const char *name, struct store_vm *ret,
		 struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	struct store_vm row;
	int r, rc;

	r = store_stmt(s, STMT_VM_GET, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
	rc = sqlite3_step(q);
	if (rc == SQLITE_DONE)
		return error_set(e, -ENOENT, "no VM named \"%s\"", name);
	if (rc != SQLITE_ROW)
		return store_error(s->db, rc, "read the VM", e);
	row = vm_of_row(q);
	return vm_copy(&row, ret, e);
}

/*
 * The rows are copied before the first callback: it may write, and SQLite
 * leaves undefined what an open SELECT then sees.
 */
static int collect(struct store *s, struct store_vm **ret, size_t *ret_n,
		   struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	struct store_vm *grown, row;
	int r, rc;

	r = store_stmt(s, STMT_VM_EACH, &q, e);
	if (r < 0)
		return r;
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		grown = reallocarray(*ret, *ret_n + 1, sizeof(**ret));
		if (!grown)
			return error_set(e, -ENOMEM, "out of memory");
		*ret = grown;
		row = vm_of_row(q);
		r = vm_copy(&row, &grown[*ret_n], e);
		if (r < 0)
			return r;
		++*ret_n;
	}
	return rc == SQLITE_DONE ? 0 : store_error(s->db, rc, "list VMs", e);
}

int store_vm_each(struct store *s,
		  int (*each)(void *cookie, const struct store_vm *vm),
		  void *cookie, struct error *e)
{
	struct store_vm *list = NULL;
	size_t n = 0;
	int r, stop = 0;

	r = collect(s, &list, &n, e);
	for (size_t i = 0; i < n; i++) {
		if (r == 0 && !stop)
			stop = each(cookie, &list[i]);
		store_vm_done(&list[i]);
	}
	free(list);
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
