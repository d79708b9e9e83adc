#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/host/netdev.h"

/* struct virtio_net_hdr with num_buffers: VIRTIO 1.2, 5.1.6. */
#define HEADER_BYTES 12

struct netdev {
	int fd;
	const struct netdev_guest *guest;
	void *cookie;
	bool polling;
	int err; /* -errno once the interface is dead */
	struct netdev_stats stats;
	uv_poll_t poll;
};

static bool is_datagram_socket(int fd)
{
	int type;
	socklen_t size = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
	       (type == SOCK_DGRAM || type == SOCK_SEQPACKET);
}

static int tap_prepare(int fd, struct error *e)
{
	struct ifreq ifr = {0};
	const short need = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	int header = HEADER_BYTES;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0) {
		if (is_datagram_socket(fd))
			return 0;
		return error_set(e, -EINVAL,
				 "a network interface must be a tap or a "
				 "datagram socket");
	}
	if ((ifr.ifr_flags & need) != need)
		return error_set(e, -EINVAL,
				 "tap %.16s must be opened with IFF_TAP, "
				 "IFF_NO_PI and IFF_VNET_HDR",
				 ifr.ifr_name);
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, 0) < 0)
		return error_set(e, -errno, "cannot set up tap %.16s: %s",
				 ifr.ifr_name, strerror(errno));
	return 0;
}

/* Only from the poll callback, so that the guest's device is entered here the
 * same way as for reception. */
static void fail(struct netdev *n, int err)
{
	n->err = err;
	netdev_poll(n, false);
	n->guest->failed(n->cookie, err);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct netdev *n = poll->data;

	if (!n->err && status == 0)
		n->guest->readable(n->cookie);
	if (n->err || status < 0)
		fail(n, n->err ? n->err : status);
}

int netdev_open(uv_loop_t *loop, int fd, const struct netdev_guest *guest,
		void *cookie, struct netdev **ret, struct error *e)
{
	_cleanup_close_ int owned = fd;
	_cleanup_free_ struct netdev *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return error_set(e, -ENOMEM,
				 "out of memory for a network "
				 "interface");
	r = tap_prepare(fd, e);
	if (r < 0)
		return r;
	r = fd_set_nonblock(fd);
	if (r == 0)
		r = uv_poll_init(loop, &n->poll, fd);
	if (r < 0)
		return error_set(e, r, "cannot poll a network interface: %s",
				 strerror(-r));
	n->fd = TAKE_FD(owned);
	n->guest = guest;
	n->cookie = cookie;
	n->poll.data = n;
	netdev_poll(n, true);
	*ret = TAKE_PTR(n);
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)handle, struct netdev, poll));
}

struct netdev *netdev_free(struct netdev *n)
{
	if (!n)
		return NULL;
	netdev_poll(n, false);
	uv_close((uv_handle_t *)&n->poll, on_closed);
	n->fd = fd_close(n->fd);
	return NULL;
}

/* A dead interface stays readable, so polling it ends in fail(). */
static ssize_t result(struct netdev *n, ssize_t moved)
{
	int err = moved < 0 ? errno : ENOTCONN;

	if (moved > 0)
		return moved;
	if (err == EINTR)
		return -EAGAIN; /* still readable: polled again */
	if (err == EBADFD || err == ENODEV || err == ENXIO || err == EPIPE ||
	    err == ENOTCONN || err == ECONNRESET) {
		n->err = -err;
		netdev_poll(n, true);
	}
	return -err;
}

static void count_flow(struct io_flow_stats *flow, ssize_t moved)
{
	if (moved < HEADER_BYTES)
		return;
	flow->frames++;
	flow->bytes += (size_t)moved - HEADER_BYTES;
}

void netdev_stats(const struct netdev *n, struct netdev_stats *ret)
{
	*ret = n->stats;
}

ssize_t netdev_recv(struct netdev *n, const struct iovec *iov, int count)
{
	ssize_t moved = n->err ? n->err : result(n, readv(n->fd, iov, count));

	count_flow(&n->stats.received, moved);
	return moved;
}

ssize_t netdev_send(struct netdev *n, const struct iovec *iov, int count)
{
	ssize_t moved = n->err ? n->err : result(n, writev(n->fd, iov, count));

	if (moved < 0)
		n->stats.sent.dropped++;
	count_flow(&n->stats.sent, moved);
	return moved;
}

void netdev_poll(struct netdev *n, bool enabled)
{
	if (n->polling == enabled)
		return;
	n->polling = enabled;
	if (enabled)
		uv_poll_start(&n->poll, UV_READABLE, on_readable);
	else
		uv_poll_stop(&n->poll);
}

void netdev_set_offloads(struct netdev *n, unsigned offloads)
{
	unsigned long flags = 0;

	if (offloads & NETDEV_CSUM) {
		flags |= TUN_F_CSUM;
		flags |= offloads & NETDEV_TSO4 ? TUN_F_TSO4 : 0;
		flags |= offloads & NETDEV_TSO6 ? TUN_F_TSO6 : 0;
	}
	if ((offloads & NETDEV_ECN) && (flags & (TUN_F_TSO4 | TUN_F_TSO6)))
		flags |= TUN_F_TSO_ECN;
	/* Fails for a socket, or an old tun that then offloads nothing. */
	(void)ioctl(n->fd, TUNSETOFFLOAD, flags);
}
