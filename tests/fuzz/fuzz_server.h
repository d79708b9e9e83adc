/*
 * Who serves a device's rings, for fuzz targets: it checks what it is told. It
 * is started and stopped in turn, for a live device, with rings in memory.
 */
#ifndef TESTS_FUZZ_FUZZ_SERVER_H
#define TESTS_FUZZ_FUZZ_SERVER_H

#include <sys/eventfd.h>

#include "lib/host/vhost.h"
#include "tests/fuzz/fuzz_ram.h"
#include "vmm-kvm/devices/virtio.h"

struct fuzz_server {
	struct vhost vhost;
	struct virtio_dev *dev;
	unsigned n_rings;
	bool running, refuse, freed;
	struct vhost_ring rings[VHOST_RINGS_MAX];
};

static inline bool fuzz_in_ram(const void *at, size_t size)
{
	const uint8_t *p = at;

	if (p >= FUZZ_LOW && p < FUZZ_LOW + FUZZ_LOW_BYTES)
		return size <= (size_t)(FUZZ_LOW + FUZZ_LOW_BYTES - p);
	return p >= FUZZ_HIGH && p < FUZZ_HIGH + FUZZ_HIGH_BYTES &&
	       size <= (size_t)(FUZZ_HIGH + FUZZ_HIGH_BYTES - p);
}

static inline void fuzz_server_ring(const struct vhost_ring *r)
{
	fuzz_check(fuzz_in_ram(r->desc, 16u * r->size) &&
		   fuzz_in_ram(r->avail, 6u + 2u * r->size) &&
		   fuzz_in_ram(r->used, 6u + 8u * r->size) && r->kick_fd >= 0 &&
		   r->call_fd >= 0 && r->error_fd >= 0);
}

static inline int fuzz_server_start(struct vhost *v,
				    const struct vhost_setup *s,
				    struct error *e)
{
	struct fuzz_server *f = container_of(v, struct fuzz_server, vhost);

	fuzz_check(!f->running && !f->freed && virtio_live(f->dev));
	fuzz_check(s->n_rings == f->n_rings &&
		   !(s->features & ~f->vhost.features));
	if (f->refuse)
		return error_set(e, -EIO, "refused");
	for (unsigned i = 0; i < s->n_rings; i++) {
		if (s->rings[i].ready)
			fuzz_server_ring(&s->rings[i]);
		f->rings[i] = s->rings[i];
	}
	f->running = true;
	return 0;
}

static inline void fuzz_server_stop(struct vhost *v, uint16_t *ret_next)
{
	struct fuzz_server *f = container_of(v, struct fuzz_server, vhost);

	fuzz_check(f->running);
	f->running = false;
}

static inline int fuzz_server_set_call(struct vhost *v, unsigned ring, int fd)
{
	struct fuzz_server *f = container_of(v, struct fuzz_server, vhost);

	fuzz_check(f->running && ring < f->n_rings && fd >= 0 &&
		   f->rings[ring].ready);
	f->rings[ring].call_fd = fd;
	return f->refuse ? -EIO : 0;
}

static inline void fuzz_server_free(struct vhost *v)
{
	struct fuzz_server *f = container_of(v, struct fuzz_server, vhost);

	fuzz_check(!f->running && !f->freed);
	f->freed = true;
}

static inline void fuzz_server_init(struct fuzz_server *f,
				    struct virtio_dev *dev, unsigned n_rings)
{
	static const struct vhost_ops ops = {
		fuzz_server_start, fuzz_server_stop, fuzz_server_set_call,
		fuzz_server_free};

	*f = (struct fuzz_server){
		.vhost = {&ops, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX |
					VIRTIO_F_INDIRECT_DESC},
		.dev = dev,
		.n_rings = n_rings,
	};
}

/* A ring's interrupt, or that it is malformed. */
static inline void fuzz_server_interrupt(struct fuzz_server *f, bool error,
					 unsigned ring)
{
	const struct vhost_ring *r = &f->rings[ring % f->n_rings];

	if (f->running && r->ready)
		eventfd_write(error ? r->error_fd : r->call_fd, 1);
}

#endif
