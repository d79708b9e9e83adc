/* Devices come and go on a board. */
#include "tests/unit/board_hotplug_fixture.h"
#include "vmm-kvm/board_internal.h"

static void test_attach_by_steps(void **state)
{
	struct fixture *f = *state;
	struct vmm_device_status status;
	uint32_t slot;

	for (unsigned i = 1; i <= SLOTS; i++)
		listen_to(f, i);
	f->changes = 0;
	slot = must_attach(f, "data");
	assert_int_equal(slot, 1);
	expect_silence(f);
	power(f, slot, true);
	assert_true(f->changes > 0);
	expect(f, "data", VM_DEVICE_ACKNOWLEDGED);
	f->changes = 0;
	drive(f, slot);
	assert_true(f->changes > 0);
	expect(f, "data", VM_DEVICE_ACTIVE);
	assert_string_equal(f->events[2].address, "0000:01:00.0");
	assert_string_equal(f->events[2].driver, "virtio-blk");
	expect_silence(f);
	assert_int_equal(board_device_status(f->board, "data", &status), 0);
	assert_int_equal(status.state, VM_DEVICE_ACTIVE);
	assert_int_equal(status.slot, 1);
	assert_int_equal(board_device_status(f->board, "dat", &status),
			 -ENOENT);
}

static void give_up(struct fixture *f, const char *id, const char *word)
{
	struct error why = ERROR_INIT;

	board_give_up(f->board, id, &why);
	assert_int_equal(why.err, ETIMEDOUT);
	if (!strstr(why.message, word))
		fail_msg("\"%s\" is not in: %s", word, why.message);
}

static void test_attach_nobody_follows(void **state)
{
	struct fixture *f = *state;
	struct vmm_device_status status;
	struct error none = ERROR_INIT;
	uint32_t slot = must_attach(f, "a");

	give_up(f, "a", "not listening");
	assert_int_equal(board_device_status(f->board, "a", &status), -ENOENT);
	assert_int_equal(get(f, port(slot) + EXPRESS + 0x1a) & 0x40, 0);
	slot = must_attach(f, "a");
	listen_to(f, slot);
	give_up(f, "a", "does not react");
	slot = must_attach(f, "a");
	listen_to(f, slot);
	power(f, slot, true);
	expect(f, "a", VM_DEVICE_ACKNOWLEDGED);
	give_up(f, "a", "no driver took it");
	/* Nothing is under way: nothing happens. */
	board_give_up(f->board, "a", &none);
	assert_int_equal(none.err, 0);
	expect_silence(f);
}

static void test_detach_by_steps(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	uint32_t slot = active_disk(f, "d");

	assert_int_equal(board_detach(f->board, "x", false, &e), -ENOENT);
	assert_int_equal(board_detach(f->board, "d", false, &e), 0);
	expect(f, "d", VM_DEVICE_RELEASING);
	assert_int_equal(get(f, port(slot) + EXPRESS + 0x1a) & 1, 1);
	assert_int_equal(board_detach(f->board, "d", false, &e), -EBUSY);
	expect_silence(f);
	power(f, slot, false);
	expect(f, "d", VM_DEVICE_RELEASED);
	assert_int_equal(get(f, port(slot) + EXPRESS + 0x1a) & 0x40, 0);
	/* The slot rests; the next one is taken. */
	assert_int_equal(must_attach(f, "e"), slot + 1);
}

/* Pressed before anyone listens, the press would be lost. */
static void test_a_press_waits_for_a_listener(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	uint32_t slot = active_disk(f, "d");

	put(f, port(slot) + EXPRESS + 0x18, 2, 0x1c0);
	assert_int_equal(board_detach(f->board, "d", false, &e), 0);
	expect(f, "d", VM_DEVICE_RELEASING);
	assert_int_equal(get(f, port(slot) + EXPRESS + 0x1a) & 1, 0);
	listen_to(f, slot);
	board_slots_poll(f->board);
	assert_int_equal(get(f, port(slot) + EXPRESS + 0x1a) & 1, 1);
}

static void test_detach_nobody_follows(void **state)
{
	struct fixture *f = *state;
	struct vmm_device_status status;
	struct error e = ERROR_INIT;
	uint32_t slot = active_disk(f, "d");

	assert_int_equal(board_detach(f->board, "d", false, &e), 0);
	expect(f, "d", VM_DEVICE_RELEASING);
	give_up(f, "d", "does not react");
	assert_int_equal(get(f, port(slot) + EXPRESS + 0x1a) & 1, 0);
	assert_int_equal(board_device_status(f->board, "d", &status), 0);
	assert_int_equal(status.state, VM_DEVICE_ACTIVE);
	/* It blinks: the second press is for it to stop that. */
	assert_int_equal(board_detach(f->board, "d", false, &e), 0);
	expect(f, "d", VM_DEVICE_RELEASING);
	put(f, port(slot) + EXPRESS + 0x1a, 2, 1);
	put(f, port(slot) + EXPRESS + 0x18, 2, LISTENING | 0x2c0);
	give_up(f, "d", "blinks");
	assert_int_equal(get(f, port(slot) + EXPRESS + 0x1a) & 1, 1);
	expect_silence(f);
}

static void test_force(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	uint32_t slot = active_disk(f, "d");
	uint64_t cfg = BOARD_PCI_ECAM_BASE + ((uint64_t)slot << 20);

	assert_int_equal(board_detach(f->board, "d", true, &e), 0);
	expect(f, "d", VM_DEVICE_RELEASING);
	expect_silence(f);
	/* The guest sees it gone, but what it still asks is answered. */
	assert_int_equal(get(f, port(slot) + EXPRESS + 0x1a) & 0x148, 0x108);
	assert_int_equal(get(f, cfg), 0x1af4);
	power(f, slot, false);
	assert_int_equal(get(f, cfg), 0xffff);
	expect(f, "d", VM_DEVICE_RELEASED);
}

/* It has seen it, and comes to it later than one that is hung is waited for. */
static void test_force_of_a_busy_guest(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	uint32_t slot = active_disk(f, "d");
	uint64_t cfg = BOARD_PCI_ECAM_BASE + ((uint64_t)slot << 20);
	uint64_t until;

	f->board->take_tick_ms = 2;
	assert_int_equal(board_detach(f->board, "d", true, &e), 0);
	expect(f, "d", VM_DEVICE_RELEASING);
	put(f, port(slot) + EXPRESS + 0x1a, 2, 0x108);
	for (until = uv_hrtime() + 100000000; uv_hrtime() < until;)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	expect_silence(f);
	assert_int_equal(get(f, cfg), 0x1af4);
	power(f, slot, false);
	expect(f, "d", VM_DEVICE_RELEASED);
	/* Nor does one that never does have it for ever. */
	active_disk(f, "e");
	assert_int_equal(board_detach(f->board, "e", true, &e), 0);
	expect(f, "e", VM_DEVICE_RELEASING);
	while (f->read_events == f->n_events)
		uv_run(&f->loop, UV_RUN_ONCE);
	expect(f, "e", VM_DEVICE_RELEASED);
}

static void test_force_needs_no_guest(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	uint32_t slot = active_disk(f, "hung");

	f->board->take_tick_ms = 5;
	assert_int_equal(board_detach(f->board, "hung", true, &e), 0);
	expect(f, "hung", VM_DEVICE_RELEASING);
	while (f->read_events == f->n_events)
		uv_run(&f->loop, UV_RUN_ONCE);
	expect(f, "hung", VM_DEVICE_RELEASED);
	/* Where nobody listens there is nothing to wait for. */
	slot = active_disk(f, "deaf");
	put(f, port(slot) + EXPRESS + 0x18, 2, 0x1c0);
	assert_int_equal(board_detach(f->board, "deaf", true, &e), 0);
	expect(f, "deaf", VM_DEVICE_RELEASING);
	expect(f, "deaf", VM_DEVICE_RELEASED);
}

/* A reset lets go of everything; what stays is there at power-on. */
static void test_reset(void **state)
{
	struct fixture *f = *state;
	struct vmm_device_status status;
	struct error e = ERROR_INIT;
	uint32_t stays = active_disk(f, "stays"), goes = active_disk(f, "goes");

	assert_int_equal(board_detach(f->board, "goes", false, &e), 0);
	expect(f, "goes", VM_DEVICE_RELEASING);
	board_reset(f->board);
	expect(f, "goes", VM_DEVICE_RELEASED);
	number_buses(f);
	assert_int_equal(get(f, port(goes) + EXPRESS + 0x1a) & 0x40, 0);
	assert_int_equal(get(f, port(stays) + EXPRESS + 0x1a) & 0x40, 0x40);
	assert_int_equal(get(f, BOARD_PCI_ECAM_BASE + (stays << 20)), 0x1af4);
	assert_int_equal(board_device_status(f->board, "stays", &status), 0);
	assert_int_equal(status.state, VM_DEVICE_ACKNOWLEDGED);
	expect_silence(f);
}

static void test_slots_run_out(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	uint32_t slot;

	assert_int_equal(attach(f, "third", 3, &slot, &e), 0);
	assert_int_equal(slot, 3);
	assert_int_equal(attach(f, "third", 0, &slot, &e), -EEXIST);
	assert_int_equal(attach(f, "other", 3, &slot, &e), 0);
	assert_int_equal(slot, 1);
	assert_int_equal(attach(f, "last", 77, &slot, &e), 0);
	assert_int_equal(slot, 2);
	assert_int_equal(attach(f, "more", 0, &slot, &e), -ENOSPC);
	assert_non_null(strstr(e.message, "max_hotplug"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_attach_by_steps),
		T(test_attach_nobody_follows),
		T(test_detach_by_steps),
		T(test_a_press_waits_for_a_listener),
		T(test_detach_nobody_follows),
		T(test_force),
		T(test_force_of_a_busy_guest),
		T(test_force_needs_no_guest),
		T(test_reset),
		T(test_slots_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
