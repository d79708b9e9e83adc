/*
 * virtio socket behind PCI, and with it what all devices share whose rings
 * someone else serves. Whatever the driver does: the server is started and
 * stopped in turn, only for a live device, and only with rings in memory.
 *
 * Input: byte 0 bit 0 with doorbells; then fuzz_virtio.h's steps and 12 the
 * guest moved, 13 the server interrupts, 14 it finds a ring malformed, 15 it
 * refuses what comes, or not.
 */
#include "tests/fuzz/fuzz_virtio.h"
#include "vmm-kvm/devices/virtio_vsock.h"

#define DATA_QUEUES 2

static struct server {
	struct vhost vhost;
	struct virtio_dev *dev;
	bool running, refuse;
	struct vhost_ring rings[DATA_QUEUES];
} server;

static bool in_ram(const void *at, size_t size)
{
	const uint8_t *p = at;

	if (p >= FUZZ_LOW && p < FUZZ_LOW + FUZZ_LOW_BYTES)
		return size <= (size_t)(FUZZ_LOW + FUZZ_LOW_BYTES - p);
	return p >= FUZZ_HIGH && p < FUZZ_HIGH + FUZZ_HIGH_BYTES &&
	       size <= (size_t)(FUZZ_HIGH + FUZZ_HIGH_BYTES - p);
}

static int server_start(struct vhost *v, const struct vhost_setup *s,
			struct error *e)
{
	fuzz_check(!server.running && virtio_live(server.dev));
	fuzz_check(s->n_rings == DATA_QUEUES &&
		   !(s->features & ~server.vhost.features));
	if (server.refuse)
		return error_set(e, -EIO, "refused");
	for (unsigned i = 0; i < s->n_rings; i++) {
		const struct vhost_ring *r = &s->rings[i];

		if (r->ready)
			fuzz_check(in_ram(r->desc, 16u * r->size) &&
				   in_ram(r->avail, 6u + 2u * r->size) &&
				   in_ram(r->used, 6u + 8u * r->size) &&
				   r->kick_fd >= 0 && r->call_fd >= 0 &&
				   r->error_fd >= 0);
		server.rings[i] = *r;
	}
	server.running = true;
	return 0;
}

static void server_stop(struct vhost *v, uint16_t *ret_next)
{
	fuzz_check(server.running);
	server.running = false;
}

static int server_set_call(struct vhost *v, unsigned ring, int fd)
{
	fuzz_check(server.running && ring < DATA_QUEUES && fd >= 0 &&
		   server.rings[ring].ready);
	server.rings[ring].call_fd = fd;
	return server.refuse ? -EIO : 0;
}

static void server_free(struct vhost *v)
{
	fuzz_check(!server.running);
}

static const struct vhost_ops ops = {server_start, server_stop, server_set_call,
				     server_free};

static void interrupt(bool error, unsigned ring)
{
	const struct vhost_ring *r = &server.rings[ring];

	if (server.running && r->ready)
		eventfd_write(error ? r->error_fd : r->call_fd, 1);
}

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
			interrupt((step & 15) == 14, step >> 7);
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

	server = (struct server){
		.vhost = {&ops, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX |
					VIRTIO_F_INDIRECT_DESC},
	};
	fuzz_machine_init(&f.m);
	fuzz_dma_begin();
	params.loop = fuzz_loop();
	fuzz_check(virtio_vsock_new(&params, &server.dev, NULL) == 0);
	fuzz_virtio_init(&f, server.dev, fuzz_u8(&in) & 1);
	run(&f, &in);
	fuzz_virtio_done(&f);
	return 0;
}
