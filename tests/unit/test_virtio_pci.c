#include "tests/unit/pci_fixture.h"

#define DEVFN PCI_DEVFN(1, 0)

/* A device with two queues that counts what happens to it. */
struct probe {
	struct virtio_dev dev;
	struct virtq_chain chain;
	uint8_t config[6];
	unsigned kicks[2], resets, *frees;
};

struct fixture {
	struct machine m;
	struct probe *probe;
	struct virtio_pci *v;
	struct driver d;
	struct vring rings[2];
	unsigned frees;
};

static struct probe *probe_of(struct virtio_dev *d)
{
	return container_of(d, struct probe, dev);
}

static void probe_kick(struct virtio_dev *d, unsigned index)
{
	struct probe *p = probe_of(d);

	p->kicks[index]++;
	while (virtio_pop(d, index, &p->chain))
		virtio_push(d, index, p->chain.head, 9);
	virtio_notify(d, index);
}

static void probe_reset(struct virtio_dev *d)
{
	probe_of(d)->resets++;
}

static void probe_free(struct virtio_dev *d)
{
	(*probe_of(d)->frees)++;
	free(probe_of(d));
}

static const struct virtio_dev_ops probe_ops = {
	.name = "probe",
	.device_id = 60,
	.pci_class = 0xff0000,
	.kick = probe_kick,
	.reset = probe_reset,
	.free = probe_free,
};

static int setup_with(void **state, bool doorbells)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_pci_params params = {.devfn = DEVFN};

	machine_init(&f->m);
	f->probe = calloc(1, sizeof(*f->probe));
	f->probe->frees = &f->frees;
	memcpy(f->probe->config, "\1\2\3\4\5\6", 6);
	virtio_dev_init(&f->probe->dev, &probe_ops, 1ull << 3, f->probe->config,
			sizeof(f->probe->config), 2, 16);
	params.host = f->m.host;
	params.device = &f->probe->dev;
	params.mem = &f->m.ram.mem;
	params.bus = f->m.bus;
	params.loop = &f->m.loop;
	params.msi = &f->m.msi;
	params.doorbells = doorbells ? &f->m.doorbells : NULL;
	assert_int_equal(virtio_pci_new(&params, &f->v, NULL), 0);
	driver_probe(&f->d, &f->m, DEVFN);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, true);
}

static int setup_trap(void **state)
{
	return setup_with(state, false);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_pci_free(f->v);
	machine_done(&f->m);
	assert_int_equal(f->frees, 1);
	free(f);
	return 0;
}

static uint64_t common(struct fixture *f, unsigned at, unsigned size)
{
	return mmio_read(&f->m, f->d.common + at, size);
}

static void set_common(struct fixture *f, unsigned at, unsigned size,
		       uint64_t value)
{
	mmio_write(&f->m, f->d.common + at, size, value);
}

static void test_identity(void **state)
{
	struct fixture *f = *state;
	static const uint8_t lengths[] = {0, 16, 20, 16, 16, 20};

	assert_int_equal(cfg_read(&f->m, DEVFN, 0, 4), 0x107c1af4);
	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_REVISION, 4),
			 0xff000001);
	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_SUBSYSTEM_VENDOR, 2),
			 0x1af4);
	for (unsigned type = 1; type <= 5; type++) {
		unsigned cap = find_cap(&f->m, DEVFN, PCI_CAP_VENDOR, type);
		uint32_t end;

		assert_true(cap != 0);
		assert_int_equal(cfg_read(&f->m, DEVFN, cap + 2, 1),
				 lengths[type]);
		end = cfg_read(&f->m, DEVFN, cap + 8, 4) +
		      cfg_read(&f->m, DEVFN, cap + 12, 4);
		assert_true(end <= KIB(16));
	}
	assert_int_equal(f->d.stride, 4);
	assert_true(find_cap(&f->m, DEVFN, PCI_CAP_EXPRESS, 0) != 0);
	assert_int_equal(cfg_read(&f->m, DEVFN, f->d.msix_cap + 2, 2), 2);
}

/* Common structure: offset, width, reset value, after ones were written. */
static void test_registers(void **state)
{
	static const struct {
		unsigned at, size;
		uint64_t reset, ones;
	} rows[] = {
		{0x00, 4, 0, 0xffffffff},  {0x04, 4, 0, 0},
		{0x08, 4, 0, 0xffffffff},  {0x0c, 4, 0, 0},
		{0x10, 2, 0xffff, 0xffff}, {0x12, 2, 2, 2},
		{0x15, 1, 0, 0},	   {0x18, 2, 16, 0xffff},
		{0x1a, 2, 0xffff, 0xffff}, {0x1c, 2, 0, 0},
		{0x1e, 2, 0, 0},	   {0x20, 8, 0, UINT64_MAX},
		{0x28, 8, 0, UINT64_MAX},  {0x30, 8, 0, UINT64_MAX},
		{0x38, 4, 0, 0},	   {0xffc, 4, 0, 0},
	};
	struct fixture *f = *state;

	set_common(f, 0x00, 4, 7);
	set_common(f, 0x08, 4, 7); /* no such half of the features */
	assert_int_equal(common(f, 4, 4), 0);
	set_common(f, 0x14, 1, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t got;

		if (rows[i].at == 0x04)
			set_common(f, 0x00, 4, 2);
		if (rows[i].at == 0x0c)
			set_common(f, 0x08, 4, 2);
		got = common(f, rows[i].at, rows[i].size);
		if (got != rows[i].reset)
			fail_msg("0x%x: 0x%llx", rows[i].at,
				 (unsigned long long)got);
		set_common(f, rows[i].at, rows[i].size, UINT64_MAX);
		got = common(f, rows[i].at, rows[i].size);
		if (got != rows[i].ones)
			fail_msg("0x%x after ones: 0x%llx", rows[i].at,
				 (unsigned long long)got);
	}
	/* A queue that is not there. */
	set_common(f, 0x16, 2, 2);
	assert_int_equal(common(f, 0x18, 2), 0);
	set_common(f, 0x1c, 2, 1);
	set_common(f, 0x1a, 2, 0);
	set_common(f, 0x20, 4, 1);
	assert_int_equal(common(f, 0x20, 4), 0);
	/* Not a register's own width. */
	assert_int_equal(common(f, 0x12, 1), 0);
	assert_int_equal(common(f, 0x11, 2), 0);
	/* Device configuration, in any width, and past its end. */
	assert_int_equal(mmio_read(&f->m, f->d.device, 4), 0x04030201);
	assert_int_equal(mmio_read(&f->m, f->d.device + 4, 4), 0x0605);
	assert_int_equal(mmio_read(&f->m, f->d.device + 6, 8), 0);
	mmio_write(&f->m, f->d.device, 4, 0);
	assert_int_equal(f->probe->config[0], 1);
}

static void test_status_and_features(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(driver_offered(&f->d),
			 1ull << 32 | 3ull << 28 | 1 << 3);
	/* Without VERSION_1, or with what was not offered: not FEATURES_OK. */
	driver_set_status(&f->d, 3);
	driver_set_status(&f->d, 11);
	assert_int_equal(driver_status(&f->d), 3);
	set_common(f, 0x08, 4, 1);
	set_common(f, 0x0c, 4, 1);
	set_common(f, 0x08, 4, 0);
	set_common(f, 0x0c, 4, 1 << 4);
	driver_set_status(&f->d, 11);
	assert_int_equal(driver_status(&f->d), 3);
	/* DRIVER_OK out of turn. */
	driver_set_status(&f->d, 7);
	assert_int_equal(driver_status(&f->d), 3);
	set_common(f, 0x0c, 4, 1 << 3);
	driver_set_status(&f->d, 11);
	assert_int_equal(driver_status(&f->d), 11);
	/* Settled now. */
	set_common(f, 0x0c, 4, 0);
	assert_int_equal(common(f, 0x0c, 4), 1 << 3);
	/* NEEDS_RESET is not the driver's to set. */
	driver_set_status(&f->d, 0x4b);
	assert_int_equal(driver_status(&f->d), 11);
	driver_set_status(&f->d, 0);
	assert_int_equal(driver_status(&f->d), 0);
	assert_int_equal(common(f, 0x0c, 4), 0);
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

/* 4.1.4.9: registers by way of configuration space alone. */
static void test_cfg_window(void **state)
{
	struct fixture *f = *state;
	unsigned cap = find_cap(&f->m, DEVFN, PCI_CAP_VENDOR, 5);
	static const struct {
		uint32_t bar, offset, length;
	} bad[] = {
		{2, 0, 4},	    {0, 0, 0},	    {0, 0, 3},
		{0, 2, 4},	    {0, 0x4000, 4}, {0, UINT32_MAX - 3, 4},
		{0, 0, UINT32_MAX}, {9, 0, 4},
	};

	cfg_write(&f->m, DEVFN, cap + 4, 1, 0);
	cfg_write(&f->m, DEVFN, cap + 8, 4, 0x12);
	cfg_write(&f->m, DEVFN, cap + 12, 4, 2);
	assert_int_equal(cfg_read(&f->m, DEVFN, cap + 16, 2), 2);
	cfg_write(&f->m, DEVFN, cap + 8, 4, 0x14);
	cfg_write(&f->m, DEVFN, cap + 12, 4, 1);
	cfg_write(&f->m, DEVFN, cap + 16, 4, 0xff01);
	assert_int_equal(driver_status(&f->d), 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cfg_write(&f->m, DEVFN, cap + 4, 1, bad[i].bar);
		cfg_write(&f->m, DEVFN, cap + 8, 4, bad[i].offset);
		cfg_write(&f->m, DEVFN, cap + 12, 4, bad[i].length);
		cfg_write(&f->m, DEVFN, cap + 16, 4, 0xffffffff);
		cfg_read(&f->m, DEVFN, cap + 16, 4);
	}
	assert_int_equal(driver_status(&f->d), 1);
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
		TEST(test_identity),
		TEST(test_registers),
		TEST(test_status_and_features),
		TEST(test_kicks),
		cmocka_unit_test_setup_teardown(test_kicks, setup_trap,
						teardown),
		TEST(test_doorbells_follow),
		TEST(test_intx_and_isr),
		TEST(test_msix),
		TEST(test_bad_queue_addresses),
		TEST(test_cfg_window),
		TEST(test_machine_reset),
		TEST(test_constructor_fails_clean),
		TEST(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
