#include <fcntl.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "tests/unit/pci_fixture.h"
#include "vmm-kvm/devices/virtio_net.h"

#define DEVFN	  PCI_DEVFN(1, 0)
#define RX	  0
#define TX	  1
#define MRG_RXBUF (1ull << 15)
#define CSUM	  3ull
#define TSO	  (0x77ull << 7)

struct fixture {
	struct machine m;
	struct virtio_pci *v;
	struct virtio_dev *dev; /* of v */
	struct driver d;
	struct vring rings[2];
	int peer;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_net_params net = {.mac = {0x52, 0x54, 0, 1, 2, 3}};
	int fds[2];

	machine_init(&f->m);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	f->peer = fds[0];
	net.loop = &f->m.loop;
	net.ends = (struct fd_list){1, {fds[1]}};
	assert_int_equal(virtio_net_new(&net, &f->dev, NULL), 0);
	f->v = driver_plug(&f->d, &f->m, DEVFN, f->dev, true);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_pci_free(f->v);
	machine_done(&f->m);
	fd_close(f->peer);
	free(f);
	return 0;
}

static void start(struct fixture *f, uint64_t features)
{
	driver_start(&f->d, 3ull << 28 | features, f->rings, 2);
}

static uint8_t *buffer(struct fixture *f, unsigned i)
{
	return ram_at(&f->m.ram, DATA_GPA + 0x1000 * i);
}

static void give_buffer(struct fixture *f, uint16_t i, uint32_t bytes)
{
	struct vring *v = &f->rings[RX];

	vring_desc(v, v->desc, i, DATA_GPA + 0x1000 * i, bytes,
		   VIRTQ_DESC_WRITE, 0);
	vring_add(v, i);
	driver_notify(&f->d, RX);
}

/* A frame as the tap gives it, with nonsense in its header. */
static void arrive(struct fixture *f, unsigned bytes, uint8_t fill)
{
	uint8_t frame[4096];

	memset(frame, 0xff, 12);
	memset(frame + 12, fill, bytes);
	assert_int_equal(send(f->peer, frame, 12 + bytes, 0), 12 + bytes);
}

static void test_config(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_DEVICE, 2), 0x1041);
	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_CLASS + 2, 1), 2);
	assert_int_equal(driver_offered(&f->d),
			 1ull << 32 | 3ull << 28 | 0xbf << 16 | 1 << 15 |
				 1 << 5 | 1 << 2 | CSUM | TSO);
	assert_int_equal(mmio_read(&f->m, f->d.device, 8), 0x1030201005452);
}

struct header_row {
	uint8_t flags, gso_type;
	uint64_t features;
	int passes; /* -1: the frame does not; 0: without what it asks for */
};

/* Header, 60 bytes. Only what was negotiated may be left to the host. */
static void test_transmit_offloads(void **state)
{
	static const struct header_row rows[] = {
		{1, 0, 1, 1},		{1, 1, 1 | 1 << 11, 1},
		{1, 4, 1 | 1 << 12, 1}, {1, 0x81, 1 | 1 << 11 | 1 << 13, 1},
		{1, 1, 0, 0},		{0xff, 0xff, 0, 0},
		{1, 1, 1, -1},		{1, 4, 1 | 1 << 11, -1},
		{1, 3, CSUM | TSO, -1}, {1, 0x81, 1 | 1 << 11, -1},
		{1, 5, CSUM | TSO, -1},
	};
	struct fixture *f = *state;
	uint8_t frame[128], got[128];
	uint32_t head, written;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vring *v = &f->rings[TX];
		ssize_t n;

		start(f, rows[i].features);
		memset(frame, 7, sizeof(frame));
		frame[0] = rows[i].flags;
		frame[1] = rows[i].gso_type;
		memcpy(buffer(f, 0), frame, 72);
		vring_desc(v, v->desc, 0, DATA_GPA, 72, 0, 0);
		vring_add(v, 0);
		driver_notify(&f->d, TX);
		assert_true(driver_wait(&f->d, v, &head, &written));
		n = recv(f->peer, got, sizeof(got), MSG_DONTWAIT);
		assert_int_equal(n, rows[i].passes < 0 ? -1 : 72);
		if (n < 0)
			continue;
		memset(frame + 10, 0, 2); /* num_buffers */
		if (rows[i].passes == 0)
			memset(frame, 0, 12);
		assert_memory_equal(got, frame, 72);
	}
}

/* One that is about to be taken: nothing moves, and nobody is interrupted. */
static void test_doomed_is_silent(void **state)
{
	struct fixture *f = *state;
	struct vring *v = &f->rings[TX];
	uint8_t got[128];

	start(f, 0);
	give_buffer(f, 0, 256);
	driver_turn(&f->d);
	virtio_enter(f->dev);
	virtio_pci_doom(f->v);
	virtio_leave(f->dev);
	arrive(f, 60, 1);
	vring_desc(v, v->desc, 0, DATA_GPA + 0x4000, 72, 0, 0);
	vring_add(v, 0);
	driver_notify(&f->d, TX);
	for (unsigned i = 0; i < 4; i++)
		driver_turn(&f->d);
	assert_int_equal(vring_used_index(&f->rings[RX]), 0);
	assert_int_equal(vring_used_index(v), 0);
	assert_int_equal(recv(f->peer, got, sizeof(got), MSG_DONTWAIT), -1);
}

static void test_receive_offloads(void **state)
{
	static const struct header_row rows[] = {
		{1, 0, 2, 1},		{1, 1, 2 | 1 << 7, 1},
		{1, 4, 2 | 1 << 8, 1},	{1, 1, 0, 0},
		{1, 1, 2, -1},		{1, 4, 2 | 1 << 7, -1},
		{1, 3, CSUM | TSO, -1},
	};
	struct fixture *f = *state;
	uint32_t head, written;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t frame[72] = {rows[i].flags, rows[i].gso_type};

		start(f, rows[i].features);
		give_buffer(f, 0, 1526);
		driver_turn(&f->d);
		assert_int_equal(send(f->peer, frame, 72, 0), 72);
		driver_turn(&f->d);
		assert_int_equal(vring_take(&f->rings[RX], &head, &written),
				 rows[i].passes >= 0);
		if (rows[i].passes < 0)
			continue;
		assert_int_equal(buffer(f, 0)[0], rows[i].passes ? 1 : 0);
		assert_int_equal(buffer(f, 0)[1],
				 rows[i].passes ? rows[i].gso_type : 0);
		assert_int_equal(buffer(f, 0)[10], 1);
	}
}

static void test_receive(void **state)
{
	static const uint8_t header[12] = {[10] = 1};
	struct fixture *f = *state;
	uint32_t head, written;

	/* Before there is a driver, and before there are buffers. */
	arrive(f, 60, 1);
	driver_turn(&f->d);
	start(f, 0);
	driver_turn(&f->d);
	assert_int_equal(vring_used_index(&f->rings[RX]), 0);
	give_buffer(f, 2, 1526);
	assert_true(driver_wait(&f->d, &f->rings[RX], &head, &written));
	assert_int_equal(head, 2);
	assert_int_equal(written, 72);
	assert_memory_equal(buffer(f, 2), header, 12);
	assert_int_equal(buffer(f, 2)[12], 1);
	give_buffer(f, 3, 1526);
	driver_turn(&f->d);
	arrive(f, 1514, 2);
	assert_true(driver_wait(&f->d, &f->rings[RX], &head, &written));
	assert_int_equal(written, 1526);
	/* Larger than the buffer and not mergeable: dropped, the next fits. */
	give_buffer(f, 4, 100);
	arrive(f, 200, 3);
	arrive(f, 60, 4);
	assert_true(driver_wait(&f->d, &f->rings[RX], &head, &written));
	assert_int_equal(head, 4);
	assert_int_equal(buffer(f, 4)[12], 4);
}

static void test_merge(void **state)
{
	struct fixture *f = *state;
	uint32_t head, written;

	start(f, MRG_RXBUF);
	give_buffer(f, 0, 100);
	give_buffer(f, 1, 100);
	arrive(f, 250, 5);
	driver_turn(&f->d);
	/* Not enough yet: nothing is shown. */
	assert_int_equal(vring_used_index(&f->rings[RX]), 0);
	give_buffer(f, 2, 100);
	assert_true(driver_wait(&f->d, &f->rings[RX], &head, &written));
	assert_int_equal(vring_used_index(&f->rings[RX]), 3);
	assert_int_equal(head, 0);
	assert_int_equal(written, 100);
	assert_int_equal(buffer(f, 0)[10], 3);
	assert_int_equal(buffer(f, 0)[11], 0);
	assert_true(vring_take(&f->rings[RX], &head, &written));
	assert_int_equal(written, 100);
	assert_true(vring_take(&f->rings[RX], &head, &written));
	assert_int_equal(head, 2);
	assert_int_equal(written, 62);
	assert_int_equal(buffer(f, 2)[61], 5);
	assert_int_equal(buffer(f, 2)[62], 0);
}

static void transmit(struct fixture *f, uint32_t bytes)
{
	struct vring *v = &f->rings[TX];

	memset(buffer(f, 8), 0xff, 12);
	memset(buffer(f, 8) + 12, 6, bytes);
	vring_desc(v, v->desc, 0, DATA_GPA + 0x8000, 20, VIRTQ_DESC_NEXT, 1);
	vring_desc(v, v->desc, 1, DATA_GPA + 0x8014, bytes - 8, 0, 0);
	vring_add(v, 0);
	driver_notify(&f->d, TX);
}

static void test_transmit(void **state)
{
	static const uint8_t zero[12];
	struct fixture *f = *state;
	uint32_t head, written;
	uint8_t frame[4096];

	start(f, 0);
	transmit(f, 64);
	assert_true(driver_wait(&f->d, &f->rings[TX], &head, &written));
	assert_int_equal(written, 0);
	assert_int_equal(recv(f->peer, frame, sizeof(frame), 0), 76);
	/* What the guest's header says does not reach the host. */
	assert_memory_equal(frame, zero, 12);
	assert_int_equal(frame[12], 6);
	assert_int_equal(frame[75], 6);
}

/* The host does not take frames: the guest's wait, and none is lost. */
static void test_host_is_full(void **state)
{
	struct fixture *f = *state;
	struct vring *v = &f->rings[TX];
	uint32_t head, written;
	uint8_t frame[4096];
	unsigned sent = 0, got = 0;

	start(f, 0);
	do {
		transmit(f, 1500);
		driver_turn(&f->d);
		sent++;
	} while (vring_take(v, &head, &written));
	driver_notify(&f->d, TX);
	driver_turn(&f->d);
	assert_int_equal(vring_used_index(v), sent - 1);
	while (recv(f->peer, frame, sizeof(frame), MSG_DONTWAIT) > 0)
		got++;
	assert_int_equal(got, sent - 1);
	assert_true(driver_wait(&f->d, v, &head, &written));
	assert_int_equal(recv(f->peer, frame, sizeof(frame), 0), 1512);
	assert_int_equal(driver_status(&f->d), 15);
}

static void expect_needs_reset(struct fixture *f, const char *what)
{
	driver_turn(&f->d);
	if (driver_status(&f->d) != 0x4f)
		fail_msg("%s: status 0x%x", what,
			 (unsigned)driver_status(&f->d));
}

static void test_malformed(void **state)
{
	struct fixture *f = *state;
	struct vring *tx = &f->rings[TX], *rx = &f->rings[RX];

	start(f, 0);
	vring_desc(tx, tx->desc, 0, DATA_GPA, 11, 0, 0);
	vring_add(tx, 0);
	driver_notify(&f->d, TX);
	expect_needs_reset(f, "short header");

	start(f, MRG_RXBUF);
	give_buffer(f, 0, 11);
	arrive(f, 60, 1);
	expect_needs_reset(f, "no room for the header");

	start(f, MRG_RXBUF);
	vring_desc(rx, rx->desc, 0, DATA_GPA, 100, 0, 0);
	vring_add(rx, 0);
	arrive(f, 60, 1);
	driver_notify(&f->d, RX);
	expect_needs_reset(f, "receive buffer not writable");

	start(f, 0);
	vring_desc(tx, tx->desc, 0, DATA_GPA, 100, VIRTQ_DESC_NEXT, 0);
	vring_add(tx, 0);
	driver_notify(&f->d, TX);
	expect_needs_reset(f, "loop");

	start(f, 0);
	*vring_u16(rx, rx->avail + 2) = 100;
	arrive(f, 60, 1);
	driver_notify(&f->d, RX);
	expect_needs_reset(f, "index jump");

	/* Only a header: no frame, and no harm. */
	start(f, 0);
	vring_desc(tx, tx->desc, 0, DATA_GPA, 12, 0, 0);
	vring_add(tx, 0);
	driver_notify(&f->d, TX);
	driver_turn(&f->d);
	assert_int_equal(vring_used_index(tx), 1);
	assert_int_equal(driver_status(&f->d), 15);
}

/* One-byte buffers: a frame that would need too many is dropped. */
static void test_tiny_buffers(void **state)
{
	struct fixture *f = *state;

	start(f, MRG_RXBUF);
	give_buffer(f, 0, 12);
	for (uint16_t i = 1; i < RING_SIZE; i++)
		give_buffer(f, i, 1);
	arrive(f, 6, 7);
	driver_turn(&f->d);
	assert_int_equal(vring_used_index(&f->rings[RX]), 7);
	assert_int_equal(buffer(f, 0)[10], 7);
}

static void test_link_goes_down(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	driver_turn(&f->d);
	f->peer = fd_close(f->peer);
	driver_turn(&f->d);
	assert_int_equal(mmio_read(&f->m, f->d.device + 6, 2), 0);
	assert_int_equal(mmio_read(&f->m, f->d.isr, 1), 2);
	give_buffer(f, 0, 100);
	driver_turn(&f->d);
	assert_int_equal(driver_status(&f->d), 15);
}

static void test_bad_tap(void **state)
{
	struct virtio_net_params net = {0};
	struct fixture *f = *state;
	struct virtio_dev *dev = NULL;
	struct error e = ERROR_INIT;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	net.loop = &f->m.loop;
	net.ends = (struct fd_list){1, {fds[0]}};
	assert_int_equal(virtio_net_new(&net, &dev, &e), -EINVAL);
	assert_null(dev);
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	close(fds[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config),	     TEST(test_transmit_offloads),
		TEST(test_doomed_is_silent), TEST(test_receive_offloads),
		TEST(test_receive),	     TEST(test_merge),
		TEST(test_transmit),	     TEST(test_host_is_full),
		TEST(test_malformed),	     TEST(test_tiny_buffers),
		TEST(test_link_goes_down),   TEST(test_bad_tap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
