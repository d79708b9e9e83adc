/*
 * virtio socket behind PCI, and with it what all devices share whose rings
 * someone else serves. Whatever the driver does: the server is started and
 * stopped in turn, only for a live device, and only with rings in memory.
 *
 * Input: byte 0 bit 0 with doorbells; then fuzz_virtio.h's steps and 12 the
 * guest moved, 13 the server interrupts, 14 it finds a ring malformed, 15 it
 * refuses what comes, or not.
 */
#include "tests/fuzz/fuzz_server.h"
#include "tests/fuzz/fuzz_virtio.h"
#include "vmm-kvm/devices/virtio_vsock.h"

#define DATA_QUEUES 2

static struct fuzz_server server;

static void run(struct fuzz_virtio *f, struct fuzz_input *in)
{
	while (fuzz_more(in)) {
		uint8_t step = fuzz_u8(in);

		switch (step & 15) {
		case 12:
			virtio_vsock_moved(f->dev);
			break;
		case 13:
		case 14:
			fuzz_server_interrupt(&server, (step & 15) == 14,
					      step >> 7);
			break;
		case 15:
			server.refuse = step & 16;
			break;
		default:
			fuzz_virtio_step(f, in, step);
			break;
		}
		fuzz_check(!server.running || f->dev->status);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct virtio_vsock_params params = {.cid = 3, .vhost = &server.vhost};
	struct fuzz_virtio f = {0};

	fuzz_server_init(&server, NULL, DATA_QUEUES);
	fuzz_machine_init(&f.m);
	fuzz_dma_begin();
	params.loop = fuzz_loop();
	fuzz_check(virtio_vsock_new(&params, &server.dev, NULL) == 0);
	fuzz_virtio_init(&f, server.dev, fuzz_u8(&in) & 1);
	run(&f, &in);
	fuzz_virtio_done(&f);
	return 0;
}
