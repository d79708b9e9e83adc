/*
 * The host end of a network interface, or of one queue of it: frames with a
 * virtio-net header in front of each, to and from
 *   - a tap (IFF_VNET_HDR), a queue of it for each netdev;
 *   - a datagram or seqpacket socket, one frame with its header each;
 *   - a stream socket in the format of QEMU's stream netdev, which passt
 *     speaks: a length of 4 bytes, big-endian, and a frame without header.
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

/* struct virtio_net_hdr with num_buffers: VIRTIO 1.2, 5.1.6. */
#define NETDEV_HEADER_BYTES 12
/* The largest IP packet, and what stands before it in a frame. */
#define NETDEV_FRAME_MAX (KIB(64) + 64)

struct netdev;

struct netdev_guest {
	/* Frames wait: call netdev_recv() until -EAGAIN, or stop polling with
	 * netdev_poll(n, false) while there is no room. */
	void (*readable)(void *cookie);
	/* netdev_send() said -EAGAIN, and now there is room. */
	void (*writable)(void *cookie);
	/* The interface is gone for good (-errno); told once. */
	void (*failed)(void *cookie, int err);
};

/*
 * Consumes fd: a tap opened IFF_TAP|IFF_NO_PI|IFF_VNET_HDR, which is set to the
 * 12-byte header and to no offloads (netdev_set_offloads()); or a socket as
 * above. -EINVAL for anything else. `guest` and `cookie` are borrowed. Polling
 * for frames begins disabled; the end of a socket is noticed in any case, a
 * tap's when it is polled or used.
 */
int netdev_open(uv_loop_t *loop, int fd, const struct netdev_guest *guest,
		void *cookie, struct netdev **ret, struct error *e) must_check;
/* NULL is fine. Memory goes when the loop runs next. */
struct netdev *netdev_free(struct netdev *n);
DEFINE_CLEANUP(netdev_free, struct netdev *)

/*
 * One frame, header first. Bytes, or -EAGAIN, or another -errno. When the
 * interface is gone, `failed` follows from the loop and later calls fail too.
 * What is sent is taken whole or not at all; it is on its way after
 * netdev_flush() at the latest.
 */
ssize_t netdev_recv(struct netdev *n, const struct iovec *iov, int count);
ssize_t netdev_send(struct netdev *n, const struct iovec *iov, int count);
void netdev_flush(struct netdev *n);
/* Frames moved since it was opened, without their headers. One that was not
 * sent is dropped unless it was -EAGAIN: nobody repeats it. */
struct netdev_stats {
	struct io_flow_stats received, sent;
};
/* Of its interface; "" for a socket. Borrowed. */
const char *netdev_name(const struct netdev *n);
void netdev_stats(const struct netdev *n, struct netdev_stats *ret);
void netdev_poll(struct netdev *n, bool enabled);

/* Whether the interface is still there: known earlier than `failed` tells. */
bool netdev_alive(struct netdev *n);
/* Its descriptor, borrowed. */
int netdev_fd(const struct netdev *n);

/* What a frame's header may leave to its receiver. */
enum netdev_offload {
	NETDEV_CSUM = 1, /* the checksum */
	NETDEV_TSO4 = 2, /* cutting TCP into segments, by address family */
	NETDEV_TSO6 = 4,
	NETDEV_ECN = 8,	 /* the same of segments with congestion bits */
	NETDEV_UFO = 16, /* cutting UDP into fragments */
	NETDEV_USO = 32, /* cutting UDP into datagrams */
};

/* What this host end knows of, in both directions. */
unsigned netdev_offloads(const struct netdev *n);

/*
 * Which of them received frames may ask for from now on; frames that wait
 * already may still ask for more. TSO needs CSUM and ECN needs TSO, or they
 * are left out. What is sent may ask for any it knows of. Sockets take no
 * note.
 */
void netdev_set_offloads(struct netdev *n, unsigned offloads);

/* A tap of several queues: whether the host hands this one frames; 0 or
 * -errno. Sockets and taps of one queue refuse to be detached. What is detached
 * is not to be sent by, and does not notice the interface's end. */
int netdev_attach_queue(struct netdev *n, bool attached);

#endif
