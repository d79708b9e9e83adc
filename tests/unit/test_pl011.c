#include "tests/unit/device_harness.h"

#include "vmm-kvm/devices/pl011.h"

#define DR    0x00
#define RSR   0x04
#define FR    0x18
#define ILPR  0x20
#define IBRD  0x24
#define FBRD  0x28
#define LCR_H 0x2c
#define CR    0x30
#define IFLS  0x34
#define IMSC  0x38
#define RIS   0x3c
#define MIS   0x40
#define ICR   0x44
#define DMACR 0x48

#define FR_IDLE 0x97 /* CTS DSR DCD RXFE TXFE */
#define FR_RXFE 0x10
#define FR_RXFF 0x40
#define FEN	0x10
#define CR_ON	0x301
#define CR_LBE	0x80
#define INT_RX	0x10
#define INT_TX	0x20
#define INT_RT	0x40
#define INT_OE	0x400
#define DR_OE	0x800

/*
 * The chardev as the UART sees it, in this file so that each byte and each
 * "room again" can be counted; test_chardev.c tests the real one.
 */
struct chardev {
	const struct chardev_guest *guest;
	void *cookie;
	uint8_t out[64];
	size_t n_out;
	unsigned readies;
};

void chardev_set_guest(struct chardev *c, const struct chardev_guest *guest,
		       void *cookie)
{
	c->guest = guest;
	c->cookie = cookie;
}

void chardev_guest_ready(struct chardev *c)
{
	c->readies++;
}

void chardev_write(struct chardev *c, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		c->out[c->n_out++ % sizeof(c->out)] = data[i];
}

struct fixture {
	struct chardev chardev;
	struct wire wire;
	struct bus *bus;
	struct pl011 *uart;
};

static int setup(void **state)
{
	static struct fixture f;
	struct pl011_params params;

	f = (struct fixture){0};
	assert_int_equal(bus_new(&f.bus), 0);
	params = (struct pl011_params){
		.chardev = &f.chardev,
		.bus = f.bus,
		.irq = wire_line(&f.wire),
	};
	assert_int_equal(pl011_new(&params, &f.uart), 0);
	pl011_region(f.uart)->base = HARNESS_BASE;
	assert_int_equal(bus_add(f.bus, pl011_region(f.uart)), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bus_remove(f->bus, pl011_region(f->uart));
	pl011_free(f->uart);
	assert_null(f->chardev.guest);
	bus_free(f->bus);
	return 0;
}

static size_t room(struct fixture *f)
{
	return f->chardev.guest->can_receive(f->chardev.cookie);
}

static void type(struct fixture *f, const char *text, size_t n)
{
	f->chardev.guest->receive(f->chardev.cookie, (const uint8_t *)text, n);
}

static void enable(struct fixture *f, uint32_t imsc)
{
	reg_write(f->bus, LCR_H, 0x60 | FEN);
	reg_write(f->bus, CR, CR_ON);
	reg_write(f->bus, IMSC, imsc);
}

static void test_registers(void **state)
{
	static const struct reg_row rows[] = {
		{"DR", DR, 0, 0},	   {"RSR", RSR, 0, 0},
		{"FR", FR, FR_IDLE, 0},	   {"ILPR", ILPR, 0, 0xff},
		{"IBRD", IBRD, 0, 0xffff}, {"FBRD", FBRD, 0, 0x3f},
		{"LCR_H", LCR_H, 0, 0xff}, {"IFLS", IFLS, 0x12, 0x3f},
		{"IMSC", IMSC, 0, 0x7ff},  {"MIS", MIS, 0, 0},
		{"ICR", ICR, 0, 0},	   {"DMACR", DMACR, 0, 7},
		{"hole", 0x08, 0, 0},	   {"hole", 0x4c, 0, 0},
		{"hole", 0xfdc, 0, 0},	   {"id", 0xfe0, 0x11, 0},
	};
	/* After the others: it would loop DR's ones back. */
	static const struct reg_row cr = {"CR", CR, 0x300, 0xff87};
	struct fixture *f = *state;

	check_registers(f->bus, rows, ARRAY_SIZE(rows));
	check_registers(f->bus, &cr, 1);
	assert_int_equal(reg_read(f->bus, RIS), 0);
	/* ARM, part 011, revision 3: what Linux's driver binds to. */
	assert_int_equal(primecell_word(f->bus, 0xfe0), 0x00341011);
	assert_int_equal(primecell_word(f->bus, 0xfe0) & 0xfffff, 0x41011);
	assert_int_equal(primecell_word(f->bus, 0xff0), 0xb105f00d);
}

static void test_output(void **state)
{
	struct fixture *f = *state;

	/* An early console enables nothing. */
	reg_write_n(f->bus, DR, 1, 'h');
	reg_write_n(f->bus, DR, 4, 0xffffff00 | 'i');
	assert_int_equal(f->chardev.n_out, 2);
	assert_memory_equal(f->chardev.out, "hi", 2);
	assert_int_equal(reg_read(f->bus, FR), FR_IDLE);
}

static void test_tx_interrupt(void **state)
{
	struct fixture *f = *state;

	enable(f, INT_TX);
	assert_false(f->wire.level);
	reg_write(f->bus, DR, 'x');
	assert_true(f->wire.level);
	assert_int_equal(reg_read(f->bus, MIS), INT_TX);
	reg_write(f->bus, ICR, INT_TX);
	assert_false(f->wire.level);
	reg_write(f->bus, DR, 'x');
	reg_write(f->bus, IMSC, 0); /* nothing more to send */
	assert_false(f->wire.level);
	assert_int_equal(reg_read(f->bus, RIS), INT_TX);
}

static void test_input_waits_for_enable(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(room(f), 0);
	reg_write(f->bus, LCR_H, FEN);
	assert_int_equal(f->chardev.readies, 0);
	reg_write(f->bus, CR, CR_ON);
	assert_int_equal(f->chardev.readies, 1);
	assert_int_equal(room(f), 32);
	reg_write(f->bus, LCR_H, 0);
	assert_int_equal(room(f), 1);
	reg_write(f->bus, CR, 0x101); /* reception off */
	assert_int_equal(room(f), 0);
}

static void test_input_and_timeout(void **state)
{
	struct fixture *f = *state;

	enable(f, INT_RX | INT_RT);
	type(f, "ok", 2);
	assert_true(f->wire.level);
	assert_int_equal(reg_read(f->bus, MIS), INT_RT);
	assert_int_equal(reg_read(f->bus, FR) & (FR_RXFE | FR_RXFF), 0);
	/* Cleared for as long as nothing happens. */
	reg_write(f->bus, ICR, INT_RT);
	assert_false(f->wire.level);
	assert_int_equal(reg_read(f->bus, DR), 'o');
	assert_true(f->wire.level);
	assert_int_equal(reg_read(f->bus, DR), 'k');
	assert_false(f->wire.level);
	assert_int_equal(reg_read(f->bus, FR), FR_IDLE);
	assert_int_equal(reg_read(f->bus, DR), 0);
}

static void test_trigger_levels(void **state)
{
	static const struct {
		uint32_t ifls;
		unsigned level;
	} rows[] = {{0x00, 4}, {0x08, 8}, {0x10, 16}, {0x18, 24}, {0x20, 28}};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		pl011_reset(f->uart);
		enable(f, INT_RX);
		reg_write(f->bus, IFLS, rows[i].ifls);
		for (unsigned n = 1; n <= 32; n++) {
			type(f, "x", 1);
			assert_int_equal(f->wire.level, n >= rows[i].level);
		}
		for (unsigned n = 32; n-- > 0;) {
			assert_int_equal(reg_read(f->bus, DR), 'x');
			assert_int_equal(f->wire.level, n >= rows[i].level);
		}
	}
}

static void test_fifo_wraps_in_order(void **state)
{
	struct fixture *f = *state;
	char in = 0, out = 0;

	enable(f, 0);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned n = 0; n < 27; n++, in++)
			type(f, &in, 1);
		for (unsigned n = 0; n < 27; n++, out++)
			assert_int_equal((char)reg_read(f->bus, DR), out);
	}
}

static void test_overrun(void **state)
{
	struct fixture *f = *state;

	enable(f, INT_OE);
	for (unsigned n = 0; n < 32; n++)
		type(f, "a", 1);
	assert_true(reg_read(f->bus, FR) & FR_RXFF);
	assert_false(f->wire.level);
	type(f, "b", 1);
	assert_true(f->wire.level);
	assert_int_equal(reg_read(f->bus, RSR), 8);
	assert_int_equal(reg_read(f->bus, DR), DR_OE | 'a');
	assert_int_equal(reg_read(f->bus, DR), 'a');
	reg_write(f->bus, ICR, INT_OE);
	assert_false(f->wire.level);
	reg_write(f->bus, RSR, 0xff);
	assert_int_equal(reg_read(f->bus, RSR), 0);
}

static void test_room_is_announced_once(void **state)
{
	struct fixture *f = *state;

	enable(f, 0);
	f->chardev.readies = 0;
	for (unsigned n = 0; n < 32; n++)
		type(f, "a", 1);
	assert_int_equal(room(f), 0);
	for (unsigned n = 0; n < 15; n++)
		reg_read(f->bus, DR);
	assert_int_equal(f->chardev.readies, 0);
	for (unsigned n = 0; n < 17; n++)
		reg_read(f->bus, DR);
	assert_int_equal(f->chardev.readies, 1);
	assert_int_equal(room(f), 32);
}

static void test_without_fifo(void **state)
{
	struct fixture *f = *state;

	enable(f, INT_RX);
	type(f, "ab", 2);
	reg_write(f->bus, LCR_H, 0);
	assert_true(f->wire.level); /* one is all there can be */
	assert_true(reg_read(f->bus, FR) & FR_RXFF);
	assert_int_equal(reg_read(f->bus, DR), 'a');
	assert_int_equal(reg_read(f->bus, FR), FR_IDLE);
}

static void test_loopback(void **state)
{
	struct fixture *f = *state;

	enable(f, INT_RT);
	reg_write(f->bus, CR, CR_ON | CR_LBE);
	reg_write(f->bus, DR, 'z');
	assert_int_equal(f->chardev.n_out, 0);
	assert_true(f->wire.level);
	assert_int_equal(reg_read(f->bus, DR), 'z');
}

static void test_odd_accesses(void **state)
{
	struct fixture *f = *state;

	enable(f, 0);
	type(f, "q", 1);
	assert_int_equal(reg_read_n(f->bus, DR + 1, 1), 0);
	reg_write_n(f->bus, DR + 2, 2, 'n');
	reg_write_n(f->bus, DR + 3, 8, 'n');
	assert_int_equal(f->chardev.n_out, 0);
	assert_int_equal(reg_read_n(f->bus, FR, 1), FR_IDLE & ~FR_RXFE);
	assert_int_equal(reg_read_n(f->bus, IFLS, 8), 0x12);
	assert_int_equal(reg_read_n(f->bus, DR, 8), 'q');
}

static void test_nonsense_then_reset(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 11;

	for (unsigned i = 0; i < 500; i++) {
		throw_nonsense(f->bus, pl011_region(f->uart), 40, i + 1);
		type(f, "0123456789", noise(&seed) % 11);
		assert_true(room(f) <= 32);
	}
	pl011_reset(f->uart);
	assert_false(f->wire.level);
	test_registers(state);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_registers),
		T(test_output),
		T(test_tx_interrupt),
		T(test_input_waits_for_enable),
		T(test_input_and_timeout),
		T(test_trigger_levels),
		T(test_fifo_wraps_in_order),
		T(test_overrun),
		T(test_room_is_announced_once),
		T(test_without_fifo),
		T(test_loopback),
		T(test_odd_accesses),
		T(test_nonsense_then_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
