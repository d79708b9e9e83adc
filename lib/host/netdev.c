#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/host/netdev.h"
#include "lib/host/netdev_stream.h"

/* Linux 6.2 has it, the headers of Debian 12 do not. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

struct netdev {
	int fd;
	const struct netdev_guest *guest;
	void *cookie;
	struct netdev_stream *stream; /* NULL but for a stream socket */
	unsigned offloads;
	bool is_tap;
	char name[IFNAMSIZ]; /* of the tap */
	bool polling;	     /* for frames */
	bool full;	     /* and for room to send */
	int err;	     /* -errno once the interface is dead */
	bool told;
	struct netdev_stats stats;
	bool detached; /* a queue of a tap that is handed no frames */
	uv_poll_t poll;
};

static int socket_type(int fd)
{
	int type;
	socklen_t size = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 ? type
								      : -1;
}

static unsigned long tun_flags(unsigned offloads)
{
	unsigned long flags = 0;

	if (!(offloads & NETDEV_CSUM))
		return 0;
	flags |= TUN_F_CSUM;
	flags |= offloads & NETDEV_TSO4 ? TUN_F_TSO4 : 0;
	flags |= offloads & NETDEV_TSO6 ? TUN_F_TSO6 : 0;
	if ((offloads & NETDEV_ECN) && (flags & (TUN_F_TSO4 | TUN_F_TSO6)))
		flags |= TUN_F_TSO_ECN;
	flags |= offloads & NETDEV_UFO ? TUN_F_UFO : 0;
	flags |= offloads & NETDEV_USO ? TUN_F_USO4 | TUN_F_USO6 : 0;
	return flags;
}

/* A tun refuses all when it does not know one. */
static unsigned tap_offloads(int fd)
{
	static const unsigned more[] = {NETDEV_UFO, NETDEV_USO};
	unsigned known = NETDEV_CSUM | NETDEV_TSO4 | NETDEV_TSO6 | NETDEV_ECN;

	if (ioctl(fd, TUNSETOFFLOAD, tun_flags(known)) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		if (ioctl(fd, TUNSETOFFLOAD, tun_flags(known | more[i])) == 0)
			known |= more[i];
	return known;
}

static int socket_prepare(struct netdev *n, int fd, struct error *e)
{
	switch (socket_type(fd)) {
	case SOCK_DGRAM:
	case SOCK_SEQPACKET:
		n->offloads = NETDEV_CSUM | NETDEV_TSO4 | NETDEV_TSO6 |
			      NETDEV_ECN;
		return 0;
	case SOCK_STREAM:
		n->stream = netdev_stream_new(fd);
		return n->stream ? 0
				 : error_set(e, -ENOMEM,
					     "out of memory for a network "
					     "interface");
	default:
		return error_set(e, -EINVAL,
				 "a network interface must be a tap or a "
				 "socket");
	}
}

static int host_prepare(struct netdev *n, int fd, struct error *e)
{
	struct ifreq ifr = {0};
	const short need = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	int header = NETDEV_HEADER_BYTES;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return socket_prepare(n, fd, e);
	if ((ifr.ifr_flags & need) != need)
		return error_set(e, -EINVAL,
				 "tap %.16s must be opened with IFF_TAP, "
				 "IFF_NO_PI and IFF_VNET_HDR",
				 ifr.ifr_name);
	n->is_tap = true;
	memcpy(n->name, ifr.ifr_name, sizeof(n->name) - 1);
	n->offloads = tap_offloads(fd);
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, 0) < 0)
		return error_set(e, -errno, "cannot set up tap %.16s: %s",
				 ifr.ifr_name, strerror(errno));
	return 0;
}

static void on_event(uv_poll_t *poll, int status, int events);

/* Its end is always looked for, frames and room only when asked. A tap that
 * goes wakes only who polls for frames: asking for more than UV_DISCONNECT
 * would wake us for each frame that vhost moves. */
static void poll_update(struct netdev *n)
{
	int events = UV_DISCONNECT | (n->polling || n->err ? UV_READABLE : 0) |
		     (n->full || n->err ? UV_WRITABLE : 0);

	if (n->told || n->detached)
		uv_poll_stop(&n->poll);
	else
		uv_poll_start(&n->poll, events, on_event);
}

static void set_full(struct netdev *n, bool full)
{
	if (n->full == full)
		return;
	n->full = full;
	poll_update(n);
}

static int flush(struct netdev *n);

/* Only from the poll callback, so that the guest's device is entered here the
 * same way as for reception. */
static void fail(struct netdev *n, int err)
{
	if (n->told)
		return;
	n->err = err;
	n->told = true;
	n->polling = n->full = false;
	poll_update(n);
	n->guest->failed(n->cookie, err);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct netdev *n = poll->data;

	if (!n->err && status == 0 && (events & UV_WRITABLE) && flush(n) == 0) {
		set_full(n, false);
		n->guest->writable(n->cookie);
	}
	if (!n->err && status == 0 && (events & UV_READABLE) && n->polling)
		n->guest->readable(n->cookie);
	/* Nobody reads what may still wait in front of the end. */
	if (!n->err && (events & UV_DISCONNECT) && !n->polling)
		n->err = -ENOTCONN;
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
	r = host_prepare(n, fd, e);
	if (r < 0)
		return r;
	r = fd_set_nonblock(fd);
	if (r == 0)
		r = uv_poll_init(loop, &n->poll, fd);
	if (r < 0) {
		netdev_stream_free(n->stream);
		return error_set(e, r, "cannot poll a network interface: %s",
				 strerror(-r));
	}
	n->fd = TAKE_FD(owned);
	n->guest = guest;
	n->cookie = cookie;
	n->poll.data = n;
	poll_update(n);
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
	uv_close((uv_handle_t *)&n->poll, on_closed);
	n->stream = netdev_stream_free(n->stream);
	n->fd = fd_close(n->fd);
	return NULL;
}

static bool is_gone(int err)
{
	static const int gone[] = {EBADFD,   ENODEV, ENXIO,	EPIPE,
				   ENOTCONN, EPROTO, ECONNRESET};

	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		if (err == gone[i])
			return true;
	return false;
}

/* A dead interface is told from the loop: it stays readable. */
static ssize_t result(struct netdev *n, ssize_t moved)
{
	int err = moved < 0 ? (int)-moved : ENOTCONN;

	if (moved > 0)
		return moved;
	if (err == EINTR)
		return -EAGAIN; /* still readable: polled again */
	if (is_gone(err) && !n->err) {
		n->err = -err;
		poll_update(n);
	}
	return -err;
}

static ssize_t or_errno(ssize_t n)
{
	return n < 0 ? -errno : n;
}

static ssize_t count(struct io_flow_stats *flow, ssize_t moved)
{
	if (moved >= NETDEV_HEADER_BYTES) {
		flow->frames++;
		flow->bytes += (size_t)moved - NETDEV_HEADER_BYTES;
	}
	return moved;
}

void netdev_stats(const struct netdev *n, struct netdev_stats *ret)
{
	*ret = n->stats;
}

ssize_t netdev_recv(struct netdev *n, const struct iovec *iov, int n_iov)
{
	ssize_t got;

	if (n->err)
		return n->err;
	got = n->stream ? netdev_stream_recv(n->stream, iov, n_iov)
			: or_errno(readv(n->fd, iov, n_iov));
	return count(&n->stats.received, result(n, got));
}

ssize_t netdev_send(struct netdev *n, const struct iovec *iov, int n_iov)
{
	ssize_t sent = n->err;

	if (!sent)
		sent = n->stream ? netdev_stream_send(n->stream, iov, n_iov)
				 : or_errno(writev(n->fd, iov, n_iov));
	if (sent == -EAGAIN)
		set_full(n, true);
	else if (sent <= 0)
		n->stats.sent.dropped++;
	return n->err ? n->err : count(&n->stats.sent, result(n, sent));
}

/* It stays full until `writable` was told. */
static int flush(struct netdev *n)
{
	int r = n->stream ? netdev_stream_flush(n->stream) : 0;

	if (r == -EAGAIN)
		set_full(n, true);
	else if (r < 0)
		(void)result(n, r);
	return r;
}

void netdev_flush(struct netdev *n)
{
	if (!n->err)
		(void)flush(n);
}

void netdev_poll(struct netdev *n, bool enabled)
{
	if (n->polling == enabled)
		return;
	n->polling = enabled;
	poll_update(n);
}

bool netdev_alive(struct netdev *n)
{
	struct ifreq ifr = {0};

	/* Only a tap can go without being moved. */
	if (!n->err && n->is_tap && !n->detached &&
	    ioctl(n->fd, TUNGETIFF, &ifr) < 0)
		(void)result(n, -errno);
	return !n->err;
}

const char *netdev_name(const struct netdev *n)
{
	return n->name;
}

int netdev_fd(const struct netdev *n)
{
	return n->fd;
}

unsigned netdev_offloads(const struct netdev *n)
{
	return n->offloads;
}

void netdev_set_offloads(struct netdev *n, unsigned offloads)
{
	if (!n->err && n->offloads)
		(void)ioctl(n->fd, TUNSETOFFLOAD,
			    tun_flags(offloads & n->offloads));
}

int netdev_attach_queue(struct netdev *n, bool attached)
{
	struct ifreq ifr = {.ifr_flags = attached ? IFF_ATTACH_QUEUE
						  : IFF_DETACH_QUEUE};

	if (n->detached == !attached)
		return 0;
	if (ioctl(n->fd, TUNSETQUEUE, &ifr) < 0)
		return -errno;
	n->detached = !attached;
	poll_update(n);
	return 0;
}
