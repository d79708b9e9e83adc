/*
 * A network device with two pairs and a control queue behind PCI, and a driver
 * of it; the host's ends are sockets, or a fake vhost serves it.
 */
#ifndef TESTS_UNIT_VIRTIO_NET_FIXTURE_H
#define TESTS_UNIT_VIRTIO_NET_FIXTURE_H

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

static inline void on_failed(void *cookie, const char *why)
{
	struct fixture *f = cookie;

	assert_non_null(strstr(why, "gone"));
	f->failures++;
}

static inline struct fixture *begin(bool vhost)
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

static inline int setup(void **state)
{
	return (*state = begin(false)) ? 0 : -1;
}

static inline int setup_vhost(void **state)
{
	return (*state = begin(true)) ? 0 : -1;
}

static inline int teardown(void **state)
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

static inline void start(struct fixture *f, uint64_t features)
{
	driver_start(&f->d, features, f->rings,
		     features & F_MQ ? 2 * PAIRS + 1 : 3);
	driver_turn(&f->d);
}

/* What the device acknowledges the command with. */
static inline uint8_t command_on(struct fixture *f, unsigned queue,
				 uint8_t class, uint8_t number,
				 const void *data, uint32_t size)
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

static inline uint8_t command(struct fixture *f, uint8_t class, uint8_t number,
			      const void *data, uint32_t size)
{
	return command_on(f, CONTROL, class, number, data, size);
}

static inline void give_buffer(struct fixture *f, unsigned queue, uint16_t i)
{
	struct vring *v = &f->rings[queue];

	vring_desc(v, v->desc, i, DATA_GPA + 0x1000 * i, 0x1000,
		   VIRTQ_DESC_WRITE, 0);
	vring_add(v, i);
	driver_notify(&f->d, queue);
	driver_turn(&f->d);
}

static inline void transmit(struct fixture *f)
{
	struct vring *v = &f->rings[1];

	vring_desc(v, v->desc, 3, DATA_GPA + 0x3000, 72, 0, 0);
	vring_add(v, 3);
	driver_notify(&f->d, 1);
	driver_turn(&f->d);
}

/* Whether a frame to this address (and VLAN, unless 0) reaches the guest. */
static inline bool passes(struct fixture *f, const char *to, unsigned vlan)
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

#endif
