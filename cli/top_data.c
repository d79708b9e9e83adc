#include <stdio.h>

#include "cli/top.h"

const char *const top_order_names[] = {
	[TOP_BY_CPU] = "cpu",	  [TOP_BY_MEMORY] = "memory",
	[TOP_BY_DISK] = "disk",	  [TOP_BY_NET] = "net",
	[TOP_BY_EXITS] = "exits", [TOP_BY_NAME] = "name",
	[TOP_ORDERS] = NULL,
};

void top_list_done(struct top_list *l)
{
	free(l->vms);
	*l = (struct top_list){0};
}

static int read_vm(json_object *o, struct top_vm *ret, struct error *e)
{
	json_object *totals = field_get(o, "totals");

	*ret = (struct top_vm){
		.vcpus = (uint32_t)field_u64(o, "vcpus"),
		.memory = field_u64(o, "memory"),
		.resident = field_u64(o, "resident"),
		.counted = totals,
	};
	snprintf(ret->uuid, sizeof(ret->uuid), "%s", field_text(o, "uuid"));
	snprintf(ret->name, sizeof(ret->name), "%s", field_text(o, "name"));
	snprintf(ret->state, sizeof(ret->state), "%s", field_text(o, "state"));
	output_clean(ret->name, "");
	output_clean(ret->state, "");
	return totals ? json_decode(totals, vm_stats_totals_fields, &ret->now,
				    "totals", e)
		      : 0;
}

int top_list_add(struct top_list *l, json_object *vm, struct error *e)
{
	if (l->n == l->allocated) {
		size_t allocated = l->allocated ? 2 * l->allocated : 64;
		struct top_vm *grown = reallocarray(l->vms, allocated,
						    sizeof(*grown));

		if (!grown)
			return error_set(e, -ENOMEM, "out of memory");
		l->vms = grown;
		l->allocated = allocated;
	}
	if (read_vm(vm, &l->vms[l->n], e) < 0)
		return -EINVAL;
	l->n++;
	return 0;
}

static int compare_uuids(const void *a, const void *b)
{
	return strcmp(((const struct top_vm *)a)->uuid,
		      ((const struct top_vm *)b)->uuid);
}

/* Counters of a VM that was started anew begin from 0 again. */
static double rate(uint64_t now, uint64_t before, double seconds)
{
	return (double)(now >= before ? now - before : now) / seconds;
}

static void rate_vm(struct top_vm *vm, const struct top_vm *before)
{
	const struct vm_stats_totals *a = &before->now, *b = &vm->now;
	double s = (double)(b->time_ns - a->time_ns) / 1e9;

	if (!vm->counted || !before->counted || b->time_ns <= a->time_ns)
		return;
	vm->rated = true;
	vm->cpu = rate(b->cpu_ns, a->cpu_ns, s) / 1e9;
	vm->exits = rate(b->exits, a->exits, s);
	vm->disk_read = rate(b->disk_read, a->disk_read, s);
	vm->disk_written = rate(b->disk_written, a->disk_written, s);
	vm->disk_requests = rate(b->disk_requests, a->disk_requests, s);
	vm->net_received = rate(b->net_received, a->net_received, s);
	vm->net_sent = rate(b->net_sent, a->net_sent, s);
}

void top_list_rate(struct top_list *l, struct top_list *before)
{
	if (before->n == 0)
		return;
	qsort(before->vms, before->n, sizeof(*before->vms), compare_uuids);
	for (size_t i = 0; i < l->n; i++) {
		const struct top_vm *was = bsearch(
			&l->vms[i], before->vms, before->n,
			sizeof(*before->vms), compare_uuids);

		if (was)
			rate_vm(&l->vms[i], was);
	}
}

static double weight(const struct top_vm *vm, enum top_order order)
{
	switch (order) {
	case TOP_BY_CPU: /* as it is shown: idle ones stay where they are */
		return (double)(int64_t)(vm->cpu * 1000 + 0.5);
	case TOP_BY_MEMORY:
		return (double)vm->resident;
	case TOP_BY_DISK:
		return vm->disk_read + vm->disk_written;
	case TOP_BY_NET:
		return vm->net_received + vm->net_sent;
	case TOP_BY_EXITS:
		return vm->exits;
	default:
		return 0; /* by name alone */
	}
}

struct sorting {
	enum top_order order;
	bool reverse;
};

static int compare(const void *pa, const void *pb, void *cookie)
{
	const struct top_vm *a = pa, *b = pb;
	const struct sorting *s = cookie;
	double x = weight(a, s->order), y = weight(b, s->order);
	int r = x > y ? -1 : x < y ? 1 : strcmp(a->name, b->name);

	return s->reverse ? -r : r;
}

void top_list_sort(struct top_list *l, enum top_order order, bool reverse)
{
	struct sorting s = {order, reverse};

	if (l->n > 0)
		qsort_r(l->vms, l->n, sizeof(*l->vms), compare, &s);
}

static void add(json_object *o, const char *key, double value)
{
	/* Two decimals tell as much as a sample of seconds knows. */
	double rounded = (double)(int64_t)(value * 100 + 0.5) / 100;

	json_object_object_add(o, key, json_object_new_double(rounded));
}

json_object *top_vm_to_json(const struct top_vm *vm)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "name", json_object_new_string(vm->name));
	json_object_object_add(o, "uuid", json_object_new_string(vm->uuid));
	json_object_object_add(o, "state", json_object_new_string(vm->state));
	json_object_object_add(o, "vcpus", json_object_new_int64(vm->vcpus));
	json_object_object_add(o, "memory", json_object_new_uint64(vm->memory));
	json_object_object_add(o, "resident",
			       json_object_new_uint64(vm->resident));
	if (!vm->rated)
		return o;
	add(o, "cpu_percent", vm->cpu * 100);
	add(o, "exits_per_second", vm->exits);
	add(o, "disk_read_bytes_per_second", vm->disk_read);
	add(o, "disk_written_bytes_per_second", vm->disk_written);
	add(o, "disk_requests_per_second", vm->disk_requests);
	add(o, "net_received_bytes_per_second", vm->net_received);
	add(o, "net_sent_bytes_per_second", vm->net_sent);
	return o;
}
