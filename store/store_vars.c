/*
 * Decoded variables as rows, their generations, and the log of what changed.
 */
#include "store/store_vars.h"

#include <stdio.h>

static int get_generation(struct store *s, int64_t vm_id, int64_t *ret,
			  struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r = store_row_by_id(s, STMT_GENERATION, vm_id, &q, e);

	if (r == 0)
		*ret = sqlite3_column_int64(q, 0);
	return r;
}

/* A blob column of length 0 reads as NULL; data is then still one byte long,
 * so that a variable's pointers are never NULL. */
static int var_of_row(sqlite3_stmt *q, struct uefi_var *ret, struct error *e)
{
	const char *guid = (const char *)sqlite3_column_text(q, 0);
	const char *name = (const char *)sqlite3_column_text(q, 1);
	const void *timestamp = sqlite3_column_blob(q, 3);
	int timestamp_size = sqlite3_column_bytes(q, 3);
	struct uefi_var v = {
		.attributes = (uint32_t)sqlite3_column_int64(q, 2),
		.monotonic_count = (uint64_t)sqlite3_column_int64(q, 4),
		.pubkey_index = (uint32_t)sqlite3_column_int64(q, 5),
		.data_size = (size_t)sqlite3_column_bytes(q, 6),
	};

	snprintf(v.guid, sizeof(v.guid), "%s", guid ? guid : "");
	if (timestamp && timestamp_size == UEFI_TIMESTAMP_SIZE)
		memcpy(v.timestamp, timestamp, UEFI_TIMESTAMP_SIZE);
	v.name = strdup(name ? name : "");
	v.data = malloc(v.data_size + 1);
	if (!v.name || !v.data) {
		free(v.name);
		free(v.data);
		return error_set(e, -ENOMEM, "out of memory");
	}
	if (v.data_size > 0)
		memcpy(v.data, sqlite3_column_blob(q, 6), v.data_size);
	*ret = v;
	return 0;
}

static int load_rows(struct store *s, int64_t vm_id, struct uefi_vars *vars,
		     struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	struct uefi_var *grown;
	size_t allocated = 0;
	int r, rc;

	r = store_stmt(s, STMT_VAR_EACH, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, vm_id);
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		if (vars->count == allocated) {
			allocated = allocated ? 2 * allocated : 32;
			grown = reallocarray(vars->list, allocated,
					     sizeof(*grown));
			if (!grown)
				return error_set(e, -ENOMEM, "out of memory");
			vars->list = grown;
		}
		r = var_of_row(q, &vars->list[vars->count], e);
		if (r < 0)
			return r;
		vars->count++;
	}
	return rc == SQLITE_DONE ? 0
				 : store_error(s->db, rc, "list variables", e);
}

int store_vars_list(struct store *s, int64_t vm_id, struct uefi_vars *ret,
		    int64_t *ret_generation, struct error *e)
{
	_cleanup_(uefi_vars_done) struct uefi_vars vars = {0};
	int64_t generation = 0;
	int r;

	r = get_generation(s, vm_id, &generation, e);
	if (r == 0)
		r = load_rows(s, vm_id, &vars, e);
	if (r < 0)
		return r;
	if (ret_generation)
		*ret_generation = generation;
	*ret = vars;
	vars = (struct uefi_vars){0};
	return 0;
}

struct change {
	struct store *s;
	int64_t vm_id, generation, now_ms;
	const char *by;
	size_t count;
};

static int log_change(struct change *c, const struct uefi_var *v,
		      const char *what, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	char text[STORE_VAR_CHANGE_MAX];
	size_t shown;
	int r;

	r = store_stmt(c->s, STMT_VAR_LOG_ADD, &q, e);
	if (r < 0)
		return r;
	/* The name is the guest's, up to 128 KiB of it: show a beginning,
	 * cut between characters. */
	shown = strnlen(v->name, sizeof(text) - 16);
	while (shown > 0 && ((uint8_t)v->name[shown] & 0xc0) == 0x80)
		shown--;
	snprintf(text, sizeof(text), "%.*s %s", (int)shown, v->name, what);
	sqlite3_bind_int64(q, 1, c->vm_id);
	sqlite3_bind_int64(q, 2, c->generation);
	sqlite3_bind_int64(q, 3, c->now_ms);
	sqlite3_bind_text(q, 4, c->by, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 5, v->guid, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 6, text, -1, SQLITE_STATIC);
	c->count++;
	return store_step_done(c->s, q, "log a variable's change", e);
}

static int put_var(struct change *c, const struct uefi_var *v, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r;

	r = store_stmt(c->s, STMT_VAR_PUT, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, c->vm_id);
	sqlite3_bind_text(q, 2, v->guid, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, v->name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(q, 4, v->attributes);
	sqlite3_bind_blob(q, 5, v->timestamp, UEFI_TIMESTAMP_SIZE,
			  SQLITE_STATIC);
	sqlite3_bind_int64(q, 6, (int64_t)v->monotonic_count);
	sqlite3_bind_int64(q, 7, v->pubkey_index);
	sqlite3_bind_blob64(q, 8, v->data_size ? (void *)v->data : "",
			    v->data_size, SQLITE_STATIC);
	sqlite3_bind_int64(q, 9, c->generation);
	return store_step_done(c->s, q, "save a variable", e);
}

static int delete_var(struct change *c, const struct uefi_var *v,
		      struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	int r;

	r = store_stmt(c->s, STMT_VAR_DELETE, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, c->vm_id);
	sqlite3_bind_text(q, 2, v->guid, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 3, v->name, -1, SQLITE_STATIC);
	r = store_step_done(c->s, q, "delete a variable", e);
	return r < 0 ? r : log_change(c, v, "deleted", e);
}

static bool same_value(const struct uefi_var *a, const struct uefi_var *b)
{
	return a->attributes == b->attributes &&
	       a->monotonic_count == b->monotonic_count &&
	       a->pubkey_index == b->pubkey_index &&
	       memcmp(a->timestamp, b->timestamp, UEFI_TIMESTAMP_SIZE) == 0 &&
	       a->data_size == b->data_size &&
	       (a->data_size == 0 ||
		memcmp(a->data, b->data, a->data_size) == 0);
}

/* The order of VAR_EACH: SQLite's BINARY collation is memcmp, as strcmp is. */
static int compare(const struct uefi_var *a, const struct uefi_var *b)
{
	int order = strcmp(a->name, b->name);

	return order ? order : strcmp(a->guid, b->guid);
}

static int compare_pointers(const void *a, const void *b)
{
	return compare(*(const struct uefi_var *const *)a,
		       *(const struct uefi_var *const *)b);
}

/* Both sides in order, walked once: `old` are the rows, `new` the wish. */
static int merge(struct change *c, const struct uefi_vars *old,
		 const struct uefi_var **new, size_t n_new, struct error *e)
{
	size_t i = 0, j = 0;
	int order, r = 0;

	while (r == 0 && (i < old->count || j < n_new)) {
		if (j > 0 && j < n_new && compare(new[j - 1], new[j]) == 0) {
			j++; /* said twice: the first counts */
			continue;
		}
		order = i == old->count ? 1
			: j == n_new	? -1
					: compare(&old->list[i], new[j]);
		if (order < 0) {
			r = delete_var(c, &old->list[i++], e);
			continue;
		}
		if (order > 0 || !same_value(&old->list[i], new[j])) {
			r = put_var(c, new[j], e);
			if (r == 0)
				r = log_change(c, new[j],
					       order ? "added" : "changed", e);
		}
		i += order == 0;
		j++;
	}
	return r;
}

static int finish_generation(struct change *c, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *set = NULL, *prune = NULL;
	int r;

	r = store_stmt(c->s, STMT_GENERATION_SET, &set, e);
	if (r == 0)
		r = store_stmt(c->s, STMT_VAR_LOG_PRUNE, &prune, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(set, 1, c->vm_id);
	sqlite3_bind_int64(set, 2, c->generation);
	sqlite3_bind_int64(prune, 1, c->vm_id);
	sqlite3_bind_int64(prune, 2, STORE_VAR_LOG_MAX);
	r = store_step_done(c->s, set, "advance the generation", e);
	return r < 0 ? r
		     : store_step_done(c->s, prune, "drop old log lines", e);
}

int store_vars_put(struct store *s, int64_t vm_id, const struct uefi_vars *vars,
		   const char *by, struct error *e)
{
	_cleanup_(uefi_vars_done) struct uefi_vars old = {0};
	_cleanup_free_ const struct uefi_var **new = NULL;
	struct change c = {.s = s, .vm_id = vm_id, .by = by};
	int r;

	new = calloc(vars->count + 1, sizeof(*new));
	if (!new)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < vars->count; i++)
		new[i] = &vars->list[i];
	qsort(new, vars->count, sizeof(*new), compare_pointers);
	c.now_ms = store_now_ms();
	r = store_vars_list(s, vm_id, &old, &c.generation, e);
	if (r < 0)
		return r;
	c.generation++;
	r = merge(&c, &old, new, vars->count, e);
	return r < 0 || c.count == 0 ? r : finish_generation(&c, e);
}

int store_var_log_each(struct store *s, int64_t vm_id, int64_t limit,
		       int (*each)(void *cookie, const struct store_var_log *l),
		       void *cookie, struct error *e)
{
	_cleanup_stmt_ sqlite3_stmt *q = NULL;
	struct store_var_log line;
	int r, rc;

	r = store_stmt(s, STMT_VAR_LOG_EACH, &q, e);
	if (r < 0)
		return r;
	sqlite3_bind_int64(q, 1, vm_id);
	sqlite3_bind_int64(q, 2, limit);
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		line = (struct store_var_log){
			.generation = sqlite3_column_int64(q, 0),
			.time_ms = sqlite3_column_int64(q, 1),
			.by = (const char *)sqlite3_column_text(q, 2),
			.guid = (const char *)sqlite3_column_text(q, 3),
			.change = (const char *)sqlite3_column_text(q, 4),
		};
		if (each(cookie, &line))
			return 0;
	}
	return rc == SQLITE_DONE
		       ? 0
		       : store_error(s->db, rc, "list variable changes", e);
}
