#include "tests/unit/device_harness.h"

#include <time.h>

#include "vmm-kvm/devices/pl031.h"

#define DR   0x00
#define MR   0x04
#define LR   0x08
#define CR   0x0c
#define IMSC 0x10
#define RIS  0x14
#define MIS  0x18
#define ICR  0x1c

struct fixture {
	uv_loop_t loop;
	int64_t now;
	struct wire wire;
	struct bus *bus;
	struct pl031 *rtc;
};

static int64_t fake_now(void *cookie)
{
	struct fixture *f = cookie;

	return f->now;
}

static int setup(void **state)
{
	static struct fixture f;
	struct pl031_params params;

	f = (struct fixture){.now = 1700000000};
	assert_int_equal(uv_loop_init(&f.loop), 0);
	assert_int_equal(bus_new(&f.bus), 0);
	params = (struct pl031_params){
		.loop = &f.loop,
		.bus = f.bus,
		.irq = wire_line(&f.wire),
		.now = fake_now,
		.cookie = &f,
	};
	assert_int_equal(pl031_new(&params, &f.rtc), 0);
	pl031_region(f.rtc)->base = HARNESS_BASE;
	assert_int_equal(bus_add(f.bus, pl031_region(f.rtc)), 0);
	*state = &f;
	return 0;
}

/* Closing the loop fails if the device left a handle open. */
static int teardown(void **state)
{
	struct fixture *f = *state;

	bus_remove(f->bus, pl031_region(f->rtc));
	pl031_free(f->rtc);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	bus_free(f->bus);
	return 0;
}

static void test_registers(void **state)
{
	static const struct reg_row rows[] = {
		{"MR", MR, 0, 0xffffffff},
		{"CR", CR, 1, 0}, /* runs, cannot be stopped */
		{"IMSC", IMSC, 0, 1},
		{"RIS", RIS, 0, 0},
		{"MIS", MIS, 0, 0},
		{"ICR", ICR, 0, 0},
		{"LR", LR, 0, 0xffffffff},
		{"hole", 0x20, 0, 0},
		{"id", 0xfe0, 0x31, 0},
	};
	struct fixture *f = *state;

	check_registers(f->bus, rows, ARRAY_SIZE(rows));
	assert_int_equal(primecell_word(f->bus, 0xfe0), 0x00041031);
	assert_int_equal(primecell_word(f->bus, 0xff0), 0xb105f00d);
}

static void test_counts_host_seconds(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg_read(f->bus, DR), 1700000000);
	f->now += 5;
	assert_int_equal(reg_read(f->bus, DR), 1700000005);
	reg_write(f->bus, DR, 7); /* read only */
	assert_int_equal(reg_read(f->bus, DR), 1700000005);
	reg_write(f->bus, LR, 1000);
	assert_int_equal(reg_read(f->bus, DR), 1000);
	f->now += 3;
	assert_int_equal(reg_read(f->bus, DR), 1003);
	pl031_reset(f->rtc);
	assert_int_equal(reg_read(f->bus, DR), 1003);
	f->now = 0x100000000 + 1; /* the year 2106 */
	assert_int_equal(reg_read(f->bus, DR),
			 (uint32_t)(1 + 1000 - 1700000005));
}

static void test_host_clock_is_the_default(void **state)
{
	struct fixture *f = *state;
	struct pl031_params params = {.loop = &f->loop, .bus = f->bus};
	struct pl031 *rtc;
	uint64_t v;

	assert_int_equal(pl031_new(&params, &rtc), 0);
	v = pl031_region(rtc)->ops->read(rtc, DR, 4);
	assert_in_range(v, time(NULL) - 2, time(NULL) + 2);
	pl031_free(rtc);
}

static void test_alarm_by_polling(void **state)
{
	struct fixture *f = *state;

	reg_write(f->bus, MR, 1700000010);
	f->now += 9;
	assert_int_equal(reg_read(f->bus, RIS), 0);
	f->now += 1;
	assert_int_equal(reg_read(f->bus, RIS), 1);
	assert_int_equal(reg_read(f->bus, MIS), 0);
	assert_false(f->wire.level);
	reg_write(f->bus, IMSC, 1);
	assert_int_equal(reg_read(f->bus, MIS), 1);
	assert_true(f->wire.level);
	reg_write(f->bus, ICR, 1);
	assert_false(f->wire.level);
	assert_int_equal(reg_read(f->bus, RIS), 0);
	/* A match in the past is none; one that is now is. */
	reg_write(f->bus, MR, 1700000000);
	assert_false(f->wire.level);
	reg_write(f->bus, MR, (uint32_t)f->now);
	assert_true(f->wire.level);
}

static void test_host_clock_steps_over_the_match(void **state)
{
	struct fixture *f = *state;

	reg_write(f->bus, MR, 1700000010);
	f->now += 86400;
	assert_int_equal(reg_read(f->bus, RIS), 1);
}

static void stop_waiting(uv_timer_t *timer)
{
	bool *late = timer->data;

	*late = true;
	uv_stop(timer->loop);
}

static void alarm_wire_set(void *cookie, uint32_t intid, bool level)
{
	if (level)
		uv_stop(cookie);
}

/* With the loop's own timer and nobody reading registers. */
static void test_alarm_by_timer(void **state)
{
	struct fixture *f = *state;
	struct pl031_params params = {
		.loop = &f->loop,
		.bus = f->bus,
		.irq = {.set = alarm_wire_set, .cookie = &f->loop},
	};
	struct pl031 *rtc;
	uv_timer_t patience;
	bool late = false;
	struct timespec ts;

	assert_int_equal(pl031_new(&params, &rtc), 0);
	bus_remove(f->bus, pl031_region(f->rtc));
	pl031_region(rtc)->base = HARNESS_BASE;
	assert_int_equal(bus_add(f->bus, pl031_region(rtc)), 0);
	uv_timer_init(&f->loop, &patience);
	patience.data = &late;
	uv_timer_start(&patience, stop_waiting, 5000, 0);
	reg_write(f->bus, IMSC, 1);
	reg_write(f->bus, MR, reg_read(f->bus, DR) + 1);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_false(late);
	assert_int_equal(reg_read(f->bus, MIS), 1);
	clock_gettime(CLOCK_REALTIME, &ts);
	assert_true((uint32_t)ts.tv_sec >= reg_read(f->bus, MR));
	uv_close((uv_handle_t *)&patience, NULL);
	bus_remove(f->bus, pl031_region(rtc));
	pl031_free(rtc);
	/* Reading MIS stopped the loop once more. */
	while (uv_run(&f->loop, UV_RUN_DEFAULT))
		;
}

static void test_odd_accesses(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg_read_n(f->bus, DR, 2), 1700000000 & 0xffff);
	assert_int_equal(reg_read_n(f->bus, DR, 8), 1700000000);
	assert_int_equal(reg_read_n(f->bus, DR + 1, 1), 0);
	reg_write_n(f->bus, LR + 1, 4, 7);
	reg_write_n(f->bus, MR + 2, 8, UINT64_MAX);
	assert_int_equal(reg_read(f->bus, DR), 1700000000);
}

static void test_nonsense_then_reset(void **state)
{
	struct fixture *f = *state;

	throw_nonsense(f->bus, pl031_region(f->rtc), 20000, 31);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	pl031_reset(f->rtc);
	assert_false(f->wire.level);
	reg_write(f->bus, LR, (uint32_t)f->now);
	pl031_reset(f->rtc);
	test_registers(state);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_registers),
		T(test_counts_host_seconds),
		T(test_host_clock_is_the_default),
		T(test_alarm_by_polling),
		T(test_host_clock_steps_over_the_match),
		T(test_alarm_by_timer),
		T(test_odd_accesses),
		T(test_nonsense_then_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
