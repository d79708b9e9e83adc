#include "tests/unit/device_harness.h"

#include <pthread.h>
#include <stdio.h>

/* A device that remembers the last access and answers all ones. */
struct probe {
	struct mmio_region region;
	uint64_t offset, value;
	unsigned size, reads, writes;
	struct bus *move_on; /* write moves the region here by its value */
};

static uint64_t probe_read(void *dev, uint64_t offset, unsigned size)
{
	struct probe *p = dev;

	p->offset = offset;
	p->size = size;
	p->reads++;
	return UINT64_MAX;
}

static void probe_write(void *dev, uint64_t offset, unsigned size,
			uint64_t value)
{
	struct probe *p = dev;

	p->offset = offset;
	p->size = size;
	p->value = value;
	p->writes++;
	if (p->move_on)
		bus_region_move(p->move_on, &p->region, value, true);
}

static const struct mmio_ops probe_ops = {
	.read = probe_read,
	.write = probe_write,
};

static struct probe probe_at(uint64_t base, uint64_t size)
{
	return (struct probe){
		.region = {.name = "probe",
			   .base = base,
			   .size_bytes = size,
			   .ops = &probe_ops,
			   .enabled = true},
	};
}

static int add(struct bus *b, struct probe *p)
{
	p->region.dev = p;
	return bus_add(b, &p->region);
}

static void test_access_reaches_its_region(void **state)
{
	struct probe low = probe_at(0x1000, 0x100);
	struct probe high = probe_at(0x1100, 0x100);
	_cleanup_(bus_freep) struct bus *b = NULL;
	uint64_t v;

	assert_int_equal(bus_new(&b), 0);
	assert_int_equal(add(b, &high), 0);
	assert_int_equal(add(b, &low), 0);
	assert_true(bus_write(b, 0x10fc, 4, UINT64_MAX));
	assert_int_equal(low.offset, 0xfc);
	assert_int_equal(low.value, 0xffffffff);
	assert_true(bus_read(b, 0x1101, 2, &v));
	assert_int_equal(v, 0xffff);
	assert_int_equal(high.offset, 1);
	assert_int_equal(high.size, 2);
	assert_true(bus_read(b, 0x1100, 8, &v));
	assert_true(v == UINT64_MAX);
}

static void test_nothing_answers(void **state)
{
	struct probe p = probe_at(0x1000, 0x100);
	_cleanup_(bus_freep) struct bus *b = NULL;
	uint64_t v;

	assert_int_equal(bus_new(&b), 0);
	assert_false(bus_read(b, 0x1000, 4, &v));
	assert_int_equal(v, 0xffffffff);
	assert_int_equal(add(b, &p), 0);
	assert_false(bus_read(b, 0xfff, 1, &v));
	assert_int_equal(v, 0xff);
	assert_false(bus_write(b, 0x1100, 1, 0));
	/* Half in, half out is out. */
	assert_false(bus_read(b, 0x10fe, 4, &v));
	assert_false(bus_write(b, 0xffe, 4, 0));
	/* Sizes no vCPU can make. */
	assert_false(bus_read(b, 0x1000, 3, &v));
	assert_false(bus_write(b, 0x1000, 0, 0));
	assert_false(bus_read(b, 0x1000, 16, &v));
	assert_false(bus_read(b, UINT64_MAX, 8, &v));
	assert_int_equal(p.reads + p.writes, 0);
}

static void test_add_refuses(void **state)
{
	struct probe p = probe_at(0x1000, 0x100);
	struct probe inside = probe_at(0x1080, 1);
	struct probe around = probe_at(0, 0x10000);
	struct probe empty = probe_at(0x4000, 0);
	struct probe wraps = probe_at(UINT64_MAX - 0xff, 0x101);
	struct probe top = probe_at(UINT64_MAX - 0xff, 0x100);
	struct probe dormant = probe_at(0x1000, 0x100);
	_cleanup_(bus_freep) struct bus *b = NULL;
	uint64_t v;

	assert_int_equal(bus_new(&b), 0);
	assert_int_equal(add(b, &p), 0);
	assert_int_equal(add(b, &p), -EEXIST);
	assert_int_equal(add(b, &inside), -EEXIST);
	assert_int_equal(add(b, &around), -EEXIST);
	assert_int_equal(add(b, &empty), -EINVAL);
	assert_int_equal(add(b, &wraps), -EINVAL);
	assert_int_equal(add(b, &top), 0);
	assert_true(bus_read(b, UINT64_MAX, 1, &v));
	assert_int_equal(top.offset, 0xff);
	dormant.region.enabled = false;
	assert_int_equal(add(b, &dormant), 0);
}

static void test_remove(void **state)
{
	struct probe p[40];
	_cleanup_(bus_freep) struct bus *b = NULL;

	assert_int_equal(bus_new(&b), 0);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = probe_at(0x1000 * i, 0x1000);
		assert_int_equal(add(b, &p[i]), 0);
	}
	bus_remove(b, &p[7].region);
	bus_remove(b, &p[7].region);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		assert_int_equal(bus_write(b, 0x1000 * i, 4, i), i != 7);
	assert_int_equal(p[39].value, 39);
	assert_int_equal(add(b, &p[7]), 0);
	assert_true(bus_write(b, 0x7000, 4, 7));
}

static void test_moved_over_another_is_shadowed(void **state)
{
	struct probe first = probe_at(0x1000, 0x100);
	struct probe bar = probe_at(0x2000, 0x1000);
	_cleanup_(bus_freep) struct bus *b = NULL;

	assert_int_equal(bus_new(&b), 0);
	assert_int_equal(add(b, &first), 0);
	assert_int_equal(add(b, &bar), 0);
	bus_region_move(b, &bar.region, 0x1000, true);
	assert_true(bus_write(b, 0x1000, 4, 1));
	assert_int_equal(first.writes, 1);
	assert_true(bus_write(b, 0x1100, 4, 1));
	assert_int_equal(bar.writes, 1);
	assert_false(bus_write(b, 0x2000, 4, 1));
	bus_region_move(b, &bar.region, 0x1000, false);
	assert_false(bus_write(b, 0x1100, 4, 1));
	/* A guest may program a base from which it would wrap around. */
	bus_region_move(b, &bar.region, UINT64_MAX - 0xf, true);
	assert_true(bus_write(b, UINT64_MAX - 0xf, 4, 1));
	assert_false(bus_write(b, 0x10, 4, 1));
	assert_int_equal(bar.writes, 2);
}

static void test_handler_moves_its_own_region(void **state)
{
	struct probe bar = probe_at(0x2000, 0x1000);
	_cleanup_(bus_freep) struct bus *b = NULL;

	assert_int_equal(bus_new(&b), 0);
	bar.move_on = b;
	assert_int_equal(add(b, &bar), 0);
	assert_true(bus_write(b, 0x2000, 8, 0x5000));
	assert_false(bus_write(b, 0x2000, 8, 0x5000));
	assert_true(bus_write(b, 0x5000, 8, 0x2000));
}

static void test_edits_with_the_lock_held(void **state)
{
	struct probe p = probe_at(0x2000, 0x1000);
	_cleanup_(bus_freep) struct bus *b = NULL;

	assert_int_equal(bus_new(&b), 0);
	bus_lock(b);
	assert_int_equal(add(b, &p), 0);
	bus_region_move(b, &p.region, 0x3000, true);
	bus_unlock(b);
	assert_true(bus_write(b, 0x3000, 1, 0));
	bus_lock(b);
	bus_remove(b, &p.region);
	bus_unlock(b);
	assert_false(bus_write(b, 0x3000, 1, 0));
}

struct hammer {
	struct bus *bus;
	struct probe *probe;
};

static void *hammer_run(void *cookie)
{
	struct hammer *h = cookie;

	for (unsigned i = 0; i < 5000; i++) {
		bus_write(h->bus, 0x2000, 4, i);
		if (i % 16 == 0) {
			bus_lock(h->bus);
			h->probe->writes++;
			bus_unlock(h->bus);
		}
	}
	return NULL;
}

/* The count is only exact when both doors exclude each other. */
static void test_two_doors(void **state)
{
	struct probe p = probe_at(0x2000, 0x1000);
	_cleanup_(bus_freep) struct bus *b = NULL;
	struct hammer h;
	pthread_t threads[3];

	assert_int_equal(bus_new(&b), 0);
	assert_int_equal(add(b, &p), 0);
	h = (struct hammer){.bus = b, .probe = &p};
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, hammer_run, &h), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(p.writes, 3 * (5000 + 313));
}

/* Accesses are counted by name, also of regions that are gone. */
static void test_tallies(void **state)
{
	struct probe one = probe_at(0x1000, 0x100);
	struct probe two = probe_at(0x2000, 0x100);
	struct probe other = probe_at(0x3000, 0x100);
	_cleanup_(bus_freep) struct bus *b = NULL;
	struct bus_tally t[BUS_TALLIES_MAX];
	uint64_t v;

	other.region.name = "another of a very long name";
	assert_int_equal(bus_new(&b), 0);
	assert_int_equal(bus_tallies(b, t), 0);
	assert_int_equal(add(b, &one), 0);
	assert_int_equal(add(b, &two), 0);
	assert_int_equal(add(b, &other), 0);
	bus_read(b, 0x1000, 4, &v);
	bus_read(b, 0x2000, 4, &v);
	bus_write(b, 0x2000, 4, 0);
	bus_write(b, 0x3000, 4, 0);
	bus_write(b, 0x4000, 4, 0); /* nothing there */
	bus_remove(b, &one.region);
	assert_int_equal(bus_tallies(b, t), 2);
	assert_string_equal(t[0].name, "probe");
	assert_int_equal(t[0].reads, 2);
	assert_int_equal(t[0].writes, 1);
	assert_string_equal(t[1].name, "another of a very long ");
	assert_int_equal(t[1].writes, 1);
}

/* However many names there are. */
static void test_tallies_are_bounded(void **state)
{
	struct probe probes[BUS_TALLIES_MAX + 8];
	char names[ARRAY_SIZE(probes)][8];
	_cleanup_(bus_freep) struct bus *b = NULL;
	struct bus_tally t[BUS_TALLIES_MAX];
	uint64_t sum = 0;

	assert_int_equal(bus_new(&b), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(probes); i++) {
		probes[i] = probe_at(0x1000 * i, 0x100);
		snprintf(names[i], sizeof(names[i]), "n%u", i);
		probes[i].region.name = names[i];
		assert_int_equal(add(b, &probes[i]), 0);
		bus_write(b, 0x1000 * i, 4, 0);
	}
	assert_int_equal(bus_tallies(b, t), BUS_TALLIES_MAX);
	for (unsigned i = 0; i < BUS_TALLIES_MAX; i++)
		sum += t[i].writes;
	assert_int_equal(sum, ARRAY_SIZE(probes));
	assert_string_equal(t[BUS_TALLIES_MAX - 1].name, "others");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access_reaches_its_region),
		cmocka_unit_test(test_nothing_answers),
		cmocka_unit_test(test_add_refuses),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_moved_over_another_is_shadowed),
		cmocka_unit_test(test_handler_moves_its_own_region),
		cmocka_unit_test(test_edits_with_the_lock_held),
		cmocka_unit_test(test_two_doors),
		cmocka_unit_test(test_tallies),
		cmocka_unit_test(test_tallies_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
