#include "tests/unit/virtio_net_fixture.h"

static void test_config(void **state)
{
	struct fixture *f = *state;

	assert_true(driver_offered(&f->d) & F_MQ);
	assert_true(driver_offered(&f->d) & 1 << 3);
	assert_int_equal(mmio_read(&f->m, f->d.device + 8, 2), PAIRS);
	assert_int_equal(mmio_read(&f->m, f->d.device + 10, 2), 9000);
}

static void test_rx_modes(void **state)
{
	struct fixture *f = *state;
	uint8_t on = 1, off = 0;

	start(f, FEATURES);
	assert_true(passes(f, OTHER, 0)); /* until the driver says otherwise */
	assert_int_equal(command(f, 0, 0, &off, 1), 0);
	assert_true(passes(f, OURS, 0));
	assert_true(passes(f, BROADCAST, 0));
	assert_false(passes(f, OTHER, 0));
	assert_false(passes(f, MULTICAST, 0));
	assert_int_equal(command(f, 0, 1, &on, 1), 0);
	assert_true(passes(f, MULTICAST, 0));
	assert_int_equal(command(f, 0, 2, &on, 1), 0);
	assert_true(passes(f, OTHER, 0));
	assert_int_equal(command(f, 0, 3, &on, 1), 0);
	assert_false(passes(f, MULTICAST, 0));
	assert_int_equal(command(f, 0, 4, &on, 1), 0);
	assert_false(passes(f, OURS, 0));
	assert_int_equal(command(f, 0, 5, &on, 1), 0);
	assert_false(passes(f, BROADCAST, 0));
	assert_int_equal(command(f, 0, 0, &on, 1), 0);
	assert_true(passes(f, OTHER, 0));
	assert_int_equal(command(f, 0, 6, &on, 1), 1);
}

static void test_mac(void **state)
{
	static const uint8_t table[] = "\x01\0\0\0" OTHER
				       "\x01\0\0\0" MULTICAST;
	static const uint8_t none[8], short_table[] = "\x02\0\0\0" OTHER;
	uint8_t full[8 + 65 * 6] = {65}, off = 0;
	struct fixture *f = *state;

	start(f, FEATURES);
	assert_int_equal(command(f, 0, 0, &off, 1), 0);
	assert_int_equal(command(f, 1, 0, table, sizeof(table) - 1), 0);
	assert_true(passes(f, OTHER, 0));
	assert_true(passes(f, MULTICAST, 0));
	/* One that does not agree with itself changes nothing. */
	assert_int_equal(command(f, 1, 0, short_table, 10), 1);
	assert_true(passes(f, OTHER, 0));
	assert_int_equal(command(f, 1, 0, none, 8), 0);
	assert_false(passes(f, OTHER, 0));
	/* More than fit: all of that kind. */
	assert_int_equal(command(f, 1, 0, full, sizeof(full)), 0);
	assert_true(passes(f, OTHER, 0));
	assert_false(passes(f, MULTICAST, 0));
	full[3] = 0xff;
	assert_int_equal(command(f, 1, 0, full, sizeof(full)), 1);
	assert_int_equal(command(f, 1, 0, none, 8), 0);
	assert_int_equal(command(f, 1, 1, OTHER, 6), 0);
	assert_true(passes(f, OTHER, 0));
	assert_false(passes(f, OURS, 0));
	assert_int_equal(mmio_read(&f->m, f->d.device + 4, 2), 0x0909);
	assert_int_equal(command(f, 1, 1, MULTICAST, 6), 1);
	assert_int_equal(command(f, 1, 1, OTHER, 5), 1);
	/* A reset forgets it all. */
	driver_set_status(&f->d, 0);
	assert_int_equal(mmio_read(&f->m, f->d.device + 4, 2), 0x0302);
	start(f, FEATURES);
	assert_true(passes(f, OURS, 0));
}

static void test_vlans(void **state)
{
	struct fixture *f = *state;
	uint16_t id = 0x123, bad = 4096;
	uint8_t off = 0;

	start(f, FEATURES);
	assert_int_equal(command(f, 0, 0, &off, 1), 0);
	assert_false(passes(f, OURS, 0x123));
	assert_int_equal(command(f, 2, 0, &id, 2), 0);
	assert_true(passes(f, OURS, 0x123));
	assert_false(passes(f, OURS, 0x124));
	assert_false(passes(f, OTHER, 0x123));
	assert_int_equal(command(f, 2, 1, &id, 2), 0);
	assert_false(passes(f, OURS, 0x123));
	assert_int_equal(command(f, 2, 0, &bad, 2), 1);
	assert_int_equal(command(f, 2, 2, &id, 2), 1);
	/* Without that feature, tags are the guest's own matter. */
	start(f, FEATURES & ~(1ull << 19));
	assert_int_equal(command(f, 0, 0, &off, 1), 0);
	assert_true(passes(f, OURS, 0x124));
	assert_int_equal(command(f, 2, 0, &id, 2), 1);
}

static void test_offloads(void **state)
{
	uint64_t some = 1 << 1, all = some | 1 << 7, more = all | 1 << 8;
	struct fixture *f = *state;

	start(f, FEATURES);
	assert_int_equal(command(f, 5, 0, &some, 8), 0);
	assert_int_equal(command(f, 5, 0, &all, 8), 0);
	assert_int_equal(command(f, 5, 0, &more, 8), 1); /* not negotiated */
	assert_int_equal(command(f, 5, 0, &some, 7), 1);
	assert_int_equal(command(f, 6, 0, &some, 8), 1);
}

static void test_pairs(void **state)
{
	uint16_t n = 2, none = 0, many = 3, one = 1;
	struct fixture *f = *state;
	uint8_t frame[72] = {0};
	uint32_t head, written;

	start(f, FEATURES);
	give_buffer(f, 2, 1);
	assert_int_equal(send(f->peers[1], frame, 72, 0), 72);
	driver_turn(&f->d);
	assert_int_equal(vring_used_index(&f->rings[2]), 0);
	assert_int_equal(command(f, 4, 0, &none, 2), 1);
	assert_int_equal(command(f, 4, 0, &many, 2), 1);
	assert_int_equal(command(f, 4, 0, &n, 2), 0);
	assert_true(driver_wait(&f->d, &f->rings[2], &head, &written));
	assert_int_equal(written, 72);
	assert_int_equal(command(f, 4, 0, &one, 2), 0);
	give_buffer(f, 2, 1);
	assert_int_equal(send(f->peers[1], frame, 72, 0), 72);
	driver_turn(&f->d);
	assert_int_equal(vring_used_index(&f->rings[2]), 1);
	/* Without MQ the control queue follows the only pair. */
	start(f, FEATURES & ~F_MQ);
	assert_int_equal(command_on(f, 2, 4, 0, &one, 2), 1);
	assert_int_equal(command_on(f, 2, 0, 1, "\1", 1), 0);
}

static uint64_t status(struct fixture *f)
{
	return mmio_read(&f->m, f->d.device + 6, 2);
}

static void test_link(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[72] = {0};
	uint32_t head, written;

	start(f, FEATURES);
	give_buffer(f, 0, 1);
	virtio_net_set_link(f->dev, false);
	assert_int_equal(status(f), 0);
	assert_int_equal(mmio_read(&f->m, f->d.isr, 1), 2);
	/* Neither way does a frame get through, and none waits for later. */
	assert_int_equal(send(f->peers[0], frame, 72, 0), 72);
	transmit(f);
	assert_true(driver_wait(&f->d, &f->rings[1], &head, &written));
	assert_int_equal(recv(f->peers[0], frame, 72, MSG_DONTWAIT), -1);
	assert_int_equal(vring_used_index(&f->rings[0]), 0);
	virtio_net_set_link(f->dev, true);
	assert_int_equal(status(f), 1 | 2 /* announce */);
	driver_turn(&f->d);
	assert_int_equal(vring_used_index(&f->rings[0]), 0);
	assert_int_equal(command(f, 3, 0, NULL, 0), 0);
	assert_int_equal(status(f), 1);
	assert_int_equal(command(f, 3, 0, NULL, 0), 1);
	assert_int_equal(send(f->peers[0], frame, 72, 0), 72);
	assert_true(driver_wait(&f->d, &f->rings[0], &head, &written));
}

static void test_gone(void **state)
{
	struct fixture *f = *state;
	uint32_t head, written;

	start(f, FEATURES);
	f->peers[0] = fd_close(f->peers[0]);
	driver_turn(&f->d);
	assert_int_equal(f->failures, 1);
	assert_int_equal(status(f), 0);
	virtio_net_set_link(f->dev, true);
	assert_int_equal(status(f), 0);
	transmit(f);
	assert_true(driver_wait(&f->d, &f->rings[1], &head, &written));
	/* Told once, whatever else fails. */
	f->peers[1] = fd_close(f->peers[1]);
	driver_turn(&f->d);
	assert_int_equal(f->failures, 1);
}

static void test_malformed(void **state)
{
	struct fixture *f = *state;
	struct vring *v = &f->rings[CONTROL];

	start(f, FEATURES);
	vring_desc(v, v->desc, 0, COMMAND, 1, VIRTQ_DESC_NEXT, 1);
	vring_desc(v, v->desc, 1, ACK_AT, 1, VIRTQ_DESC_WRITE, 0);
	vring_add(v, 0);
	driver_notify(&f->d, CONTROL);
	driver_turn(&f->d);
	assert_int_equal(driver_status(&f->d), 0x4f);

	start(f, FEATURES);
	vring_desc(v, v->desc, 0, COMMAND, 3, 0, 0);
	vring_add(v, 0);
	driver_notify(&f->d, CONTROL);
	driver_turn(&f->d);
	assert_int_equal(driver_status(&f->d), 0x4f);
}

/* The kernel moves frames of the pairs in use, while the link is up. */
static void test_vhost(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[72] = {0};
	uint16_t two = 2;

	start(f, FEATURES);
	assert_int_equal(driver_offered(&f->d) & 1 << 15, 1 << 15);
	assert_true(f->vhost->running);
	assert_true(f->vhost->rings[0].ready && f->vhost->rings[1].ready);
	assert_false(f->vhost->rings[2].ready);
	assert_int_equal(send(f->peers[0], frame, 72, 0), 72);
	give_buffer(f, 0, 1);
	assert_int_equal(vring_used_index(&f->rings[0]), 0);
	assert_int_equal(command(f, 4, 0, &two, 2), 0);
	assert_int_equal(f->vhost->starts, 2);
	assert_true(f->vhost->rings[3].ready);
	virtio_net_set_link(f->dev, false);
	assert_false(f->vhost->running);
	driver_turn(&f->d);
	virtio_net_set_link(f->dev, true);
	assert_true(f->vhost->running);
	assert_int_equal(f->vhost->starts, 3);
	driver_set_status(&f->d, 0);
	assert_false(f->vhost->running);
	start(f, FEATURES);
	assert_false(f->vhost->rings[2].ready);
	f->peers[0] = fd_close(f->peers[0]);
	driver_turn(&f->d);
	assert_false(f->vhost->running);
	assert_int_equal(f->failures, 1);
	assert_int_equal(status(f), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config),
		TEST(test_rx_modes),
		TEST(test_mac),
		TEST(test_vlans),
		TEST(test_offloads),
		TEST(test_pairs),
		TEST(test_link),
		TEST(test_gone),
		TEST(test_malformed),
		cmocka_unit_test_setup_teardown(test_vhost, setup_vhost,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
