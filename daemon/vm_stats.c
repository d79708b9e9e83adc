#include "daemon/vm_stats.h"

#include <stdio.h>
#include <unistd.h>

#include "daemon/nic_host.h"
#include "daemon/supervisor_link.h"
#include "daemon/tap_stats.h"
#include "daemon/vm_live.h"

/* As long as a supervisor may take that is only busy. */
#define TIMEOUT_MS 3000
/* Of one VM; what a supervisor needs at most is far less. */
#define PARTS_MAX 64

struct gather;

/* One VM being asked. */
struct ask {
	struct gather *gather;
	struct vm_stats_row row;
	unsigned parts;
};

struct gather {
	struct ask *asks;
	size_t n_asks, pending;
	bool more;
	vm_stats_fn done;
	void *cookie;
};

static void gather_end(struct gather *g)
{
	struct vm_stats_row *rows = calloc(g->n_asks ? g->n_asks : 1,
					   sizeof(*rows));
	size_t n = rows ? g->n_asks : 0;

	for (size_t i = 0; i < n; i++)
		rows[i] = g->asks[i].row;
	g->done(g->cookie, rows, n, g->more);
	for (size_t i = 0; i < g->n_asks; i++)
		vm_stats_done(rows ? &rows[i].stats : &g->asks[i].row.stats);
	free(rows);
	free(g->asks);
	free(g);
}

static void ask_end(struct ask *a)
{
	if (--a->gather->pending == 0)
		gather_end(a->gather);
}

static void ask_from(struct ask *a, struct vm *vm, uint64_t from);

/* Of the reply only what is known, and within bounds; *ret_next is from where
 * to go on. */
static int take_part(struct ask *a, json_object *reply, uint64_t *ret_next,
		     struct error *e)
{
	json_object *stats = NULL, *next = NULL;
	struct vm_stats part = {0};
	int r;

	json_object_object_get_ex(reply, "stats", &stats);
	json_object_object_get_ex(reply, "next", &next);
	*ret_next = next ? json_object_get_uint64(next) : 0;
	r = json_decode(stats, vm_stats_fields, &part, "stats", e);
	if (r == 0 && a->parts++ == 0) {
		a->row.stats = part;
		return 0;
	}
	if (r == 0) {
		r = vm_stats_join(&a->row.stats, &part);
		if (r == -ENOMEM)
			error_set(e, r, "out of memory");
		else if (r < 0 || a->parts > PARTS_MAX)
			r = error_set(e, -EINVAL,
				      "the supervisor of %s tells of more "
				      "devices than a VM may have",
				      a->row.name);
	}
	vm_stats_done(&part);
	return r;
}

/* Only taps this VM was given: those of its definition, those that nic_host.c
 * names after it, and those it got live. */
static bool has_tap(const struct vm *vm, const char *name)
{
	if (strchr(name, '/'))
		return false;
	for (size_t i = 0; i < vm->config.n_nics; i++)
		if (vm->config.nics[i].tap &&
		    streq(vm->config.nics[i].tap, name))
			return true;
	return nic_host_made(vm, name) || vm_live_has_tap(vm, name);
}

static void read_taps(const struct vm *vm, struct vm_stats *s)
{
	for (size_t i = 0; i < s->n_nics; i++) {
		struct vm_stats_nic *nic = &s->nics[i];

		if (nic->tap && has_tap(vm, nic->tap))
			tap_stats_read(nic->tap, &nic->rx, &nic->tx);
	}
}

static void part_cb(struct vm *vm, void *cookie, json_object *reply, int *fds,
		    size_t n_fds, const struct error *e)
{
	struct ask *a = cookie;
	uint64_t next = 0;

	if (e)
		a->row.error = *e;
	else if (take_part(a, reply, &next, &a->row.error) == 0)
		a->row.answered = next == 0;
	if (a->row.answered)
		read_taps(vm, &a->row.stats);
	if (next && !a->row.error.err)
		ask_from(a, vm, next);
	else
		ask_end(a);
}

static void ask_from(struct ask *a, struct vm *vm, uint64_t from)
{
	json_object *body = json_object_new_object();

	json_object_object_add(body, "from", json_object_new_uint64(from));
	link_request(vm->supervisor, "stats", body, NULL, 0, TIMEOUT_MS,
		     part_cb, a);
}

/* 0 when it cannot be read: the process may be going. */
static uint64_t resident_bytes(pid_t pid)
{
	unsigned long pages = 0;
	char path[40];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void row_init(struct vm_stats_row *row, const struct vm *vm)
{
	snprintf(row->name, sizeof(row->name), "%s", vm->config.name);
	snprintf(row->uuid, sizeof(row->uuid), "%s", vm->config.uuid);
	row->state = vm->state;
	row->vcpus = vm->config.vcpus;
	row->memory = vm->config.memory_bytes;
	row->resident = resident_bytes(vm->supervisor->pid);
}

static int gather_run(struct vm *const *vms, size_t n, bool more,
		      vm_stats_fn done, void *cookie, struct error *e)
{
	struct gather *g = calloc(1, sizeof(*g));

	if (g)
		g->asks = calloc(n ? n : 1, sizeof(*g->asks));
	if (!g || !g->asks) {
		free(g);
		return error_set(e, -ENOMEM, "out of memory");
	}
	*g = (struct gather){g->asks, n, n + 1, more, done, cookie};
	for (size_t i = 0; i < n; i++) {
		g->asks[i].gather = g;
		row_init(&g->asks[i].row, vms[i]);
		ask_from(&g->asks[i], vms[i], 0);
	}
	/* Answers that came at once have not ended it before all were asked. */
	if (--g->pending == 0)
		gather_end(g);
	return 0;
}

int vm_stats_of(struct vm *vm, vm_stats_fn done, void *cookie, struct error *e)
{
	return gather_run(&vm, 1, false, done, cookie, e);
}

static int compare(const void *a, const void *b)
{
	const struct vm *const *x = a, *const *y = b;

	return strcmp((*x)->config.name, (*y)->config.name);
}

static bool wanted(const struct vm *vm, const struct vm_stats_filter *f)
{
	const struct api_identity labels = {.labels = f->labels};

	return vm->supervisor && vm_state_active(vm->state) &&
	       access_covers(f->who, vm->config.labels) &&
	       access_covers(&labels, vm->config.labels) &&
	       (!f->after || strcmp(vm->config.name, f->after) > 0);
}

int vm_stats_list(struct manager *m, const struct vm_stats_filter *filter,
		  vm_stats_fn done, void *cookie, struct error *e)
{
	_cleanup_free_ struct vm **vms = NULL;
	size_t n = 0, most = 0;
	bool more;

	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		most++;
	vms = calloc(most ? most : 1, sizeof(struct vm *));
	if (!vms)
		return error_set(e, -ENOMEM, "out of memory");
	for (struct vm *vm = m->vms; vm; vm = vm->next)
		if (wanted(vm, filter))
			vms[n++] = vm;
	qsort(vms, n, sizeof(struct vm *), compare);
	more = filter->limit && n > filter->limit;
	return gather_run(vms, more ? filter->limit : n, more, done, cookie, e);
}

static json_object *totals_json(const struct vm_stats *s)
{
	struct vm_stats_totals t;

	vm_stats_sum(s, &t);
	return json_encode(vm_stats_totals_fields, &t);
}

json_object *vm_stats_to_json(struct vm_stats_row *row, bool totals)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "name", json_object_new_string(row->name));
	json_object_object_add(o, "uuid", json_object_new_string(row->uuid));
	json_object_object_add(
		o, "state", json_object_new_string(vm_state_name(row->state)));
	json_object_object_add(o, "vcpus", json_object_new_uint64(row->vcpus));
	json_object_object_add(o, "memory",
			       json_object_new_uint64(row->memory));
	json_object_object_add(o, "resident",
			       json_object_new_uint64(row->resident));
	if (row->answered && totals)
		json_object_object_add(o, "totals", totals_json(&row->stats));
	else if (row->answered)
		json_object_object_add(
			o, "stats", json_encode(vm_stats_fields, &row->stats));
	else
		json_object_object_add(
			o, "error", json_object_new_string(row->error.message));
	return o;
}
