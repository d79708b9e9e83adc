#include <endian.h>
#include <sys/socket.h>

#include "lib/base/iov.h"
#include "lib/host/netdev.h"
#include "lib/host/netdev_stream.h"

#define LENGTH_BYTES 4
#define RECORD_MAX   (LENGTH_BYTES + NETDEV_FRAME_MAX)
/* What one read takes at most. */
#define IN_BYTES KIB(256)
/* Smaller frames wait for others, so that many go out together. */
#define GATHER_MAX 4096
/* With more than this waiting the peer is too slow: it is the guest's turn to
 * wait. The rest of one frame fits behind it. */
#define OUT_HIGH  KIB(128)
#define OUT_BYTES (OUT_HIGH + RECORD_MAX)
/* A chain of a virtqueue, and the header. */
#define IOV_MAX_SENT 257

struct netdev_stream {
	int fd;
	size_t in_at, in_end;	/* of `in`: what was read and not taken */
	size_t out_at, out_end; /* of `out`: what was taken and not sent */
	uint8_t in[IN_BYTES], out[OUT_BYTES];
};

struct netdev_stream *netdev_stream_new(int fd)
{
	/* Zeroed by the kernel, when it is touched. */
	struct netdev_stream *s = calloc(1, sizeof(*s));

	if (s)
		s->fd = fd;
	return s;
}

struct netdev_stream *netdev_stream_free(struct netdev_stream *s)
{
	free(s);
	return NULL;
}

/* The length of the next frame when all of it is here, else 0; -EPROTO. */
static ssize_t next_length(const struct netdev_stream *s)
{
	size_t have = s->in_end - s->in_at;
	uint32_t length;

	if (have < LENGTH_BYTES)
		return 0;
	memcpy(&length, s->in + s->in_at, LENGTH_BYTES);
	length = be32toh(length);
	if (length == 0 || length > NETDEV_FRAME_MAX)
		return -EPROTO;
	return have - LENGTH_BYTES < length ? 0 : (ssize_t)length;
}

/* 1: there is more now. */
static ssize_t fill(struct netdev_stream *s)
{
	ssize_t n;

	memmove(s->in, s->in + s->in_at, s->in_end - s->in_at);
	s->in_end -= s->in_at;
	s->in_at = 0;
	n = recv(s->fd, s->in + s->in_end, sizeof(s->in) - s->in_end,
		 MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	s->in_end += (size_t)n;
	return 1;
}

ssize_t netdev_stream_recv(struct netdev_stream *s, const struct iovec *iov,
			   int count)
{
	static const uint8_t header[NETDEV_HEADER_BYTES];
	ssize_t length, r;
	size_t n;

	/* A whole frame always fits `in`, so this ends. */
	while ((length = next_length(s)) == 0) {
		r = fill(s);
		if (r <= 0)
			return r;
	}
	if (length < 0)
		return length;
	n = iov_write(iov, (unsigned)count, 0, header, sizeof(header));
	n += iov_write(iov, (unsigned)count, sizeof(header),
		       s->in + s->in_at + LENGTH_BYTES, (size_t)length);
	s->in_at += LENGTH_BYTES + (size_t)length;
	return (ssize_t)n;
}

static ssize_t transmit(struct netdev_stream *s, struct iovec *iov,
			unsigned count)
{
	const struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
	ssize_t n = sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n;
}

int netdev_stream_flush(struct netdev_stream *s)
{
	struct iovec iov = {s->out + s->out_at, s->out_end - s->out_at};
	ssize_t n = iov.iov_len ? transmit(s, &iov, 1) : 0;

	if (n < 0)
		return (int)n;
	s->out_at += (size_t)n;
	if (s->out_at < s->out_end)
		return -EAGAIN;
	s->out_at = s->out_end = 0;
	return 0;
}

static void keep(struct netdev_stream *s, const struct iovec *iov,
		 unsigned count, size_t at)
{
	s->out_end += iov_read(iov, count, at, s->out + s->out_end,
			       sizeof(s->out) - s->out_end);
}

/* What waits, the length and the frame in one call; what the socket does not
 * take of them stays. */
static int send_now(struct netdev_stream *s, uint32_t *length,
		    struct iovec *frame, unsigned count)
{
	struct iovec iov[IOV_MAX_SENT + 2];
	size_t waiting = s->out_end - s->out_at, sent;
	ssize_t n;

	iov[0] = (struct iovec){s->out + s->out_at, waiting};
	iov[1] = (struct iovec){length, LENGTH_BYTES};
	memcpy(&iov[2], frame, count * sizeof(*frame));
	n = transmit(s, iov, count + 2);
	if (n < 0)
		return (int)n;
	sent = (size_t)n;
	s->out_at += MIN(sent, waiting);
	if (s->out_at == s->out_end)
		s->out_at = s->out_end = 0;
	keep(s, &iov[1], count + 1, sent > waiting ? sent - waiting : 0);
	return 0;
}

static void make_room(struct netdev_stream *s)
{
	if (s->out_at == 0)
		return;
	memmove(s->out, s->out + s->out_at, s->out_end - s->out_at);
	s->out_end -= s->out_at;
	s->out_at = 0;
}

ssize_t netdev_stream_send(struct netdev_stream *s, const struct iovec *iov,
			   int count)
{
	struct iovec cut[IOV_MAX_SENT], *frame = cut;
	size_t bytes = 0;
	uint32_t length;
	unsigned n;
	int r = 0;

	if (count > IOV_MAX_SENT)
		return -EINVAL;
	memcpy(cut, iov, (size_t)count * sizeof(*iov));
	n = iov_drop_front(&frame, (unsigned)count, NETDEV_HEADER_BYTES);
	for (unsigned i = 0; i < n; i++)
		bytes += frame[i].iov_len;
	if (bytes == 0 || bytes > NETDEV_FRAME_MAX)
		return -EINVAL;
	if (s->out_end - s->out_at > OUT_HIGH)
		r = netdev_stream_flush(s);
	if (r < 0 && (r != -EAGAIN || s->out_end - s->out_at > OUT_HIGH))
		return r;
	r = 0;
	make_room(s);
	length = htobe32((uint32_t)bytes);
	if (bytes <= GATHER_MAX) {
		memcpy(s->out + s->out_end, &length, LENGTH_BYTES);
		s->out_end += LENGTH_BYTES;
		keep(s, frame, n, 0);
	} else {
		r = send_now(s, &length, frame, n);
	}
	return r < 0 ? r : (ssize_t)(NETDEV_HEADER_BYTES + bytes);
}
