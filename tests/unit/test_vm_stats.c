#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "lib/model/vm_stats.h"

static void add_vcpus(struct vm_stats *s, size_t n, uint64_t value)
{
	s->vcpus = calloc(n, sizeof(*s->vcpus));
	assert_non_null(s->vcpus);
	s->n_vcpus = n;
	for (size_t i = 0; i < n; i++)
		s->vcpus[i] = (struct vm_stats_vcpu){value, value, value,
						     value, value, value,
						     value, value, value};
}

static void fill_op(struct io_op_stats *op, uint64_t value)
{
	*op = (struct io_op_stats){value, value, value, value};
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		op->latency.counts[i] = value;
}

static void add_disks(struct vm_stats *s, size_t n, uint64_t value)
{
	char id[21];

	for (size_t i = 0; i < n; i++) {
		struct vm_stats_disk *d;

		snprintf(id, sizeof(id), "disk%016u", (unsigned)i);
		d = vm_stats_add_disk(s, id);
		assert_non_null(d);
		d->in_flight = value;
		fill_op(&d->read, value);
		fill_op(&d->write, value);
		fill_op(&d->flush, value);
		fill_op(&d->discard, value);
	}
}

static void add_nics(struct vm_stats *s, size_t n, uint64_t value)
{
	char id[21];

	for (size_t i = 0; i < n; i++) {
		struct vm_stats_nic *nic;

		snprintf(id, sizeof(id), "nic%017u", (unsigned)i);
		nic = vm_stats_add_nic(s, id);
		assert_non_null(nic);
		nic->rx = nic->tx = (struct io_flow_stats){.frames = value,
							   .bytes = value,
							   .dropped = value,
							   .total_ns = value};
		for (unsigned k = 0; k < HISTOGRAM_BUCKETS; k++)
			nic->rx.latency.counts[k] = nic->tx.latency.counts[k] =
				value;
		nic->kernel = value;
	}
}

static void add_mmio(struct vm_stats *s, size_t n, uint64_t value)
{
	char name[32];

	for (size_t i = 0; i < n; i++) {
		struct vm_stats_mmio *m;

		snprintf(name, sizeof(name), "%031u", (unsigned)i);
		m = vm_stats_add_mmio(s, name);
		assert_non_null(m);
		m->reads = m->writes = value;
	}
}

static void test_round_trip(void **state)
{
	struct vm_stats s = {.time_ns = 5, .exits.mmio = 7}, back = {0};
	json_object *o, *again;

	add_vcpus(&s, 2, 11);
	add_disks(&s, 1, 13);
	add_nics(&s, 1, 0);
	add_mmio(&s, 1, 17);
	s.balloon.driver = true;
	o = json_encode(vm_stats_fields, &s);
	assert_int_equal(json_decode(o, vm_stats_fields, &back, "", NULL), 0);
	assert_int_equal(back.n_vcpus, 2);
	assert_int_equal(back.disks[0].flush.latency.counts[23], 13);
	assert_int_equal(back.nics[0].rx.frames, 0);
	again = json_encode(vm_stats_fields, &back);
	assert_string_equal(json_text(o), json_text(again));
	json_object_put(o);
	json_object_put(again);
	vm_stats_done(&s);
	vm_stats_done(&back);
	assert_null(s.disks);
}

static int judge(const char *text, struct error *e)
{
	_cleanup_json_ json_object *o = NULL;
	struct vm_stats s = {0};
	int r;

	assert_int_equal(json_parse(text, strlen(text), &o, e), 0);
	r = json_decode(o, vm_stats_fields, &s, "", e);
	vm_stats_done(&s);
	return r;
}

/* A supervisor may say anything. */
static void test_refusals(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"{\"colour\":1}", "colour: unknown field"},
		{"{\"time_ns\":-1}", "time_ns"},
		{"{\"vcpus\":7}", "vcpus"},
		{"{\"vcpus\":[{\"cpu_ns\":\"1\"}]}", "vcpus[0].cpu_ns"},
		{"{\"disks\":[{}]}", "disks[0].id: is required"},
		{"{\"disks\":[{\"id\":\"\"}]}", "disks[0].id"},
		{"{\"disks\":[{\"id\":\"x\",\"read\":{\"latency\":[0,0,0,0,0,"
		 "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}}]}",
		 "disks[0].read.latency: 25 elements are too many"},
		{"{\"nics\":[{\"id\":\"a\\\"b\"}]}", "nics[0].id"},
		{"{\"mmio\":[{\"device\":\"a\\\"b\"}]}", "mmio[0].device"},
		{"{\"mmio\":[{\"device\":\"012345678901234567890123456789"
		 "0123\"}]}",
		 "mmio[0].device"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error e = ERROR_INIT;

		assert_int_equal(judge(cases[i].text, &e), -EINVAL);
		assert_non_null(strstr(e.message, cases[i].says));
	}
}

/* As many as there may be, with the greatest numbers: each part fits a
 * message, and together they are all. */
static void test_parts(void **state)
{
	struct vm_stats s = {0}, whole = {0}, view, part;
	size_t from = 0, parts = 0;

	add_vcpus(&s, 512, UINT64_MAX);
	add_disks(&s, VM_STATS_DEVICES_MAX, UINT64_MAX);
	add_nics(&s, VM_STATS_DEVICES_MAX, UINT64_MAX);
	add_mmio(&s, VM_STATS_MMIO_MAX, UINT64_MAX);
	do {
		json_object *o;

		part = (struct vm_stats){0};
		from = vm_stats_part(&s, from, &view);
		o = json_encode(vm_stats_fields, &view);
		assert_in_range(strlen(json_text(o)), 1, KIB(60));
		assert_int_equal(
			json_decode(o, vm_stats_fields, &part, "", NULL), 0);
		json_object_put(o);
		assert_int_equal(vm_stats_join(&whole, &part), 0);
		vm_stats_done(&part);
		parts++;
	} while (from);
	assert_in_range(parts, 2, 32);
	assert_int_equal(whole.n_vcpus, 512);
	assert_int_equal(whole.n_disks, VM_STATS_DEVICES_MAX);
	assert_int_equal(whole.n_nics, VM_STATS_DEVICES_MAX);
	for (size_t i = 0; i < VM_STATS_DEVICES_MAX; i++) {
		assert_string_equal(whole.disks[i].id, s.disks[i].id);
		assert_string_equal(whole.nics[i].id, s.nics[i].id);
	}
	/* One that never ends is not taken. */
	from = vm_stats_part(&s, 0, &view);
	part = (struct vm_stats){0};
	add_vcpus(&part, 1, 1);
	assert_int_equal(vm_stats_join(&whole, &part), -EINVAL);
	vm_stats_done(&part);
	vm_stats_done(&whole);
	vm_stats_done(&s);
}

static void test_small_is_one_part(void **state)
{
	struct vm_stats s = {0}, view;

	assert_int_equal(vm_stats_part(&s, 0, &view), 0);
	add_vcpus(&s, 2, 1);
	add_disks(&s, 1, 1);
	add_nics(&s, 1, 1);
	assert_int_equal(vm_stats_part(&s, 0, &view), 0);
	assert_int_equal(view.n_vcpus, 2);
	assert_int_equal(view.n_disks, 1);
	assert_int_equal(view.n_nics, 1);
	/* From beyond the end: nothing, and the end. */
	assert_int_equal(vm_stats_part(&s, 99, &view), 0);
	assert_int_equal(view.n_vcpus + view.n_disks + view.n_nics, 0);
	vm_stats_done(&s);
}

static void test_bounds(void **state)
{
	struct vm_stats s = {0};

	add_mmio(&s, VM_STATS_MMIO_MAX, 1);
	assert_null(vm_stats_add_mmio(&s, "one more"));
	assert_int_equal(s.n_mmio, VM_STATS_MMIO_MAX);
	vm_stats_done(&s);
}

static void test_totals(void **state)
{
	struct vm_stats s = {.time_ns = 5, .cpu_ns = 6};
	struct vm_stats_nic *nic = vm_stats_add_nic(&s, "n");
	struct vm_stats_totals t;

	assert_non_null(nic);
	nic->rx.bytes = 8;
	nic->tx.bytes = 9;
	add_vcpus(&s, 2, 3);
	s.vcpus[0].exits = 10;
	s.vcpus[0].kvm_exits = 11;
	add_disks(&s, 2, 7);
	vm_stats_sum(&s, &t);
	assert_int_equal(t.time_ns, 5);
	assert_int_equal(t.cpu_ns, 6);
	assert_int_equal(t.exits, 11 + 3);
	assert_int_equal(t.disk_read, 2 * 7);
	assert_int_equal(t.disk_written, 2 * 7);
	assert_int_equal(t.disk_requests, 2 * 4 * 7);
	assert_int_equal(t.net_received, 8);
	assert_int_equal(t.net_sent, 9);
	vm_stats_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_small_is_one_part),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
