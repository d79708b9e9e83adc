#include "tests/unit/virtio_probe_fixture.h"

static int setup_trap(void **state)
{
	return setup_with(state, false);
}

static void add_buffer(struct fixture *f, unsigned q, uint16_t head)
{
	vring_desc(&f->rings[q], f->rings[q].desc, head, DATA_GPA, 16,
		   VIRTQ_DESC_WRITE, 0);
	vring_add(&f->rings[q], head);
}

static void test_kicks(void **state)
{
	struct fixture *f = *state;
	uint32_t head, written;

	/* Added and notified before DRIVER_OK: seen after it. */
	driver_negotiate(&f->d, 1ull << 32);
	for (unsigned i = 0; i < 2; i++) {
		vring_init(&f->rings[i], &f->m.ram, i, RING_SIZE);
		driver_queue(&f->d, i, &f->rings[i]);
	}
	assert_int_equal(common(f, 0x1e, 2), 1);
	add_buffer(f, 1, 3);
	driver_notify(&f->d, 1);
	driver_turn(&f->d);
	assert_int_equal(f->probe->kicks[1], 0);
	driver_set_status(&f->d, 15);
	assert_true(driver_wait(&f->d, &f->rings[1], &head, &written));
	assert_int_equal(head, 3);
	assert_int_equal(written, 9);

	add_buffer(f, 0, 1);
	driver_notify(&f->d, 0);
	assert_true(driver_wait(&f->d, &f->rings[0], &head, &written));
	assert_int_equal(head, 1);
	/* Enabled: its registers stay. A third queue's doorbell: nothing. */
	set_common(f, 0x20, 4, 0xdead0000);
	assert_int_equal(common(f, 0x20, 4), (uint32_t)f->rings[1].desc);
	driver_notify(&f->d, 2);
	mmio_write(&f->m, f->d.notify + 2, 2, 0);
	mmio_write(&f->m, f->d.notify + 0xffc, 4, 0);
}

static void test_doorbells_follow(void **state)
{
	struct fixture *f = *state;
	const uint64_t moved = WINDOW_BASE + 0x40000;

	assert_int_equal(fake_bells(&f->m, 0), 0);
	driver_start(&f->d, 0, f->rings, 2);
	assert_int_equal(fake_bells(&f->m, 0), 2);
	assert_int_equal(fake_bells(&f->m, f->d.notify + 4), 1);
	place_bar(&f->m, DEVFN, 0, moved);
	assert_int_equal(fake_bells(&f->m, 0), 2);
	assert_int_equal(fake_bells(&f->m, moved + 0x3000), 1);
	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, 0);
	assert_int_equal(fake_bells(&f->m, 0), 0);
	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(fake_bells(&f->m, 0), 2);
	place_bar(&f->m, DEVFN, 0, BAR0_AT);
	driver_set_status(&f->d, 0);
	assert_int_equal(fake_bells(&f->m, 0), 0);
}

/* Where writes may come late; 0: nowhere. */
static void on_delay(void *cookie, uint64_t addr, uint64_t size, bool on)
{
	uint64_t *at = cookie;

	assert_int_equal(size, 6);
	assert_int_equal(*at, on ? 0 : addr);
	*at = on ? addr : 0;
}

/* Selector, size and vector of a queue, while a driver runs. */
static void test_late_writes_follow(void **state)
{
	struct fixture *f = *state;
	const uint64_t moved = WINDOW_BASE + 0x40000;
	uint64_t at = 0;

	bus_use_delay(f->m.bus, &(struct bus_delay){on_delay, &at});
	driver_negotiate(&f->d, 1ull << 32);
	assert_int_equal(at, 0);
	driver_start(&f->d, 0, f->rings, 2);
	assert_int_equal(at, f->d.common + 0x16);
	place_bar(&f->m, DEVFN, 0, moved);
	assert_int_equal(at, moved + 0x16);
	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, 0);
	assert_int_equal(at, 0);
	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(at, moved + 0x16);
	bus_lock(f->m.bus);
	pci_host_reset(f->m.host);
	bus_unlock(f->m.bus);
	assert_int_equal(at, 0);
	bus_use_delay(f->m.bus, &(struct bus_delay){0});
}

static void test_intx_and_isr(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, 0, f->rings, 2);
	add_buffer(f, 0, 0);
	driver_notify(&f->d, 0);
	driver_turn(&f->d);
	assert_true(f->m.wires[1]);
	assert_int_equal(mmio_read(&f->m, f->d.isr, 1), 1);
	assert_false(f->m.wires[1]);
	assert_int_equal(mmio_read(&f->m, f->d.isr, 1), 0);

	bus_lock(f->m.bus);
	f->probe->config[0] = 42;
	virtio_config_changed(&f->probe->dev);
	bus_unlock(f->m.bus);
	assert_int_equal(mmio_read(&f->m, f->d.isr, 1), 2);
	assert_int_equal(common(f, 0x15, 1), 1);
	assert_int_equal(mmio_read(&f->m, f->d.device, 1), 42);
}

static void test_msix(void **state)
{
	struct fixture *f = *state;

	set_common(f, 0x10, 2, 3); /* one too many */
	assert_int_equal(common(f, 0x10, 2), 0xffff);
	driver_start(&f->d, 0, f->rings, 2);
	driver_msix(&f->d, 0, 0x1000, 1);
	driver_msix(&f->d, 2, 0x1000, 2);
	set_common(f, 0x10, 2, 0);
	set_common(f, 0x16, 2, 1);
	set_common(f, 0x1a, 2, 2);
	add_buffer(f, 0, 0); /* queue 0 has no vector */
	add_buffer(f, 1, 0);
	driver_notify(&f->d, 0);
	driver_notify(&f->d, 1);
	driver_turn(&f->d);
	assert_int_equal(fake_raised(&f->m, 2), 1);
	assert_int_equal(fake_raised(&f->m, 0), 0);
	assert_false(f->m.wires[1]);
	assert_int_equal(f->m.vectors[2].data, 2);
	/* A malformed ring: NEEDS_RESET, told by the configuration vector. */
	*vring_u16(&f->rings[0], f->rings[0].avail + 2) = 1000;
	driver_notify(&f->d, 0);
	driver_turn(&f->d);
	assert_int_equal(driver_status(&f->d), 0x4f);
	assert_int_equal(fake_raised(&f->m, 0), 1);
	/* Nothing moves until reset, then all does again. */
	add_buffer(f, 1, 0);
	driver_notify(&f->d, 1);
	driver_turn(&f->d);
	assert_int_equal(vring_used_index(&f->rings[1]), 1);
	driver_start(&f->d, 0, f->rings, 2);
	assert_int_equal(common(f, 0x10, 2), 0xffff);
	add_buffer(f, 1, 0);
	driver_notify(&f->d, 1);
	driver_turn(&f->d);
	assert_int_equal(vring_used_index(&f->rings[1]), 1);
}

static void test_bad_queue_addresses(void **state)
{
	struct fixture *f = *state;
	struct vring bad;

	driver_negotiate(&f->d, 1ull << 32);
	vring_init(&bad, &f->m.ram, 0, RING_SIZE);
	bad.used = 0xfffffffffffffffc;
	driver_queue(&f->d, 0, &bad);
	assert_true(driver_status(&f->d) & 0x40);
	driver_set_status(&f->d, 15);
	driver_notify(&f->d, 0);
	driver_turn(&f->d);
	assert_int_equal(f->probe->kicks[0], 0);
}

static void test_machine_reset(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, 0, f->rings, 2);
	driver_msix(&f->d, 0, 0x1000, 1);
	bus_lock(f->m.bus);
	pci_host_reset(f->m.host);
	bus_unlock(f->m.bus);
	assert_int_equal(fake_bells(&f->m, 0), 0);
	assert_true(f->m.vectors[0].masked);
	assert_false(pci_bar_enabled(
		f->m.host ? pci_host_find(f->m.host, 0, DEVFN) : NULL, 0));
	assert_true(f->probe->resets > 0);
	driver_probe(&f->d, &f->m, DEVFN);
	assert_int_equal(driver_status(&f->d), 0);
	driver_start(&f->d, 0, f->rings, 2);
}

static void test_constructor_fails_clean(void **state)
{
	struct fixture *f = *state;
	struct probe *second = calloc(1, sizeof(*second));
	struct virtio_pci *v = NULL;
	struct error e = ERROR_INIT;
	unsigned frees = 0;
	struct virtio_pci_params params = {
		.host = f->m.host,
		.devfn = DEVFN, /* taken */
		.device = &second->dev,
		.mem = &f->m.ram.mem,
		.bus = f->m.bus,
		.loop = &f->m.loop,
		.msi = &f->m.msi,
	};

	second->frees = &frees;
	virtio_dev_init(&second->dev, &probe_ops, 0, NULL, 0, 2, 16);
	assert_int_equal(virtio_pci_new(&params, &v, &e), -EBUSY);
	assert_null(v);
	assert_int_equal(frees, 1);
}

/* Any access anywhere, repeatably: no crash, no sanitizer report. */
static void test_nonsense(void **state)
{
	struct fixture *f = *state;
	uint64_t x = 88172645463325252ull;

	driver_start(&f->d, 0, f->rings, 2);
	for (int i = 0; i < 20000; i++) {
		unsigned size;
		uint64_t at;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		size = 1u << (x >> 60 & 3);
		at = x >> 8 & 0x3fff;
		if (x & 1)
			mmio_write(&f->m, BAR0_AT + at % 0x3ff8, size, x >> 20);
		else if (x & 2)
			mmio_read(&f->m, BAR0_AT + at % 0x3ff8, size);
		else if (x & 4)
			mmio_write(&f->m, BAR2_AT + at % 0xff8, size, x >> 20);
		else
			cfg_write(&f->m, DEVFN, 0x40 + at % 0xbc, size,
				  x >> 20);
		if (i % 64 == 0)
			uv_run(&f->m.loop, UV_RUN_NOWAIT);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_kicks),
		cmocka_unit_test_setup_teardown(test_kicks, setup_trap,
						teardown),
		TEST(test_doorbells_follow),
		TEST(test_late_writes_follow),
		TEST(test_intx_and_isr),
		TEST(test_msix),
		TEST(test_bad_queue_addresses),
		TEST(test_machine_reset),
		TEST(test_constructor_fails_clean),
		TEST(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
