/*
 * virtio file system behind PCI: all its rings are someone else's, who comes
 * and goes. Whatever the driver does: the server is started and stopped in
 * turn, only for a live device, and only with rings in memory; after it was
 * lost nothing moves until the driver has reset the device, and one that
 * cannot do what was offered is not taken.
 *
 * Input: byte 0 bit 0 with doorbells, bits 1-2 queues; then fuzz_virtio.h's
 * steps and 12 the server is lost, 13 another one comes (bit 4: a lesser one),
 * 14 it interrupts, or finds a ring malformed, 15 it refuses what comes, or
 * not.
 */
#include "tests/fuzz/fuzz_server.h"
#include "tests/fuzz/fuzz_virtio.h"
#include "vmm-kvm/devices/virtio_fs.h"

static struct fuzz_server servers[2];

/* The other one takes over; what is refused is freed like the old one. */
static void replace(struct fuzz_virtio *f, bool lesser)
{
	struct fuzz_server *next = servers[0].freed ? &servers[0] : &servers[1];
	struct error e = ERROR_INIT;

	if (!next->freed)
		return;
	fuzz_server_init(next, f->dev, servers[0].n_rings);
	if (lesser)
		next->vhost.features &= ~VIRTIO_F_EVENT_IDX;
	if (virtio_fs_replace(f->dev, &next->vhost, &e) < 0)
		fuzz_check(lesser && next->freed && e.message[0]);
}

static void run(struct fuzz_virtio *f, struct fuzz_input *in)
{
	while (fuzz_more(in)) {
		uint8_t step = fuzz_u8(in);

		switch (step & 15) {
		case 12:
			virtio_fs_lost(f->dev, "lost");
			fuzz_check(!servers[0].running && !servers[1].running);
			fuzz_check(!virtio_live(f->dev));
			break;
		case 13:
			replace(f, step & 16);
			break;
		case 14:
			for (unsigned i = 0; i < 2; i++)
				fuzz_server_interrupt(&servers[i], step & 16,
						      step >> 6);
			break;
		case 15:
			servers[0].refuse = servers[1].refuse = step & 16;
			break;
		default:
			fuzz_virtio_step(f, in, step);
			break;
		}
		for (unsigned i = 0; i < 2; i++)
			fuzz_check(!servers[i].running || f->dev->status);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct virtio_fs_params params = {.tag = "share",
					  .vhost = &servers[0].vhost};
	uint8_t shape = fuzz_u8(&in);
	struct fuzz_virtio f = {0};
	struct virtio_dev *dev;

	params.n_queues = 1 + (shape >> 1 & 3);
	fuzz_machine_init(&f.m);
	fuzz_dma_begin();
	fuzz_server_init(&servers[0], NULL, 1 + params.n_queues);
	fuzz_server_init(&servers[1], NULL, 1 + params.n_queues);
	servers[1].freed = true;
	params.loop = fuzz_loop();
	fuzz_check(virtio_fs_new(&params, &dev, NULL) == 0);
	servers[0].dev = dev;
	fuzz_virtio_init(&f, dev, shape & 1);
	run(&f, &in);
	fuzz_virtio_done(&f);
	fuzz_check(servers[0].freed && servers[1].freed);
	return 0;
}
