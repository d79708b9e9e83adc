/* How long frames took: each that was moved has its time, no other has. */
#include <unistd.h>

#include "lib/host/netdev.h"
#include "tests/unit/virtio_net_fixture.h"

#define MRG_RXBUF (1ull << 15)

static void receive(struct fixture *f, uint16_t i, uint32_t bytes)
{
	struct vring *v = &f->rings[0];

	vring_desc(v, v->desc, i, DATA_GPA + 0x1000 * i, bytes,
		   VIRTQ_DESC_WRITE, 0);
	vring_add(v, i);
	driver_notify(&f->d, 0);
	driver_turn(&f->d);
}

static void arrive(struct fixture *f, size_t bytes)
{
	static const uint8_t frame[2000];

	assert_int_equal(send(f->peers[0], frame, 12 + bytes, 0), 12 + bytes);
	driver_turn(&f->d);
}

static struct netdev_stats stats(struct fixture *f)
{
	struct netdev_stats s;

	virtio_net_stats(f->dev, &s);
	return s;
}

static unsigned timed(struct fixture *f, bool received)
{
	struct netdev_stats s = stats(f);

	return (unsigned)histogram_total(received ? &s.received.latency
						  : &s.sent.latency);
}

static void test_sent(void **state)
{
	struct fixture *f = *state;
	uint32_t head, written;

	start(f, FEATURES);
	for (unsigned i = 0; i < 3; i++) {
		transmit(f);
		assert_true(driver_wait(&f->d, &f->rings[1], &head, &written));
	}
	assert_int_equal(timed(f, false), 3);
	assert_true(stats(f).sent.total_ns > 0);
	/* Without a cable nothing is sent. */
	virtio_net_set_link(f->dev, false);
	transmit(f);
	assert_true(driver_wait(&f->d, &f->rings[1], &head, &written));
	assert_int_equal(timed(f, false), 3);
}

/* The host takes no more: their time is from when they were noticed. */
static void test_sent_later(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[2048];
	uint64_t before;
	unsigned sent;

	start(f, FEATURES);
	do {
		before = stats(f).sent.frames;
		transmit(f);
	} while (stats(f).sent.frames > before);
	sent = timed(f, false);
	assert_int_equal(sent, before);
	usleep(30000);
	while (recv(f->peers[0], frame, sizeof(frame), MSG_DONTWAIT) > 0)
		;
	driver_turn(&f->d);
	assert_int_equal(timed(f, false), sent + 1);
	assert_true(stats(f).sent.total_ns >= 30000000);
}

static void test_received(void **state)
{
	struct fixture *f = *state;

	start(f, FEATURES);
	receive(f, 1, 1526);
	arrive(f, 60);
	assert_int_equal(timed(f, true), 1);
	assert_true(stats(f).received.total_ns > 0);
	/* One that never fits is dropped. */
	receive(f, 2, 64);
	arrive(f, 1514);
	assert_int_equal(timed(f, true), 1);
	assert_int_equal(stats(f).received.dropped, 1);
}

/* Read, and kept until there are buffers for all of it: that is its time. */
static void test_received_later(void **state)
{
	struct fixture *f = *state;

	start(f, FEATURES | MRG_RXBUF);
	receive(f, 1, 100);
	arrive(f, 150);
	assert_int_equal(timed(f, true), 0);
	usleep(30000);
	receive(f, 2, 100);
	assert_int_equal(timed(f, true), 1);
	assert_true(stats(f).received.total_ns >= 30000000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sent),
		TEST(test_sent_later),
		TEST(test_received),
		TEST(test_received_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
