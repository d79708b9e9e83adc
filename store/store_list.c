/*
 * Lists of VMs: pages for the API, whole sets for the daemon's start.
 */
#include "store/store_internal.h"

#include <stdio.h>

/*
 * The rows are copied before the first callback: it may write, and SQLite
 * leaves undefined what an open SELECT then sees.
 */
static int collect(struct store *s, enum store_vm_set which,
		   struct store_vm **ret, size_t *ret_n, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	static const enum store_stmt_id statements[] = {
		[STORE_VM_ALL] = STMT_VM_EACH,
		[STORE_VM_LEFT] = STMT_VM_LEFT,
		[STORE_VM_AUTOSTART] = STMT_VM_AUTOSTART,
	};
	struct store_vm *grown, row;
	int r, rc;

	r = store_stmt(s, statements[which], &q, e);
	if (r < 0)
		return r;
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		grown = reallocarray(*ret, *ret_n + 1, sizeof(**ret));
		if (!grown)
			return error_set(e, -ENOMEM, "out of memory");
		*ret = grown;
		row = store_vm_of_row(q);
		r = store_vm_copy(&row, &grown[*ret_n], e);
		if (r < 0)
			return r;
		++*ret_n;
	}
	return rc == SQLITE_DONE ? 0 : store_error(s->db, rc, "list VMs", e);
}

int store_vm_each(struct store *s, enum store_vm_set which,
		  int (*each)(void *cookie, const struct store_vm *vm),
		  void *cookie, struct error *e)
{
	struct store_vm *list = NULL;
	size_t n = 0;
	int r, stop = 0;

	r = collect(s, which, &list, &n, e);
	for (size_t i = 0; i < n; i++) {
		if (r == 0 && !stop)
			stop = each(cookie, &list[i]);
		store_vm_done(&list[i]);
	}
	free(list);
	return r;
}

#define LIST_COLUMNS                                                   \
	"SELECT id, revision, started_ms, uuid, name, state, reason, " \
	"hypervisor, labels, vcpus, memory, disks, nics, autostart "

/* Each label is one more condition, so the statement is made for the call. */
static int prepare_list(struct store *s, const struct store_list *list,
			sqlite3_stmt **ret, struct error *e)
{
	static const char label[] = " AND id IN (SELECT vm_id FROM vm_label "
				    "WHERE key = ? AND value = ?)";
	char sql[512 + STORE_LIST_LABELS_MAX * sizeof(label)];
	int n, rc;

	if (list->n_labels > STORE_LIST_LABELS_MAX)
		return error_set(e, -EINVAL,
				 "a list filters by at most %d labels",
				 STORE_LIST_LABELS_MAX);
	n = snprintf(sql, sizeof(sql),
		     LIST_COLUMNS "FROM vm WHERE kept_ms = 0 AND name > ?%s",
		     list->state ? " AND state = ?" : "");
	for (size_t i = 0; i < list->n_labels; i++)
		n += snprintf(sql + n, sizeof(sql) - (size_t)n, "%s", label);
	snprintf(sql + n, sizeof(sql) - (size_t)n, " ORDER BY name LIMIT ?");
	rc = sqlite3_prepare_v2(s->db, sql, -1, ret, NULL);
	return rc == SQLITE_OK ? 0 : store_error(s->db, rc, "list VMs", e);
}

static void bind_list(sqlite3_stmt *q, const struct store_list *list)
{
	int at = 1;

	sqlite3_bind_text(q, at++, list->after ? list->after : "", -1,
			  SQLITE_STATIC);
	if (list->state)
		sqlite3_bind_text(q, at++, list->state, -1, SQLITE_STATIC);
	for (size_t i = 0; i < list->n_labels; i++) {
		sqlite3_bind_text(q, at++, list->labels[i].key, -1,
				  SQLITE_STATIC);
		sqlite3_bind_text(q, at++, list->labels[i].value, -1,
				  SQLITE_STATIC);
	}
	sqlite3_bind_int64(q, at, list->limit);
}

static struct store_vm_row list_row(sqlite3_stmt *q)
{
	return (struct store_vm_row){
		.id = sqlite3_column_int64(q, 0),
		.revision = sqlite3_column_int64(q, 1),
		.started_ms = sqlite3_column_int64(q, 2),
		.uuid = (const char *)sqlite3_column_text(q, 3),
		.name = (const char *)sqlite3_column_text(q, 4),
		.state = (const char *)sqlite3_column_text(q, 5),
		.reason = (const char *)sqlite3_column_text(q, 6),
		.hypervisor = (const char *)sqlite3_column_text(q, 7),
		.labels = (const char *)sqlite3_column_text(q, 8),
		.vcpus = sqlite3_column_int64(q, 9),
		.memory = sqlite3_column_int64(q, 10),
		.disks = sqlite3_column_int64(q, 11),
		.nics = sqlite3_column_int64(q, 12),
		.autostart = sqlite3_column_int64(q, 13) > 0,
	};
}

int store_vm_list(struct store *s, const struct store_list *list,
		  int (*each)(void *cookie, const struct store_vm_row *row),
		  void *cookie, struct error *e)
{
	sqlite3_stmt *q = NULL;
	int r = prepare_list(s, list, &q, e), rc = SQLITE_DONE;

	if (r < 0)
		return r;
	bind_list(q, list);
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		struct store_vm_row row = list_row(q);

		if (each(cookie, &row)) {
			rc = SQLITE_DONE;
			break;
		}
	}
	if (rc != SQLITE_DONE)
		r = store_error(s->db, rc, "list VMs", e);
	sqlite3_finalize(q);
	return r;
}

int store_vm_count(struct store *s, int64_t *ret, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_stmt(s, STMT_VM_COUNT, &q, e), rc;

	if (r < 0)
		return r;
	rc = sqlite3_step(q);
	if (rc != SQLITE_ROW)
		return store_error(s->db, rc, "count VMs", e);
	*ret = sqlite3_column_int64(q, 0);
	return 0;
}

/* The first letter is seldom the wrong one: those with the same, of about the
 * same length. */
char **store_vm_names_near(struct store *s, const char *name, size_t max)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	char low[2] = {name[0]}, high[2] = {(char)(name[0] + 1)};
	size_t bytes = (max + 1) * sizeof(char *), n = 0, length;
	char **list, *text;

	if (store_stmt(s, STMT_VM_NEAR, &q, NULL) < 0 || name[0] <= 0)
		return NULL;
	sqlite3_bind_text(q, 1, low, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, high, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, (int64_t)strlen(name) - 2);
	sqlite3_bind_int64(q, 4, (int64_t)strlen(name) + 2);
	sqlite3_bind_int64(q, 5, (int64_t)max);
	/* Pointers first, then as much text as names of that length need. */
	length = strlen(name) + 3;
	list = calloc(1, bytes + max * length);
	text = (char *)list + bytes;
	while (list && n < max && sqlite3_step(q) == SQLITE_ROW) {
		snprintf(text, length, "%s",
			 (const char *)sqlite3_column_text(q, 0));
		list[n++] = text;
		text += length;
	}
	return list;
}
