#include <sys/socket.h>

#include "lib/base/fd.h"
#include "tests/unit/pci_fixture.h"
#include "tests/unit/fake_vhost.h"
#include "vmm-kvm/devices/virtio_net.h"

#define DEVFN	  PCI_DEVFN(1, 0)
#define PAIRS	  2
#define CONTROL	  4
#define COMMAND	  (DATA_GPA + 0x20000)
#define ACK_AT	  (DATA_GPA + 0x22000)
#define FEATURES  (3ull << 28 | 0xff << 16 | 1 << 5 | 3 | 1 << 2 | 1 << 7)
#define F_MQ	  (1ull << 22)
#define UNDEFINED 0x55

struct fixture {
	struct machine m;
	struct virtio_pci *v;
	struct virtio_dev *dev; /* of v */
	struct driver d;
	struct vring rings[2 * PAIRS + 1];
	int peers[PAIRS];
	struct fake_vhost *vhost; /* or NULL */
	unsigned frees, failures;
};

static void on_failed(void *cookie, const char *why)
{
	struct fixture *f = cookie;

	assert_non_null(strstr(why, "gone"));
	f->failures++;
}

static struct fixture *begin(bool vhost)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_net_params net = {
		.mac = {0x52, 0x54, 0, 1, 2, 3},
		.mtu = 9000,
		.failed = on_failed,
		.cookie = f,
	};

	machine_init(&f->m);
	for (unsigned i = 0; i < PAIRS; i++) {
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds),
				 0);
		f->peers[i] = fds[0];
		net.ends.fds[net.ends.n++] = fds[1];
	}
	if (vhost) {
		f->vhost = fake_vhost_new(1ull << 32 | 3ull << 28 | 1 << 15,
					  &f->frees);
		net.vhost = &f->vhost->vhost;
	}
	net.loop = &f->m.loop;
	assert_int_equal(virtio_net_new(&net, &f->dev, NULL), 0);
	f->v = driver_plug(&f->d, &f->m, DEVFN, f->dev, true);
	return f;
}

static int setup(void **state)
{
	return (*state = begin(false)) ? 0 : -1;
}

static int setup_vhost(void **state)
{
	return (*state = begin(true)) ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_pci_free(f->v);
	machine_done(&f->m);
	for (unsigned i = 0; i < PAIRS; i++)
		fd_close(f->peers[i]);
	assert_int_equal(f->frees, f->vhost ? 1 : 0);
	free(f);
	return 0;
}

static void start(struct fixture *f, uint64_t features)
{
	driver_start(&f->d, features, f->rings,
		     features & F_MQ ? 2 * PAIRS + 1 : 3);
	driver_turn(&f->d);
}

/* What the device acknowledges the command with. */
static uint8_t command_on(struct fixture *f, unsigned queue, uint8_t class,
			  uint8_t number, const void *data, uint32_t size)
{
	struct vring *v = &f->rings[queue];
	uint8_t *at = ram_at(&f->m.ram, COMMAND);
	uint8_t *ack = ram_at(&f->m.ram, ACK_AT);
	uint32_t head, written;

	at[0] = class;
	at[1] = number;
	*ack = UNDEFINED;
	if (size)
		memcpy(at + 2, data, size);
	/* In two pieces, as Linux has it, and data cut where it may be. */
	vring_desc(v, v->desc, 0, COMMAND, 2, VIRTQ_DESC_NEXT, size ? 1 : 2);
	vring_desc(v, v->desc, 1, COMMAND + 2, size, VIRTQ_DESC_NEXT, 2);
	vring_desc(v, v->desc, 2, ACK_AT, 1, VIRTQ_DESC_WRITE, 0);
	vring_add(v, 0);
	driver_notify(&f->d, queue);
	assert_true(driver_wait(&f->d, v, &head, &written));
	assert_int_equal(written, 1);
	return *ack;
}

static uint8_t command(struct fixture *f, uint8_t class, uint8_t number,
		       const void *data, uint32_t size)
{
	return command_on(f, CONTROL, class, number, data, size);
}

static void give_buffer(struct fixture *f, unsigned queue, uint16_t i)
{
	struct vring *v = &f->rings[queue];

	vring_desc(v, v->desc, i, DATA_GPA + 0x1000 * i, 0x1000,
		   VIRTQ_DESC_WRITE, 0);
	vring_add(v, i);
	driver_notify(&f->d, queue);
	driver_turn(&f->d);
}

/* Whether a frame to this address (and VLAN, unless 0) reaches the guest. */
static bool passes(struct fixture *f, const char *to, unsigned vlan)
{
	uint8_t frame[12 + 60] = {0};
	uint32_t head, written;

	give_buffer(f, 0, 0);
	memcpy(frame + 12, to, 6);
	if (vlan) {
		frame[24] = 0x81;
		frame[26] = (uint8_t)(vlan >> 8 | 0xe0); /* and a priority */
		frame[27] = (uint8_t)vlan;
	}
	assert_int_equal(send(f->peers[0], frame, sizeof(frame), 0),
			 sizeof(frame));
	driver_turn(&f->d);
	return vring_take(&f->rings[0], &head, &written);
}

#define OURS	  "\x52\x54\x00\x01\x02\x03"
#define OTHER	  "\x52\x54\x00\x09\x09\x09"
#define BROADCAST "\xff\xff\xff\xff\xff\xff"
#define MULTICAST "\x01\x00\x5e\x00\x00\x01"

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

static void transmit(struct fixture *f)
{
	struct vring *v = &f->rings[1];

	vring_desc(v, v->desc, 3, DATA_GPA + 0x3000, 72, 0, 0);
	vring_add(v, 3);
	driver_notify(&f->d, 1);
	driver_turn(&f->d);
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
