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
#include "lib/base/io_stats.h"

struct netdev;

struct netdev_guest {
	/* The tap is readable: call netdev_recv() until -EAGAIN, or stop
	 * polling with netdev_poll(n, false) while there is no room. */
	void (*readable)(void *cookie);
	/* The tap went away (-errno), or netdev_poll(n, true) was called after
	 * it had. */
	void (*failed)(void *cookie, int err);
};

/*
 * Consumes fd: a tap opened IFF_TAP|IFF_NO_PI|IFF_VNET_HDR, which is set to the
 * 12-byte header and to no offloads (netdev_set_offloads()); or a datagram or
 * seqpacket socket that carries one frame with such a header each. -EINVAL for
 * anything else. `guest` and `cookie` are borrowed. Polling begins enabled.
 */
int netdev_open(uv_loop_t *loop, int fd, const struct netdev_guest *guest,
		void *cookie, struct netdev **ret, struct error *e) must_check;
/* NULL is fine. Memory goes when the loop runs next. */
struct netdev *netdev_free(struct netdev *n);
DEFINE_CLEANUP(netdev_free, struct netdev *)

/*
 * One frame, header first. Bytes, or -EAGAIN, or another -errno. When the
 * interface is gone, `failed` follows from the loop and later calls fail too.
 */
ssize_t netdev_recv(struct netdev *n, const struct iovec *iov, int count);
ssize_t netdev_send(struct netdev *n, const struct iovec *iov, int count);
/* Frames moved since it was opened, without their headers. What was not sent
 * is dropped: nobody repeats it. */
struct netdev_stats {
	struct io_flow_stats received, sent;
};
void netdev_stats(const struct netdev *n, struct netdev_stats *ret);
void netdev_poll(struct netdev *n, bool enabled);

/* What a frame's header may leave to its receiver. */
enum netdev_offload {
	NETDEV_CSUM = 1, /* the checksum */
	NETDEV_TSO4 = 2, /* cutting TCP into segments, by address family */
	NETDEV_TSO6 = 4,
	NETDEV_ECN = 8, /* the same of segments with congestion bits */
};

/*
 * Which of them received frames may ask for from now on; frames that wait
 * already may still ask for more. TSO needs CSUM and ECN needs TSO, or they
 * are left out. What is sent may ask for any. Sockets take no note.
 */
void netdev_set_offloads(struct netdev *n, unsigned offloads);

#endif
