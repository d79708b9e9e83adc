#include "tests/unit/device_harness.h"

#include "vmm-kvm/devices/pl061.h"

#define DATA_ALL 0x3fc
#define DIR	 0x400
#define IS	 0x404
#define IBE	 0x408
#define IEV	 0x40c
#define IE	 0x410
#define RIS	 0x414
#define MIS	 0x418
#define IC	 0x41c
#define AFSEL	 0x420

struct fixture {
	struct wire wire;
	struct pl061 *gpio;
	struct bus *bus;
};

static int setup(void **state)
{
	static struct fixture f;
	struct pl061_params params = {.irq = wire_line(&f.wire)};

	f = (struct fixture){0};
	assert_int_equal(pl061_new(&params, &f.gpio), 0);
	f.bus = harness_bus(pl061_region(f.gpio));
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bus_free(f->bus);
	pl061_free(f->gpio);
	return 0;
}

static void test_registers(void **state)
{
	static const struct reg_row rows[] = {
		{"DATA", DATA_ALL, 0, 0}, {"DIR", DIR, 0, 0xff},
		{"IS", IS, 0, 0xff},	  {"IBE", IBE, 0, 0xff},
		{"IEV", IEV, 0, 0xff},	  {"IE", IE, 0, 0xff},
		{"RIS", RIS, 0, 0},	  {"MIS", MIS, 0, 0},
		{"IC", IC, 0, 0},	  {"AFSEL", AFSEL, 0, 0xff},
		{"hole", 0x424, 0, 0},	  {"hole", 0xfdc, 0, 0},
		{"id", 0xfe0, 0x61, 0},
	};
	struct fixture *f = *state;

	check_registers(f->bus, rows, ARRAY_SIZE(rows));
	assert_int_equal(primecell_word(f->bus, 0xfe0), 0x00041061);
	assert_int_equal(primecell_word(f->bus, 0xff0), 0xb105f00d);
}

static void test_data_is_masked_by_address(void **state)
{
	struct fixture *f = *state;

	pl061_set_input(f->gpio, 3, true);
	pl061_set_input(f->gpio, 0, true);
	assert_int_equal(reg_read(f->bus, DATA_ALL), 0x09);
	assert_int_equal(reg_read(f->bus, 0x08 << 2), 0x08);
	assert_int_equal(reg_read(f->bus, 0), 0);
	/* Writes reach outputs the mask names, never inputs. */
	reg_write(f->bus, DIR, 0xf0);
	reg_write(f->bus, 0x30 << 2, 0xff);
	assert_int_equal(reg_read(f->bus, DATA_ALL), 0x39);
	reg_write(f->bus, DATA_ALL, 0x40);
	assert_int_equal(reg_read(f->bus, DATA_ALL), 0x49);
}

static void test_rising_edge(void **state)
{
	struct fixture *f = *state;

	reg_write(f->bus, IEV, 0x08);
	reg_write(f->bus, IE, 0x08);
	pl061_set_input(f->gpio, 3, true);
	assert_true(f->wire.level);
	assert_int_equal(reg_read(f->bus, MIS), 0x08);
	pl061_set_input(f->gpio, 3, false);
	assert_true(f->wire.level);
	reg_write(f->bus, IC, 0x04);
	assert_true(f->wire.level);
	reg_write(f->bus, IC, 0x08);
	assert_false(f->wire.level);
	/* Falling was not asked for; no change is no edge. */
	pl061_set_input(f->gpio, 3, false);
	assert_int_equal(f->wire.rises, 1);
	/* Not enabled: raw status alone, seen once it is enabled. */
	reg_write(f->bus, IE, 0);
	pl061_set_input(f->gpio, 3, true);
	assert_int_equal(reg_read(f->bus, RIS), 0x08);
	assert_int_equal(reg_read(f->bus, MIS), 0);
	assert_false(f->wire.level);
	reg_write(f->bus, IE, 0x08);
	assert_true(f->wire.level);
}

/* Linux's gpio-keys: both edges. */
static void test_both_edges(void **state)
{
	struct fixture *f = *state;

	reg_write(f->bus, IBE, 0x08);
	reg_write(f->bus, IE, 0x08);
	pl061_set_input(f->gpio, 3, true);
	reg_write(f->bus, IC, 0xff);
	pl061_set_input(f->gpio, 3, false);
	assert_int_equal(f->wire.rises, 2);
}

static void test_level(void **state)
{
	struct fixture *f = *state;

	reg_write(f->bus, IS, 0x02);
	reg_write(f->bus, IEV, 0x02);
	reg_write(f->bus, IE, 0x02);
	pl061_set_input(f->gpio, 1, true);
	reg_write(f->bus, IC, 0x02); /* clears edges only */
	assert_true(f->wire.level);
	pl061_set_input(f->gpio, 1, false);
	assert_false(f->wire.level);
	reg_write(f->bus, IEV, 0); /* active low */
	assert_true(f->wire.level);
	reg_write(f->bus, DIR, 0x02); /* an output interrupts nobody */
	assert_false(f->wire.level);
}

static void test_odd_accesses(void **state)
{
	struct fixture *f = *state;

	reg_write_n(f->bus, DIR, 1, 0xa5);
	assert_int_equal(reg_read_n(f->bus, DIR, 1), 0xa5);
	assert_int_equal(reg_read_n(f->bus, DIR, 8), 0xa5);
	assert_int_equal(reg_read_n(f->bus, DIR + 1, 1), 0);
	reg_write_n(f->bus, DIR + 2, 2, 0);
	reg_write_n(f->bus, DIR - 4, 8, UINT64_MAX);
	assert_int_equal(reg_read(f->bus, DIR), 0xa5);
	pl061_set_input(f->gpio, 8, true);
	pl061_set_input(f->gpio, UINT32_MAX, true);
}

static void test_nonsense_then_reset(void **state)
{
	struct fixture *f = *state;

	throw_nonsense(f->bus, pl061_region(f->gpio), 20000, 61);
	pl061_set_input(f->gpio, 5, true);
	pl061_reset(f->gpio);
	assert_false(f->wire.level);
	/* What is outside did not change. */
	assert_int_equal(reg_read(f->bus, DATA_ALL), 0x20);
	pl061_set_input(f->gpio, 5, false);
	pl061_reset(f->gpio);
	test_registers(state);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_registers),
		T(test_data_is_masked_by_address),
		T(test_rising_edge),
		T(test_both_edges),
		T(test_level),
		T(test_odd_accesses),
		T(test_nonsense_then_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
