/*
 * virtio network behind PCI, its tap a socket pair. Frames to the host must
 * carry our header, whatever stood in the guest's.
 *
 * Input: byte 0 bit 0 with doorbells; then fuzz_virtio.h's steps and 12-13 a
 * frame arrives, 14 the host reads, 15 the host's end closes.
 */
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "tests/fuzz/fuzz_virtio.h"
#include "vmm-kvm/devices/virtio_net.h"

#define HEADER	  12
#define FRAME_MAX (HEADER + KIB(64))

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

static void host_reads(int peer)
{
	static const uint8_t header[HEADER];
	static uint8_t frame[FRAME_MAX + 1];
	ssize_t n;

	while ((n = recv(peer, frame, sizeof(frame), MSG_DONTWAIT)) > 0)
		fuzz_check(n > HEADER && n <= (ssize_t)FRAME_MAX &&
			   memcmp(frame, header, HEADER) == 0);
}

static void run(struct fuzz_virtio *f, struct fuzz_input *in, int *peer)
{
	while (fuzz_more(in)) {
		uint8_t step = fuzz_u8(in);

		switch (step & 15) {
		case 12:
		case 13:
			arrive(*peer, in);
			break;
		case 14:
			host_reads(*peer);
			break;
		case 15:
			*peer = fd_close(*peer);
			break;
		default:
			fuzz_virtio_step(f, in, step);
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct virtio_net_params params = {.mac = {0x52, 0x54, 0, 1, 2, 3}};
	struct fuzz_virtio f = {0};
	struct virtio_dev *dev;
	int fds[2];

	fuzz_machine_init(&f.m);
	fuzz_dma_begin();
	fuzz_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) ==
		   0);
	params.loop = fuzz_loop();
	params.ends = (struct fd_list){1, {fds[1]}};
	fuzz_check(virtio_net_new(&params, &dev, NULL) == 0);
	fuzz_virtio_init(&f, dev, fuzz_u8(&in) & 1);
	run(&f, &in, &fds[0]);
	host_reads(fds[0]);
	fuzz_virtio_done(&f);
	fd_close(fds[0]);
	return 0;
}
