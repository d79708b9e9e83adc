/*
 * The host end of a network interface: frames to and from a tap descriptor
 * with a virtio-net header (IFF_VNET_HDR) in front of each.
 *
 * Thread: all calls and callbacks on the loop thread.
 */
#ifndef LIB_HOST_NETDEV_H
#define LIB_HOST_NETDEV_H

#include <stdbool.h>
#include <sys/uio.h>
#include <uv.h>

#include "lib/base/error.h"

struct netdev;

struct netdev_guest {
	/* The tap is readable: call netdev_recv() until -EAGAIN, or stop
	 * polling with netdev_poll(n, false) while there is no room. */
	void (*readable)(void *cookie);
	/* The tap went away (-errno); no further callbacks. */
	void (*failed)(void *cookie, int err);
};

/* Consumes fd: a tap opened IFF_TAP|IFF_NO_PI|IFF_VNET_HDR, header size 12. */
int netdev_open(uv_loop_t *loop, int fd, const struct netdev_guest *guest,
		void *cookie, struct netdev **ret, struct error *e) must_check;
struct netdev *netdev_free(struct netdev *n);

/* One frame, header first. Bytes, or -EAGAIN, or another -errno. */
ssize_t netdev_recv(struct netdev *n, const struct iovec *iov, int count);
ssize_t netdev_send(struct netdev *n, const struct iovec *iov, int count);
void netdev_poll(struct netdev *n, bool enabled);

#endif
