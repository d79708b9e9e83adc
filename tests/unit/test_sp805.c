#include "tests/unit/device_harness.h"
#include "vmm-kvm/devices/sp805.h"

#define LOAD	0x000
#define VALUE	0x004
#define CONTROL 0x008
#define INTCLR	0x00c
#define RIS	0x010
#define MIS	0x014
#define LOCK	0xc00
#define CLOCK	1000000 /* so that a count is a microsecond */

struct fixture {
	uv_loop_t loop;
	struct bus *bus;
	struct sp805 *w;
	struct wire wire;
	uv_timer_t alive; /* keeps the loop waiting */
	unsigned expired;
};

static void on_expired(void *cookie)
{
	((struct fixture *)cookie)->expired++;
}

static void on_alive(uv_timer_t *timer)
{
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct sp805_params params = {
		.irq = wire_line(&f->wire),
		.clock_hz = CLOCK,
		.expired = on_expired,
		.cookie = f,
	};

	assert_int_equal(uv_loop_init(&f->loop), 0);
	uv_timer_init(&f->loop, &f->alive);
	uv_timer_start(&f->alive, on_alive, 1, 1);
	/* The bus comes first: it is the watchdog's lock. */
	assert_int_equal(bus_new(&f->bus), 0);
	params.loop = &f->loop;
	params.bus = f->bus;
	assert_int_equal(sp805_new(&params, &f->w), 0);
	sp805_region(f->w)->base = HARNESS_BASE;
	assert_int_equal(bus_add(f->bus, sp805_region(f->w)), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sp805_free(f->w);
	uv_close((uv_handle_t *)&f->alive, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	bus_free(f->bus);
	free(f);
	return 0;
}

static void run_ms(struct fixture *f, uint64_t ms)
{
	uint64_t end = uv_hrtime() + ms * 1000000;

	while (uv_hrtime() < end)
		uv_run(&f->loop, UV_RUN_ONCE);
}

static void hold(struct fixture *f, bool held)
{
	bus_lock(f->bus);
	sp805_hold(f->w, held);
	bus_unlock(f->bus);
}

static void test_registers(void **state)
{
	static const struct reg_row rows[] = {
		{"LOAD", LOAD, UINT32_MAX, UINT32_MAX},
		{"CONTROL", CONTROL, 0, 3},
		{"INTCLR", INTCLR, 0, 0},
		{"RIS", RIS, 0, 0},
		{"MIS", MIS, 0, 0},
	};
	struct fixture *f = *state;

	check_registers(f->bus, rows, ARRAY_SIZE(rows));
	assert_int_equal(primecell_word(f->bus, 0xfe0), 0x00141805);
	assert_int_equal(primecell_word(f->bus, 0xff0), 0xb105f00d);
}

static void test_lock(void **state)
{
	struct fixture *f = *state;

	reg_write(f->bus, LOCK, 1);
	assert_int_equal(reg_read(f->bus, LOCK), 1);
	reg_write(f->bus, LOAD, 5);
	assert_int_equal(reg_read(f->bus, LOAD), UINT32_MAX);
	reg_write(f->bus, LOCK, 0x1acce551);
	assert_int_equal(reg_read(f->bus, LOCK), 0);
	reg_write(f->bus, LOAD, 5);
	assert_int_equal(reg_read(f->bus, LOAD), 5);
}

static void test_counts_down(void **state)
{
	struct fixture *f = *state;
	uint32_t first;

	reg_write(f->bus, LOAD, 1000000);
	run_ms(f, 2);
	assert_int_equal(reg_read(f->bus, VALUE), 1000000);
	reg_write(f->bus, CONTROL, 3);
	run_ms(f, 2);
	first = reg_read(f->bus, VALUE);
	assert_in_range(first, 1, 999000);
	run_ms(f, 2);
	assert_true(reg_read(f->bus, VALUE) < first);
	reg_write(f->bus, INTCLR, 1);
	assert_true(reg_read(f->bus, VALUE) > first);
}

static void test_interrupt_then_end(void **state)
{
	struct fixture *f = *state;

	reg_write(f->bus, LOAD, 20000);
	reg_write(f->bus, CONTROL, 3);
	run_ms(f, 30);
	assert_int_equal(reg_read(f->bus, RIS), 1);
	assert_int_equal(reg_read(f->bus, MIS), 1);
	assert_true(f->wire.level);
	assert_int_equal(f->expired, 0);
	/* The guest comes in time. */
	reg_write(f->bus, INTCLR, 1);
	assert_false(f->wire.level);
	assert_int_equal(f->expired, 0);
	/* It does not. Once is enough. */
	run_ms(f, 100);
	assert_int_equal(f->expired, 1);
	bus_lock(f->bus);
	sp805_reset(f->w);
	bus_unlock(f->bus);
	assert_false(f->wire.level);
	assert_int_equal(reg_read(f->bus, CONTROL), 0);
}

static void test_interrupt_alone(void **state)
{
	struct fixture *f = *state;

	reg_write(f->bus, LOAD, 1000);
	reg_write(f->bus, CONTROL, 1);
	run_ms(f, 20);
	assert_true(f->wire.level);
	assert_int_equal(f->expired, 0);
	reg_write(f->bus, CONTROL, 0);
	assert_false(f->wire.level);
}

/* A machine that stands still is not late, and has a whole period after. */
static void test_held(void **state)
{
	struct fixture *f = *state;

	reg_write(f->bus, LOAD, 30000);
	reg_write(f->bus, CONTROL, 3);
	hold(f, true);
	run_ms(f, 80);
	assert_int_equal(reg_read(f->bus, RIS), 0);
	hold(f, false);
	run_ms(f, 5);
	assert_int_equal(reg_read(f->bus, RIS), 0);
	run_ms(f, 90);
	assert_int_equal(f->expired, 1);
}

static void test_nonsense(void **state)
{
	struct fixture *f = *state;

	throw_nonsense(f->bus, sp805_region(f->w), 20000, 805);
	run_ms(f, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registers),	    TEST(test_lock),
		TEST(test_counts_down),	    TEST(test_interrupt_then_end),
		TEST(test_interrupt_alone), TEST(test_held),
		TEST(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
