/*
 * Someone else who serves the rings of a virtio device: a thread of the kernel
 * (vhost_kernel.h) or a program. This is what a device needs to know of it;
 * who it is differs behind `struct vhost_ops`.
 *
 * Life: x_open() → (start → set_call* → stop)* → ops->free.
 * Thread: start and free on the loop thread; stop and set_call on any, one call
 * at a time.
 */
#ifndef LIB_HOST_VHOST_H
#define LIB_HOST_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

#define VHOST_REGIONS_MAX 4
#define VHOST_RINGS_MAX	  32

/* A stretch of guest memory. */
struct vhost_region {
	uint64_t gpa, size_bytes;
	void *hva;
	/* Its file and where in it; for those who map it themselves. -1 when
	 * it has none. */
	int fd;
	uint64_t fd_offset;
};

/* A split ring, by host addresses; checked to lie in a region. */
struct vhost_ring {
	bool ready;    /* else it is not used, and the rest says nothing */
	uint16_t size; /* a power of two */
	uint16_t next; /* index of the first chain not taken yet */
	void *desc, *avail, *used;
	/* eventfds, borrowed while it is started: the driver notified; the
	 * driver wants its interrupt; the ring is malformed. */
	int kick_fd, call_fd, error_fd;
};

struct vhost_setup {
	uint64_t features; /* negotiated, a part of vhost's own */
	const struct vhost_region *regions;
	unsigned n_regions; /* up to VHOST_REGIONS_MAX */
	const struct vhost_ring *rings;
	unsigned n_rings; /* up to VHOST_RINGS_MAX */
};

struct vhost;

struct vhost_ops {
	/* All or nothing. `setup` is borrowed during the call. */
	int (*start)(struct vhost *v, const struct vhost_setup *setup,
		     struct error *e);
	/* Returns when guest memory is left alone; ret_next[i] is then what
	 * `next` of ring i was at that time, for those that were ready. */
	void (*stop)(struct vhost *v, uint16_t ret_next[VHOST_RINGS_MAX]);
	/* While started: another interrupt for a ring. -errno. */
	int (*set_call)(struct vhost *v, unsigned ring, int fd);
	void (*free)(struct vhost *v);
};

struct vhost {
	const struct vhost_ops *ops;
	uint64_t features; /* what it can do: VIRTIO feature bits */
};

static inline struct vhost *vhost_free(struct vhost *v)
{
	if (v)
		v->ops->free(v);
	return NULL;
}
DEFINE_CLEANUP(vhost_free, struct vhost *)

#endif
