#include "tests/unit/virtio_probe_fixture.h"
#include "vmm-kvm/devices/virtio_mmio.h"

#define AT 0x0e000000ull

struct mmio_fixture {
	struct machine m;
	struct probe *probe;
	struct virtio_mmio *v;
	struct vring rings[2];
	unsigned frees;
};

static int mmio_setup_with(void **state, bool doorbells)
{
	struct mmio_fixture *f = calloc(1, sizeof(*f));
	struct virtio_mmio_params params = {.base = AT};

	machine_init(&f->m);
	f->probe = calloc(1, sizeof(*f->probe));
	f->probe->frees = &f->frees;
	memcpy(f->probe->config, "\1\2\3\4\5\6", 6);
	virtio_dev_init(&f->probe->dev, &probe_ops, 1ull << 3, f->probe->config,
			sizeof(f->probe->config), 2, 16);
	params.device = &f->probe->dev;
	params.mem = &f->m.ram.mem;
	params.bus = f->m.bus;
	params.loop = &f->m.loop;
	params.irq = (struct irq_line){fake_wire, &f->m, 33};
	params.doorbells = doorbells ? &f->m.doorbells : NULL;
	assert_int_equal(virtio_mmio_new(&params, &f->v, NULL), 0);
	*state = f;
	return 0;
}

static int mmio_setup(void **state)
{
	return mmio_setup_with(state, true);
}

static int mmio_setup_trap(void **state)
{
	return mmio_setup_with(state, false);
}

static int mmio_teardown(void **state)
{
	struct mmio_fixture *f = *state;

	virtio_mmio_free(f->v);
	machine_done(&f->m);
	assert_int_equal(f->frees, 1);
	free(f);
	return 0;
}

static uint32_t rd(struct mmio_fixture *f, unsigned at)
{
	return (uint32_t)mmio_read(&f->m, AT + at, 4);
}

static void wr(struct mmio_fixture *f, unsigned at, uint32_t value)
{
	mmio_write(&f->m, AT + at, 4, value);
}

static void negotiate(struct mmio_fixture *f)
{
	wr(f, 0x70, 0);
	assert_int_equal(rd(f, 0x70), 0);
	wr(f, 0x70, 1);
	wr(f, 0x70, 3);
	wr(f, 0x24, 1);
	wr(f, 0x20, 1); /* VERSION_1 */
	wr(f, 0x24, 0);
	wr(f, 0x20, 0);
	wr(f, 0x70, 11);
	assert_int_equal(rd(f, 0x70), 11);
}

static void queue_setup(struct mmio_fixture *f, unsigned index, struct vring *r)
{
	const uint64_t addresses[] = {r->desc, r->avail, r->used};

	wr(f, 0x30, index);
	assert_int_equal(rd(f, 0x34), 16);
	wr(f, 0x38, r->size);
	for (unsigned i = 0; i < 3; i++) {
		wr(f, 0x80 + 0x10 * i, (uint32_t)addresses[i]);
		wr(f, 0x84 + 0x10 * i, (uint32_t)(addresses[i] >> 32));
	}
	wr(f, 0x44, 1);
}

static void start(struct mmio_fixture *f)
{
	negotiate(f);
	for (unsigned i = 0; i < 2; i++) {
		vring_init(&f->rings[i], &f->m.ram, i, RING_SIZE);
		queue_setup(f, i, &f->rings[i]);
		assert_int_equal(rd(f, 0x44), 1);
	}
	wr(f, 0x70, 15);
	assert_int_equal(rd(f, 0x70), 15);
}

static void turn(struct mmio_fixture *f)
{
	for (int i = 0; i < 5; i++)
		uv_run(&f->m.loop, UV_RUN_NOWAIT);
}

static void add(struct mmio_fixture *f, unsigned q, uint16_t head)
{
	vring_desc(&f->rings[q], f->rings[q].desc, head, DATA_GPA, 16,
		   VIRTQ_DESC_WRITE, 0);
	vring_add(&f->rings[q], head);
}

/* Offset, reset value, value after ones were written. */
static void test_registers(void **state)
{
	static const struct {
		unsigned at;
		uint32_t reset, ones;
	} rows[] = {
		{0x000, 0x74726976, 0x74726976},
		{0x004, 2, 2},
		{0x008, 60, 60},
		{0x00c, 0x1af4, 0x1af4},
		{0x010, 0x30000008, 0x30000008},
		{0x034, 16, 16},
		{0x044, 0, 0},
		{0x060, 0, 0},
		{0x0b0, UINT32_MAX, UINT32_MAX},
		{0x0bc, UINT32_MAX, UINT32_MAX},
		{0x0fc, 0, 0},
		/* write-only and reserved */
		{0x014, 0, 0},
		{0x018, 0, 0},
		{0x020, 0, 0},
		{0x030, 0, 0},
		{0x050, 0, 0},
		{0x064, 0, 0},
		{0x080, 0, 0},
		{0x0ac, 0, 0},
	};
	struct mmio_fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rd(f, rows[i].at) != rows[i].reset)
			fail_msg("%#x: %#x", rows[i].at, rd(f, rows[i].at));
		wr(f, rows[i].at, UINT32_MAX);
		wr(f, 0x14, 0);
		wr(f, 0x30, 0);
		if (rd(f, rows[i].at) != rows[i].ones)
			fail_msg("%#x after ones: %#x", rows[i].at,
				 rd(f, rows[i].at));
	}
	wr(f, 0x14, 1);
	assert_int_equal(rd(f, 0x10), f->probe->dev.features_offered >> 32);
	wr(f, 0x14, 2);
	assert_int_equal(rd(f, 0x10), 0);
	wr(f, 0x30, 2); /* no such queue */
	assert_int_equal(rd(f, 0x34), 0);
	/* Registers know one width; the configuration space knows all. */
	assert_int_equal(mmio_read(&f->m, AT, 1), 0);
	assert_int_equal(mmio_read(&f->m, AT + 2, 4), 0);
	assert_int_equal(mmio_read(&f->m, AT, 8), 0);
	assert_int_equal(mmio_read(&f->m, AT + 0x100, 4), 0x04030201);
	assert_int_equal(mmio_read(&f->m, AT + 0x104, 2), 0x0605);
	assert_int_equal(mmio_read(&f->m, AT + 0x105, 1), 6);
	assert_int_equal(mmio_read(&f->m, AT + 0xff8, 8), 0);
}

static void test_requests_and_interrupt(void **state)
{
	struct mmio_fixture *f = *state;
	uint32_t head, written;

	start(f);
	add(f, 1, 3);
	wr(f, 0x50, 1); /* a trapped doorbell is as good */
	turn(f);
	assert_true(vring_take(&f->rings[1], &head, &written));
	assert_int_equal(head, 3);
	assert_int_equal(written, 9);
	assert_true(f->m.wires[1]);
	assert_int_equal(rd(f, 0x60), 1);
	assert_true(f->m.wires[1]); /* looking does not acknowledge */
	bus_lock(f->m.bus);
	virtio_config_changed(&f->probe->dev);
	bus_unlock(f->m.bus);
	assert_int_equal(rd(f, 0x60), 3);
	assert_int_equal(rd(f, 0xfc), 1);
	wr(f, 0x64, 1);
	assert_true(f->m.wires[1]);
	wr(f, 0x64, 2);
	assert_false(f->m.wires[1]);
	wr(f, 0x50, 2); /* no such queue */
	wr(f, 0x50, UINT32_MAX);
	turn(f);
	/* A ready queue stays as it is while the device runs. */
	wr(f, 0x30, 1);
	wr(f, 0x44, 0);
	assert_int_equal(rd(f, 0x44), 1);
}

static void test_doorbells(void **state)
{
	struct mmio_fixture *f = *state;
	uint32_t head, written;

	assert_int_equal(fake_bells(&f->m, 0), 0);
	start(f);
	assert_int_equal(fake_bells(&f->m, AT + 0x50), 2);
	turn(f);
	add(f, 1, 2);
	eventfd_write(f->m.bells[1].fd, 1);
	turn(f);
	assert_true(vring_take(&f->rings[1], &head, &written));
	assert_int_equal(head, 2);
	/* Reset by the driver, and by the machine. */
	wr(f, 0x70, 0);
	assert_int_equal(fake_bells(&f->m, 0), 0);
	assert_false(f->m.wires[1]);
	start(f);
	assert_int_equal(fake_bells(&f->m, 0), 2);
	bus_lock(f->m.bus);
	virtio_mmio_reset(f->v);
	bus_unlock(f->m.bus);
	assert_int_equal(fake_bells(&f->m, 0), 0);
	assert_int_equal(rd(f, 0x70), 0);
}

static void test_queue_unready_before_driver_ok(void **state)
{
	struct mmio_fixture *f = *state;

	negotiate(f);
	vring_init(&f->rings[0], &f->m.ram, 0, RING_SIZE);
	queue_setup(f, 0, &f->rings[0]);
	assert_int_equal(rd(f, 0x44), 1);
	wr(f, 0x44, 0);
	assert_int_equal(rd(f, 0x44), 0);
	queue_setup(f, 0, &f->rings[0]);
	assert_int_equal(rd(f, 0x44), 1);
}

static void test_malformed_rings(void **state)
{
	struct mmio_fixture *f = *state;
	struct vring bad;

	/* A used ring that wraps around the end of addresses. */
	negotiate(f);
	vring_init(&bad, &f->m.ram, 0, RING_SIZE);
	bad.used = 0xfffffffffffffffc;
	queue_setup(f, 0, &bad);
	assert_int_equal(rd(f, 0x70) & 0x40, 0x40);
	/* A size of more than 16 bits does not become a small one. */
	negotiate(f);
	vring_init(&bad, &f->m.ram, 0, RING_SIZE);
	wr(f, 0x30, 0);
	wr(f, 0x38, 0x10008);
	wr(f, 0x44, 1);
	assert_int_equal(rd(f, 0x70) & 0x40, 0x40);
	/* An index that jumps: told as a configuration change. */
	start(f);
	*vring_u16(&f->rings[0], f->rings[0].avail + 2) = 1000;
	wr(f, 0x50, 0);
	turn(f);
	assert_int_equal(rd(f, 0x70), 0x4f);
	assert_int_equal(rd(f, 0x60) & 2, 2);
	start(f);
}

/* EDK2's virtio-fs driver says no size, and means all there is. */
static void test_no_size(void **state)
{
	struct mmio_fixture *f = *state;
	struct vring all;

	negotiate(f);
	vring_init(&all, &f->m.ram, 0, 16);
	all.size = 0;
	queue_setup(f, 0, &all);
	assert_int_equal(rd(f, 0x70) & 0x40, 0);
	assert_int_equal(rd(f, 0x44), 1);
}

static void test_region_taken(void **state)
{
	struct mmio_fixture *f = *state;
	struct probe *second = calloc(1, sizeof(*second));
	struct virtio_mmio *v = NULL;
	struct error e = ERROR_INIT;
	unsigned frees = 0;
	struct virtio_mmio_params params = {
		.device = &second->dev,
		.mem = &f->m.ram.mem,
		.bus = f->m.bus,
		.base = AT + 0x800,
		.loop = &f->m.loop,
	};

	second->frees = &frees;
	virtio_dev_init(&second->dev, &probe_ops, 0, NULL, 0, 2, 16);
	assert_int_equal(virtio_mmio_new(&params, &v, &e), -EEXIST);
	assert_null(v);
	assert_int_equal(frees, 1);
}

/* Any access anywhere, repeatably: no crash, no sanitizer report. */
static void test_nonsense(void **state)
{
	struct mmio_fixture *f = *state;
	uint64_t x = 88172645463325252ull;

	start(f);
	for (int i = 0; i < 20000; i++) {
		unsigned size;
		uint64_t at;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		size = 1u << (x >> 60 & 3);
		at = x & 8 ? (x >> 8 & 0xfc) : (x >> 8) % 0xff8;
		if (x & 1)
			mmio_write(&f->m, AT + at, size, x >> 20);
		else
			mmio_read(&f->m, AT + at, size);
		if (i % 64 == 0)
			uv_run(&f->m.loop, UV_RUN_NOWAIT);
	}
}

#define MMIO_TEST(t) \
	cmocka_unit_test_setup_teardown(t, mmio_setup, mmio_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MMIO_TEST(test_registers),
		MMIO_TEST(test_requests_and_interrupt),
		cmocka_unit_test_setup_teardown(test_requests_and_interrupt,
						mmio_setup_trap, mmio_teardown),
		MMIO_TEST(test_doorbells),
		MMIO_TEST(test_queue_unready_before_driver_ok),
		MMIO_TEST(test_malformed_rings),
		MMIO_TEST(test_no_size),
		MMIO_TEST(test_region_taken),
		MMIO_TEST(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
