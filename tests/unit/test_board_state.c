/*
 * A board in a snapshot: what a guest made of each device comes back in another
 * board, and whatever else somebody puts there is refused or harmless.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/board_fixture.h"

#define FUNCTION_1 (BOARD_PCI_ECAM_BASE + (1 << 15)) /* the entropy device */
#define PORT_1	   (BOARD_PCI_ECAM_BASE + (BOARD_PCI_PORTS_FIRST << 15))
#define BAR0_AT	   BOARD_PCI_MMIO32_BASE
#define BAR2_AT	   (BOARD_PCI_MMIO32_BASE + 0x10000)
#define RING_AT	   (BOARD_RAM_BASE + MIB(1))

struct two {
	struct fixture *from, *to;
};

static int setup_two(void **state)
{
	struct two *t = calloc(1, sizeof(*t));
	void *fixture;

	assert_int_equal(setup(&fixture), 0);
	t->from = fixture;
	assert_int_equal(setup(&fixture), 0);
	t->to = fixture;
	t->from->config.max_hotplug = t->to->config.max_hotplug = 2;
	/* One on the other transport. */
	t->from->config.buses.balloon = t->to->config.buses.balloon =
		VM_DEVICE_BUS_MMIO;
	*state = t;
	return 0;
}

static int teardown_two(void **state)
{
	struct two *t = *state;
	void *from = t->from, *to = t->to;

	teardown(&from);
	teardown(&to);
	free(t);
	return 0;
}

static void put(struct fixture *f, uint64_t at, unsigned size, uint64_t value)
{
	assert_true(bus_write(board_bus(f->board), at, size, value));
}

static uint64_t get(struct fixture *f, uint64_t at, unsigned size)
{
	uint64_t value = 0;

	assert_true(bus_read(board_bus(f->board), at, size, &value));
	return value;
}

/* Registers of the fixed devices: where, and what a guest wrote. */
static const struct {
	uint64_t at;
	uint32_t value;
} regs[] = {
	{BOARD_PL011_BASE + 0x24, 13},	       /* divisor */
	{BOARD_PL011_BASE + 0x2c, 0x70},       /* FIFOs on */
	{BOARD_PL011_BASE + 0x30, 0x301},      /* on */
	{BOARD_PL011_BASE + 0x38, 0x50},       /* receive interrupts */
	{BOARD_PL031_BASE + 0x04, 0xfffffff0}, /* an alarm */
	{BOARD_PL031_BASE + 0x10, 1},	       /* which is wanted */
	{BOARD_PL061_BASE + 0x400, 0xf0},      /* pins driven by the guest */
	{BOARD_PL061_BASE + 0x40c, 0x08},
	{BOARD_PL061_BASE + 0x410, 0x08}, /* the power key is listened to */
	{BOARD_SP805_BASE + 0x000, 12345678},
	{BOARD_SP805_BASE + 0x008, 3},
};

/* The entropy device as a driver sets it up: BARs, a vector, a queue. */
static void start_function(struct fixture *f)
{
	put(f, FUNCTION_1 + 0x10, 4, BAR0_AT);
	put(f, FUNCTION_1 + 0x18, 4, BAR2_AT);
	put(f, FUNCTION_1 + 0x04, 2, 6);
	put(f, BAR2_AT, 4, 0x08080040);
	put(f, BAR2_AT + 8, 4, 33);
	put(f, BAR2_AT + 12, 4, 0);
	put(f, BAR0_AT + 0x14, 1, 1);
	put(f, BAR0_AT + 0x14, 1, 3);
	put(f, BAR0_AT + 0x08, 4, 1);
	put(f, BAR0_AT + 0x0c, 4, 1); /* VERSION_1 */
	put(f, BAR0_AT + 0x14, 1, 11);
	put(f, BAR0_AT + 0x10, 2, 0); /* config vector */
	put(f, BAR0_AT + 0x18, 2, 16);
	put(f, BAR0_AT + 0x20, 4, RING_AT);
	put(f, BAR0_AT + 0x28, 4, RING_AT + 0x1000);
	put(f, BAR0_AT + 0x30, 4, RING_AT + 0x2000);
	put(f, BAR0_AT + 0x1c, 2, 1);
	put(f, BAR0_AT + 0x14, 1, 15);
}

static void work(struct fixture *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		put(f, regs[i].at, 4, regs[i].value);
	put(f, BOARD_FW_CFG_BASE + 8, 2, 0x1900); /* the directory */
	(void)get(f, BOARD_FW_CFG_BASE, 1);
	/* In the middle of programming a buffer. */
	put(f, BOARD_FLASH_VARS_BASE + 64, 4, 0x00e800e8);
	put(f, BOARD_FLASH_VARS_BASE + 64, 4, 0x00010001);
	put(f, BOARD_FLASH_VARS_BASE + 64, 4, 0x12345678);
	put(f, BOARD_FLASH_CODE_BASE, 4, 0x00700070);
	/* A bridge window and a bus behind it. */
	put(f, PORT_1 + 0x18, 4, 0x00010100);
	put(f, BOARD_VIRTIO_MMIO_BASE + 0x70, 4, 3); /* it has a driver */
	start_function(f);
}

static void save(struct fixture *f, struct state_out *out)
{
	board_still(f->board, true);
	board_save(f->board, out);
	assert_false(out->failed);
}

static int load(struct fixture *f, const void *data, size_t size,
		struct error *e)
{
	struct state_in in = state_in(data, size);
	int r = board_load(f->board, &in, e);

	return r ? r : state_close(&in, e);
}

static void test_all_comes_back(void **state)
{
	_cleanup_state_out_ struct state_out out = {0}, again = {0};
	struct two *t = *state;
	struct error e = ERROR_INIT;

	need_board(t->from);
	need_board(t->to);
	work(t->from);
	save(t->from, &out);
	memcpy(board_bank(t->to->board, BOARD_BANK_VARS)->hva,
	       board_bank(t->from->board, BOARD_BANK_VARS)->hva, NVRAM_SIZE);
	if (load(t->to, out.buf.data, out.buf.size, &e))
		fail_msg("%s", e.message);
	save(t->to, &again);
	assert_int_equal(again.buf.size, out.buf.size);
	assert_memory_equal(again.buf.data, out.buf.data, out.buf.size);
	board_still(t->to->board, false);
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		assert_int_equal(get(t->to, regs[i].at, 4), regs[i].value);
	/* The second byte of the directory, and what follows it. */
	assert_int_equal(get(t->to, BOARD_FW_CFG_BASE, 1), 0);
	/* The flash shows its status, and goes on counting words. */
	assert_int_equal(get(t->to, BOARD_FLASH_VARS_BASE + 64, 4), 0x00800080);
	put(t->to, BOARD_FLASH_VARS_BASE + 68, 4, 0x9abcdef0);
	put(t->to, BOARD_FLASH_VARS_BASE + 64, 4, 0x00d000d0);
	put(t->to, BOARD_FLASH_VARS_BASE, 4, 0x00ff00ff);
	assert_int_equal(get(t->to, BOARD_FLASH_VARS_BASE + 64, 4), 0x12345678);
	assert_int_equal(get(t->to, BOARD_FLASH_VARS_BASE + 68, 4), 0x9abcdef0);
	assert_int_equal(t->to->commits, 1);
	/* The function answers where it was put, and its queue is ready. */
	assert_int_equal(get(t->to, BAR0_AT + 0x14, 1), 15);
	assert_int_equal(get(t->to, BAR0_AT + 0x1c, 2), 1);
	assert_int_equal(get(t->to, BAR2_AT + 8, 4), 33);
	assert_int_equal(get(t->to, PORT_1 + 0x19, 1), 1);
	assert_int_equal(get(t->to, BOARD_VIRTIO_MMIO_BASE + 0x70, 4), 3);
}

static void test_another_board_is_refused(void **state)
{
	_cleanup_state_out_ struct state_out out = {0};
	struct two *t = *state;
	struct error e = ERROR_INIT;

	need_board(t->from);
	save(t->from, &out);
	t->to->config.max_hotplug = t->from->config.max_hotplug + 1;
	need_board(t->to);
	assert_int_equal(load(t->to, out.buf.data, out.buf.size, &e), -EBADMSG);
	assert_true(e.message[0]);
}

static void test_truncations_are_refused(void **state)
{
	_cleanup_state_out_ struct state_out out = {0};
	struct two *t = *state;

	need_board(t->from);
	need_board(t->to);
	work(t->from);
	save(t->from, &out);
	for (size_t n = 0; n < out.buf.size; n += 1 + n / 64) {
		_cleanup_free_ void *copy = malloc(n ? n : 1);
		struct error e = ERROR_INIT;

		memcpy(copy, out.buf.data, n);
		assert_true(load(t->to, copy, n, &e) < 0);
		assert_true(e.message[0]);
	}
}

/* Other bytes are refused or are a state a guest could have made: the devices
 * take both, and go on answering. */
static void test_other_bytes_are_harmless(void **state)
{
	_cleanup_state_out_ struct state_out out = {0};
	struct two *t = *state;
	unsigned taken = 0, refused = 0;

	need_board(t->from);
	need_board(t->to);
	work(t->from);
	save(t->from, &out);
	for (size_t at = 0; at < out.buf.size; at++) {
		struct error e = ERROR_INIT;
		uint8_t *byte = (uint8_t *)out.buf.data + at;
		uint8_t was = *byte;

		*byte ^= (uint8_t)(1 + at * 7);
		if (load(t->to, out.buf.data, out.buf.size, &e))
			refused++;
		else
			taken++;
		*byte = was;
		if (at % 16)
			continue;
		board_still(t->to->board, false);
		(void)get(t->to, BOARD_PL011_BASE, 4);
		put(t->to, BOARD_FLASH_VARS_BASE, 4, 0x00ff00ff);
		uv_run(&t->to->loop, UV_RUN_NOWAIT);
	}
	assert_true(taken > 100 && refused > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_comes_back, setup_two,
						teardown_two),
		cmocka_unit_test_setup_teardown(test_another_board_is_refused,
						setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_truncations_are_refused,
						setup_two, teardown_two),
		cmocka_unit_test_setup_teardown(test_other_bytes_are_harmless,
						setup_two, teardown_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
