/*
 * virtio network behind PCI, its host end a pair of sockets for each pair of
 * queues. Frames to the host ask it for nothing that was not negotiated.
 *
 * Input: byte 0 bit 0 with doorbells, bit 1 two pairs of queues, bit 2 the
 * link begins down, bit 3 passt's stream; then fuzz_virtio.h's steps and 12-13
 * a frame arrives, 14 the host reads, 15 the host's end closes or the link
 * changes.
 */
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "tests/fuzz/fuzz_virtio.h"
#include "vmm-kvm/devices/virtio_net_internal.h"

#define HEADER	  12
#define FRAME_MAX (HEADER + NETDEV_FRAME_MAX)

struct host {
	int peers[2];
	unsigned n;
	bool stream;
};

static void arrive(int peer, struct fuzz_input *in)
{
	static uint8_t frame[FRAME_MAX + 1];
	uint8_t how = fuzz_u8(in);
	size_t size = how & 1 ? fuzz_u16(in) : how >> 1;

	memset(frame, how | 1, size);
	/* A full socket or a closed one loses it. */
	fuzz_check(send(peer, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL) <=
		   (ssize_t)size);
}

static void frame_check(const struct virtio_dev *dev, const uint8_t *frame,
			ssize_t n)
{
	struct net_header h;

	memcpy(&h, frame, sizeof(h));
	fuzz_check(n > HEADER && n <= (ssize_t)FRAME_MAX && h.num_buffers == 0);
	/* It may have been negotiated anew since the frame was sent. */
	fuzz_check((h.flags & ~NET_HEADER_NEEDS_CSUM) == 0 &&
		   (h.gso_type & ~NET_GSO_ECN) <= NET_GSO_UDP_L4);
	fuzz_check(h.gso_type == 0 || dev->features_offered & NET_F_CSUM);
}

static void host_reads(struct fuzz_virtio *f, const struct host *h)
{
	static uint8_t frame[FRAME_MAX + 1];
	ssize_t n;

	for (unsigned i = 0; i < h->n; i++)
		while ((n = recv(h->peers[i], frame, sizeof(frame),
				 MSG_DONTWAIT)) > 0)
			if (!h->stream)
				frame_check(f->dev, frame, n);
}

static void run(struct fuzz_virtio *f, struct fuzz_input *in, struct host *h)
{
	while (fuzz_more(in)) {
		uint8_t step = fuzz_u8(in), pair = step >> 4 & 1;

		switch (step & 15) {
		case 12:
		case 13:
			arrive(h->peers[pair], in);
			break;
		case 14:
			host_reads(f, h);
			break;
		case 15:
			if (step & 0x80)
				virtio_net_set_link(f->dev, step & 0x40);
			else
				h->peers[pair] = fd_close(h->peers[pair]);
			break;
		default:
			fuzz_virtio_step(f, in, step);
			break;
		}
	}
}

static void host_open(struct host *h, struct fd_list *ends, uint8_t how)
{
	h->stream = how & 8;
	h->n = how & 2 && !h->stream ? 2 : 1;
	for (unsigned i = 0; i < h->n; i++) {
		int type = h->stream ? SOCK_STREAM : SOCK_SEQPACKET, fds[2];

		fuzz_check(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) ==
			   0);
		h->peers[i] = fds[0];
		ends->fds[ends->n++] = fds[1];
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct virtio_net_params params = {.mac = {0x52, 0x54, 0, 1, 2, 3}};
	struct host h = {.peers = {-1, -1}};
	uint8_t how = fuzz_u8(&in);
	struct fuzz_virtio f = {0};
	struct virtio_dev *dev;

	fuzz_machine_init(&f.m);
	fuzz_dma_begin();
	host_open(&h, &params.ends, how);
	params.loop = fuzz_loop();
	params.link_down = how & 4;
	fuzz_check(virtio_net_new(&params, &dev, NULL) == 0);
	fuzz_virtio_init(&f, dev, how & 1);
	run(&f, &in, &h);
	host_reads(&f, &h);
	fuzz_virtio_done(&f);
	fd_close(h.peers[0]);
	fd_close(h.peers[1]);
	return 0;
}
