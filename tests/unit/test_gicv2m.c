#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm-kvm/devices/gicv2m.h"

#define FIRST 128
#define COUNT 64

struct fixture {
	struct gicv2m *g;
	unsigned raised[1024], lowered[1024];
};

static void on_line(void *cookie, uint32_t intid, bool level)
{
	struct fixture *f = cookie;

	assert_in_range(intid, FIRST, FIRST + COUNT - 1);
	if (level)
		f->raised[intid]++;
	else
		f->lowered[intid]++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct gicv2m_params params = {
		.line = {.set = on_line, .cookie = f},
		.first_intid = FIRST,
		.n_intids = COUNT,
	};

	assert_int_equal(gicv2m_new(&params, &f->g), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	gicv2m_free(f->g);
	free(f);
	return 0;
}

static uint64_t reg(struct fixture *f, uint64_t offset)
{
	const struct mmio_region *r = gicv2m_region(f->g);

	return r->ops->read(r->dev, offset, 4);
}

static void set(struct fixture *f, uint64_t offset, uint64_t value)
{
	const struct mmio_region *r = gicv2m_region(f->g);

	r->ops->write(r->dev, offset, 4, value);
}

static void test_registers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(gicv2m_region(f->g)->size_bytes, 4096);
	for (uint64_t offset = 0; offset < 4096; offset += 4)
		assert_int_equal(reg(f, offset),
				 offset == 0x008 ? FIRST << 16 | COUNT : 0);
}

static void test_a_write_is_an_edge(void **state)
{
	struct fixture *f = *state;

	set(f, 0x40, FIRST);
	set(f, 0x40, FIRST + COUNT - 1);
	set(f, 0x40, FIRST + COUNT - 1);
	assert_int_equal(f->raised[FIRST], 1);
	assert_int_equal(f->lowered[FIRST], 1);
	assert_int_equal(f->raised[FIRST + COUNT - 1], 2);
}

static void test_what_is_not_its_own_is_ignored(void **state)
{
	static const uint64_t values[] = {
		0, 33, FIRST - 1, FIRST + COUNT, 0x3ff, UINT64_MAX};
	struct fixture *f = *state;

	/* on_line() fails the test if any of these gets through. */
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		set(f, 0x40, values[i]);
	for (uint64_t offset = 0; offset < 4096; offset += 4)
		if (offset != 0x40)
			set(f, offset, FIRST);
	assert_int_equal(f->raised[FIRST], 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_registers),
		T(test_a_write_is_an_edge),
		T(test_what_is_not_its_own_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
