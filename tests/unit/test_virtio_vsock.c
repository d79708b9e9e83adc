#include "tests/unit/pci_fixture.h"
#include "tests/unit/fake_vhost.h"
#include "vmm-kvm/devices/virtio_mmio.h"
#include "vmm-kvm/devices/virtio_vsock.h"

#define DEVFN	 PCI_DEVFN(1, 0)
#define FEATURES (1ull << 32 | 3ull << 28 | 1ull << 1)
#define OFFERED	 (3ull << 28 | 1ull << 1)

struct fixture {
	struct machine m;
	struct fake_vhost *vhost;
	struct virtio_dev *dev;
	struct virtio_pci *v;
	struct driver d;
	struct vring rings[3];
	unsigned frees, failures;
	char why[200];
};

static void failed(void *cookie, const char *why)
{
	struct fixture *f = cookie;

	f->failures++;
	snprintf(f->why, sizeof(f->why), "%s", why);
}

static struct virtio_dev *make(struct fixture *f)
{
	struct virtio_vsock_params params = {
		.loop = &f->m.loop,
		.cid = 77,
		.failed = failed,
		.cookie = f,
	};
	struct virtio_dev *dev;

	f->vhost = fake_vhost_new(FEATURES, &f->frees);
	params.vhost = &f->vhost->vhost;
	assert_int_equal(virtio_vsock_new(&params, &dev, NULL), 0);
	return dev;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	machine_init(&f->m);
	f->dev = make(f);
	f->v = driver_plug(&f->d, &f->m, DEVFN, f->dev, true);
	*state = f;
	return 0;
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

static void set_vector(struct fixture *f, unsigned queue, unsigned vector)
{
	mmio_write(&f->m, f->d.common + 0x16, 2, queue);
	mmio_write(&f->m, f->d.common + 0x1a, 2, vector);
}

static void start(struct fixture *f)
{
	driver_start(&f->d, OFFERED, f->rings, 3);
	driver_turn(&f->d);
}

static int doorbell_fd(struct fixture *f, unsigned queue)
{
	uint64_t gpa = f->d.notify + queue * f->d.stride;

	for (size_t i = 0; i < FAKE_MAX; i++)
		if (f->m.bells[i].used && f->m.bells[i].gpa == gpa)
			return f->m.bells[i].fd;
	return -1;
}

static void test_identity(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_DEVICE, 2), 0x1053);
	assert_int_equal(driver_offered(&f->d), FEATURES);
	assert_int_equal(mmio_read(&f->m, f->d.device, 8), 77);
	assert_int_equal(mmio_read(&f->m, f->d.common + 0x12, 2), 3);
}

/* What the server cannot do is not offered; one too old is refused. */
static void test_features(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_params params = {.loop = &f->m.loop, .cid = 3};
	struct virtio_dev *dev = NULL;
	struct error e = ERROR_INIT;
	unsigned frees = 0;

	params.vhost = &fake_vhost_new(1ull << 32, &frees)->vhost;
	assert_int_equal(virtio_vsock_new(&params, &dev, NULL), 0);
	assert_int_equal(dev->features_offered, 1ull << 32);
	virtio_dev_free(dev);
	params.vhost = &fake_vhost_new(1ull << 29, &frees)->vhost;
	assert_int_equal(virtio_vsock_new(&params, &dev, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.message, "virtio-vsock"));
	assert_int_equal(frees, 2);
}

static void test_start(void **state)
{
	struct fixture *f = *state;
	const struct vhost_ring *r = f->vhost->rings;

	driver_negotiate(&f->d, OFFERED | 1ull << 32);
	assert_false(f->vhost->running);
	start(f);
	assert_true(f->vhost->running);
	assert_int_equal(f->vhost->starts, 1);
	assert_int_equal(f->vhost->setup.features, FEATURES);
	assert_int_equal(f->vhost->setup.n_rings, 2);
	assert_int_equal(f->vhost->setup.n_regions, 1);
	assert_int_equal(f->vhost->regions[0].gpa, RAM_GPA);
	assert_int_equal(f->vhost->regions[0].size_bytes, RAM_BYTES);
	assert_ptr_equal(f->vhost->regions[0].hva, f->m.ram.bytes);
	assert_int_equal(f->vhost->regions[0].fd, -1);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(r[i].ready);
		assert_int_equal(r[i].size, RING_SIZE);
		assert_int_equal(r[i].next, 0);
		assert_ptr_equal(r[i].desc,
				 ram_at(&f->m.ram, f->rings[i].desc));
		assert_ptr_equal(r[i].avail,
				 ram_at(&f->m.ram, f->rings[i].avail));
		assert_ptr_equal(r[i].used,
				 ram_at(&f->m.ram, f->rings[i].used));
		/* The doorbell rings at the server. */
		assert_int_equal(r[i].kick_fd, doorbell_fd(f, i));
	}
}

/* A driver that notifies at once, before the server is there. */
static void test_no_kick_is_lost(void **state)
{
	struct fixture *f = *state;
	eventfd_t n;

	driver_start(&f->d, OFFERED, f->rings, 3);
	driver_notify(&f->d, 0);
	driver_notify(&f->d, 1);
	driver_turn(&f->d);
	assert_true(f->vhost->running);
	for (unsigned i = 0; i < 2; i++) {
		n = 0;
		assert_int_equal(eventfd_read(f->vhost->rings[i].kick_fd, &n),
				 0);
		assert_true(n > 0);
	}
}

/* While the server has the rings, the loop leaves notifications alone. */
static void test_kicks_are_the_servers(void **state)
{
	struct fixture *f = *state;
	eventfd_t n = 0;
	int fd;

	start(f);
	fd = f->vhost->rings[1].kick_fd;
	(void)eventfd_read(fd, &n);
	driver_notify(&f->d, 1);
	driver_turn(&f->d);
	assert_int_equal(eventfd_read(fd, &n), 0);
	assert_int_equal(n, 1);
	/* Also those that trap. */
	mmio_write(&f->m, f->d.notify + f->d.stride, 2, 1);
	driver_turn(&f->d);
	assert_int_equal(eventfd_read(fd, &n), 0);
	assert_int_equal(f->vhost->starts, 1);
}

static void test_reset_and_again(void **state)
{
	struct fixture *f = *state;

	start(f);
	vring_add(&f->rings[0], 0);
	fake_vhost_use(f->vhost, 0, 1);
	driver_set_status(&f->d, 0);
	/* Before the driver can read that it is reset. */
	assert_false(f->vhost->running);
	driver_turn(&f->d);
	start(f);
	assert_true(f->vhost->running);
	assert_int_equal(f->vhost->starts, 2);
	assert_int_equal(f->vhost->rings[0].next, 0);
	/* And without a turn of the loop in between. */
	driver_set_status(&f->d, 0);
	start(f);
	assert_int_equal(f->vhost->starts, 3);
	assert_true(f->vhost->running);
}

static void test_call_by_vector(void **state)
{
	struct fixture *f = *state;
	struct fake_vector *v = f->m.vectors;

	driver_msix(&f->d, 1, 0x1000, 7);
	driver_negotiate(&f->d, OFFERED | 1ull << 32);
	for (unsigned i = 0; i < 3; i++) {
		vring_init(&f->rings[i], &f->m.ram, i, RING_SIZE);
		driver_queue(&f->d, i, &f->rings[i]);
	}
	set_vector(f, 0, 1);
	driver_set_status(&f->d, 15);
	driver_turn(&f->d);
	assert_int_equal(f->vhost->rings[0].call_fd, v[1].fd);
	/* No vector: a relay of our own that raises nothing. */
	assert_int_not_equal(f->vhost->rings[1].call_fd, v[1].fd);
	eventfd_write(f->vhost->rings[1].call_fd, 1);
	driver_turn(&f->d);
	assert_int_equal(fake_raised(&f->m, 1), 0);
	/* The driver moves it while it runs. */
	set_vector(f, 0, 2);
	set_vector(f, 1, 1);
	driver_turn(&f->d);
	assert_int_equal(f->vhost->rings[0].call_fd, v[2].fd);
	assert_int_equal(f->vhost->rings[1].call_fd, v[1].fd);
	/* MSI-X off: by the loop again. */
	cfg_write(&f->m, DEVFN, f->d.msix_cap + 2, 2, 0);
	driver_turn(&f->d);
	assert_int_not_equal(f->vhost->rings[0].call_fd, v[2].fd);
	assert_int_equal(f->vhost->starts, 1);
}

/* What the server raises while the vector is masked is pending. */
static void test_call_masked(void **state)
{
	struct fixture *f = *state;

	driver_msix(&f->d, 0, 0x1000, 7);
	driver_negotiate(&f->d, OFFERED | 1ull << 32);
	vring_init(&f->rings[0], &f->m.ram, 0, RING_SIZE);
	driver_queue(&f->d, 0, &f->rings[0]);
	set_vector(f, 0, 0);
	driver_set_status(&f->d, 15);
	driver_turn(&f->d);
	assert_int_equal(mmio_read(&f->m, BAR2_AT + 0x800, 4) & 1, 0);
	mmio_write(&f->m, BAR2_AT + 12, 4, 1);
	eventfd_write(f->vhost->rings[0].call_fd, 1);
	assert_int_equal(mmio_read(&f->m, BAR2_AT + 0x800, 4) & 1, 1);
}

static void test_call_by_pin(void **state)
{
	struct fixture *f = *state;

	start(f);
	eventfd_write(f->vhost->rings[0].call_fd, 1);
	driver_turn(&f->d);
	assert_true(f->m.wires[0] || f->m.wires[1] || f->m.wires[2] ||
		    f->m.wires[3]);
	assert_int_equal(mmio_read(&f->m, f->d.isr, 1), 1);
}

/* A queue that is enabled late is served as well, and the others go on where
 * they were. */
static void test_late_queue(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, OFFERED, f->rings, 1);
	driver_turn(&f->d);
	assert_true(f->vhost->rings[0].ready);
	assert_false(f->vhost->rings[1].ready);
	vring_add(&f->rings[0], 0);
	vring_add(&f->rings[0], 1);
	fake_vhost_use(f->vhost, 0, 2);
	vring_init(&f->rings[1], &f->m.ram, 1, RING_SIZE);
	driver_queue(&f->d, 1, &f->rings[1]);
	driver_turn(&f->d);
	assert_int_equal(f->vhost->starts, 2);
	assert_true(f->vhost->rings[1].ready);
	assert_int_equal(f->vhost->rings[0].next, 2);
	assert_int_equal(f->dev->queues[0].used_index, 2);
}

static void test_failures(void **state)
{
	struct fixture *f = *state;

	/* A ring the server finds malformed. */
	start(f);
	eventfd_write(f->vhost->rings[1].error_fd, 1);
	driver_turn(&f->d);
	assert_false(f->vhost->running);
	assert_int_equal(driver_status(&f->d), 0x4f);
	assert_int_equal(f->failures, 1);
	assert_non_null(strstr(f->why, "malformed"));
	/* Notifications start nothing until the reset. */
	driver_notify(&f->d, 0);
	driver_turn(&f->d);
	assert_int_equal(f->vhost->starts, 1);
	start(f);
	assert_true(f->vhost->running);
	/* One that does not start. */
	driver_set_status(&f->d, 0);
	f->vhost->refuse = true;
	start(f);
	assert_int_equal(driver_status(&f->d), 0x4f);
	assert_int_equal(f->failures, 2);
	assert_string_equal(f->why, "the fake refuses");
}

/* The event comes once, when there is a buffer for it; not after a reset. */
static void test_moved(void **state)
{
	struct fixture *f = *state;
	struct vring *v = &f->rings[2];
	uint32_t head, written;

	start(f);
	virtio_vsock_moved(f->dev);
	memset(ram_at(&f->m.ram, DATA_GPA), 0xff, 16);
	for (uint16_t i = 0; i < 2; i++) {
		vring_desc(v, v->desc, i, DATA_GPA + 8ull * i, 8,
			   VIRTQ_DESC_WRITE, 0);
		vring_add(v, i);
	}
	driver_notify(&f->d, 2);
	assert_true(driver_wait(&f->d, v, &head, &written));
	assert_int_equal(written, 4);
	assert_int_equal(*(uint32_t *)ram_at(&f->m.ram, DATA_GPA), 0);
	driver_notify(&f->d, 2);
	driver_turn(&f->d);
	assert_false(vring_take(v, &head, &written));
	/* With a buffer there, at once. */
	virtio_vsock_moved(f->dev);
	assert_true(vring_take(v, &head, &written));
	virtio_vsock_moved(f->dev);
	driver_set_status(&f->d, 0);
	start(f);
	vring_desc(v, v->desc, 0, DATA_GPA, 8, VIRTQ_DESC_WRITE, 0);
	vring_add(v, 0);
	driver_notify(&f->d, 2);
	driver_turn(&f->d);
	assert_false(vring_take(v, &head, &written));
}

static void test_event_buffer_too_small(void **state)
{
	struct fixture *f = *state;
	struct vring *v = &f->rings[2];

	start(f);
	virtio_vsock_moved(f->dev);
	vring_desc(v, v->desc, 0, DATA_GPA, 3, VIRTQ_DESC_WRITE, 0);
	vring_add(v, 0);
	driver_notify(&f->d, 2);
	driver_turn(&f->d);
	assert_int_equal(driver_status(&f->d), 0x4f);
}

struct line {
	bool level;
};

static void set_line(void *cookie, uint32_t intid, bool level)
{
	((struct line *)cookie)->level = level;
}

/* Over MMIO interrupts come by the loop, with the status they need. */
static void test_mmio(void **state)
{
	const uint64_t base = 0x0e000000;
	struct fixture *f = *state, g = {.m = f->m};
	struct line line = {0};
	struct virtio_mmio *v;
	struct virtio_mmio_params params = {
		.mem = &f->m.ram.mem,
		.bus = f->m.bus,
		.base = base,
		.loop = &f->m.loop,
		.irq = {set_line, &line, 64},
	};
	static const uint32_t writes[][2] = {
		{0x70, 1},	    {0x70, 3},		{0x24, 1},
		{0x20, 1},	    {0x24, 0},		{0x20, 2},
		{0x70, 11},	    {0x30, 0},		{0x38, 8},
		{0x80, 0x40000000}, {0x90, 0x40000800}, {0xa0, 0x40000c00},
		{0x44, 1},	    {0x70, 15},
	};
	struct virtio_vsock_params vsock = {.loop = &f->m.loop, .cid = 9};

	g.vhost = fake_vhost_new(FEATURES, &g.frees);
	vsock.vhost = &g.vhost->vhost;
	assert_int_equal(virtio_vsock_new(&vsock, &params.device, NULL), 0);
	assert_int_equal(virtio_mmio_new(&params, &v, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
		mmio_write(&f->m, base + writes[i][0], 4, writes[i][1]);
	driver_turn(&f->d);
	assert_true(g.vhost->running);
	eventfd_write(g.vhost->rings[0].call_fd, 1);
	driver_turn(&f->d);
	assert_true(line.level);
	assert_int_equal(mmio_read(&f->m, base + 0x60, 4), 1);
	virtio_mmio_free(v);
	assert_int_equal(g.frees, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity),
		TEST(test_features),
		TEST(test_start),
		TEST(test_no_kick_is_lost),
		TEST(test_kicks_are_the_servers),
		TEST(test_reset_and_again),
		TEST(test_call_by_vector),
		TEST(test_call_masked),
		TEST(test_call_by_pin),
		TEST(test_late_queue),
		TEST(test_failures),
		TEST(test_moved),
		TEST(test_event_buffer_too_small),
		TEST(test_mmio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
