/*
 * A network device in a snapshot: what its driver asked for by the control
 * queue goes on to hold, and what somebody else wrote into the file is judged.
 */
#include "tests/unit/virtio_net_fixture.h"

struct two {
	struct fixture *from, *to;
};

static int setup_two(void **state)
{
	struct two *t = calloc(1, sizeof(*t));

	t->from = begin(false);
	t->to = begin(false);
	*state = t;
	return 0;
}

static int teardown_two(void **state)
{
	struct two *t = *state;
	void *from = t->from, *to = t->to;

	free(t);
	return teardown(&from) | teardown(&to);
}

static void save(struct fixture *f, struct state_out *out)
{
	virtio_pci_hold(f->v, true);
	virtio_pci_save(f->v, out);
	assert_false(out->failed);
}

/* Into a machine with the same memory. */
static int load(struct two *t, const struct state_out *out, struct error *e)
{
	struct state_in in = state_in(out->buf.data, out->buf.size);
	int r;

	memcpy(t->to->m.ram.bytes, t->from->m.ram.bytes, RAM_BYTES);
	virtio_pci_hold(t->to->v, true);
	r = virtio_pci_load(t->to->v, &in, e);
	return r ? r : state_close(&in, e);
}

/* The driver is the guest's, and goes where it goes. */
static void move(struct two *t)
{
	_cleanup_state_out_ struct state_out out = {0};
	struct error e = ERROR_INIT;

	save(t->from, &out);
	if (load(t, &out, &e))
		fail_msg("%s", e.message);
	t->to->d = t->from->d;
	t->to->d.m = &t->to->m;
	memcpy(t->to->rings, t->from->rings, sizeof(t->to->rings));
	for (size_t i = 0; i < ARRAY_SIZE(t->to->rings); i++)
		t->to->rings[i].ram = &t->to->m.ram;
	virtio_pci_hold(t->to->v, false);
	driver_turn(&t->to->d);
}

static void test_what_the_driver_asked_for(void **state)
{
	static const uint8_t table[] = "\0\0\0\0"
				       "\x01\0\0\0" MULTICAST;
	uint16_t vlan = 0x123, pairs = 2;
	uint64_t offloads = 1 << 1;
	uint8_t off = 0, frame[72] = {0};
	struct two *t = *state;
	struct fixture *f = t->from;
	uint32_t head, written;

	start(f, FEATURES);
	assert_int_equal(command(f, 0, 0, &off, 1), 0);
	assert_int_equal(command(f, 1, 1, OTHER, 6), 0);
	assert_int_equal(command(f, 1, 0, table, sizeof(table) - 1), 0);
	assert_int_equal(command(f, 2, 0, &vlan, 2), 0);
	assert_int_equal(command(f, 5, 0, &offloads, 8), 0);
	assert_int_equal(command(f, 4, 0, &pairs, 2), 0);
	give_buffer(f, 2, 7);
	move(t);
	f = t->to;
	assert_int_equal(mmio_read(&f->m, f->d.device + 4, 2), 0x0909);
	assert_true(passes(f, OTHER, 0));
	assert_true(passes(f, MULTICAST, 0));
	assert_true(passes(f, OTHER, 0x123));
	assert_false(passes(f, OTHER, 0x124));
	assert_false(passes(f, OURS, 0));
	/* The second pair is in use, with the buffer that waited there. */
	memcpy(frame + 12, OTHER, 6);
	assert_int_equal(send(f->peers[1], frame, 72, 0), 72);
	assert_true(driver_wait(&f->d, &f->rings[2], &head, &written));
	assert_int_equal(head, 7);
	/* It sends. */
	transmit(f);
	assert_true(driver_wait(&f->d, &f->rings[1], &head, &written));
	assert_int_equal(recv(f->peers[0], frame, 72, MSG_DONTWAIT), 72);
}

/* Packed rings, of which a driver uses some: the others know nothing yet. */
static void test_packed_and_not_used(void **state)
{
	struct two *t = *state;

	virtio_offer_packed(t->from->dev);
	virtio_offer_packed(t->to->dev);
	start(t->from, (FEATURES & ~F_MQ) | VIRTIO_F_RING_PACKED);
	assert_true(t->from->dev->queues[0].packed);
	assert_false(t->from->dev->queues[4].ready);
	move(t);
	assert_true(t->to->dev->queues[0].ready &&
		    t->to->dev->queues[0].packed);
	assert_false(t->to->dev->queues[4].ready);
	/* One that comes into use now is packed, too. */
	vring_init(&t->to->rings[3], &t->to->m.ram, 3, RING_SIZE);
	driver_queue(&t->to->d, 3, &t->to->rings[3]);
	assert_true(t->to->dev->queues[3].ready &&
		    t->to->dev->queues[3].packed);
}

/* Its neighbours are to learn where it is now (5.1.6.5.4). */
static void test_link(void **state)
{
	struct two *t = *state;

	start(t->from, FEATURES);
	move(t);
	assert_int_equal(mmio_read(&t->to->m, t->to->d.device + 6, 2), 3);
}

static void test_link_that_is_down(void **state)
{
	struct two *t = *state;

	start(t->from, FEATURES);
	virtio_net_set_link(t->from->dev, false);
	move(t);
	assert_int_equal(mmio_read(&t->to->m, t->to->d.device + 6, 2), 0);
	assert_false(passes(t->to, OURS, 0));
	virtio_net_set_link(t->to->dev, true);
	driver_turn(&t->to->d);
	assert_int_equal(mmio_read(&t->to->m, t->to->d.device + 6, 2) & 1, 1);
}

/* A frame that waits for a buffer is lost, as on any medium; the next is not.
 */
static void test_frame_under_way(void **state)
{
	uint8_t frame[72] = {0};
	struct two *t = *state;

	start(t->from, FEATURES);
	assert_int_equal(send(t->from->peers[0], frame, 72, 0), 72);
	driver_turn(&t->from->d);
	move(t);
	assert_true(passes(t->to, BROADCAST, 0));
}

/* Byte by byte another: refused with a reason, or a device that works. */
static void test_other_bytes(void **state)
{
	_cleanup_state_out_ struct state_out out = {0};
	struct two *t = *state;

	start(t->from, FEATURES);
	save(t->from, &out);
	for (size_t at = 0; at < out.buf.size; at++) {
		struct error e = ERROR_INIT;
		void *to = t->to;

		((uint8_t *)out.buf.data)[at] ^= 0x81;
		if (load(t, &out, &e))
			assert_true(e.message[0]);
		virtio_pci_hold(t->to->v, false);
		driver_turn(&t->to->d);
		((uint8_t *)out.buf.data)[at] ^= 0x81;
		teardown(&to);
		t->to = begin(false);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_two, teardown_two)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_the_driver_asked_for),
		TEST(test_packed_and_not_used),
		TEST(test_link),
		TEST(test_link_that_is_down),
		TEST(test_frame_under_way),
		TEST(test_other_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
