/*
 * vhost in the kernel: Linux, include/uapi/linux/vhost.h. A kernel thread of
 * the calling process serves the rings; it reads and writes the memory of the
 * process that opened it here, no other.
 */
#ifndef LIB_HOST_VHOST_KERNEL_H
#define LIB_HOST_VHOST_KERNEL_H

#include "lib/host/vhost.h"

struct vhost_kernel_params {
	int fd;		  /* of /dev/vhost-*; consumed, also on failure */
	const char *name; /* for messages; borrowed for its life */
	/* What begins and ends the service, when the rings are set up: differs
	 * by kind. `fd` is the one above. -errno. */
	int (*run)(void *cookie, int fd, const struct vhost_setup *setup);
	void (*halt)(void *cookie, int fd, unsigned n_rings);
	void *cookie;
};

/* -EINVAL when the descriptor is no vhost device, -EBUSY when another process
 * has it. */
int vhost_kernel_open(const struct vhost_kernel_params *params,
		      struct vhost **ret, struct error *e) must_check;

/* /dev/vhost-vsock, whose context id was set. */
int vhost_vsock_open(int fd, struct vhost **ret, struct error *e) must_check;

#endif
