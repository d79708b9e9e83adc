#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/host/vhost_user_wire.h"

#define FLAG_VERSION	  1u
#define FLAG_VERSION_MASK 3u
#define FLAG_REPLY	  (1u << 2)
#define FLAG_NEED_REPLY	  (1u << 3)

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t vhost_user_deadline(unsigned ms)
{
	return now_ms() + ms;
}

/* Until the socket can be read or written. */
static int wait_for(int fd, short events, uint64_t deadline, struct error *e)
{
	struct pollfd p = {.fd = fd, .events = events};
	uint64_t now = now_ms();
	int r = poll(&p, 1, now < deadline ? (int)(deadline - now) : 0);

	if (r > 0)
		return 0;
	if (r < 0 && errno != EINTR)
		return error_set(e, -errno, "poll: %s", strerror(errno));
	/* A signal takes none of the time. */
	if (r < 0)
		return wait_for(fd, events, deadline, e);
	return error_set(e, -ETIMEDOUT, "no answer in time");
}

static int gone(struct error *e)
{
	return error_set(e, -EPIPE, "the other end has closed the connection");
}

int vhost_user_send(int fd, const struct vhost_user_message *m,
		    uint64_t deadline, struct error *e)
{
	struct vhost_user_header header = {
		.request = m->request,
		.flags = FLAG_VERSION | (m->want_ack ? FLAG_NEED_REPLY : 0),
		.size = m->size,
	};
	struct iovec iov[2] = {{&header, sizeof(header)},
			       {(void *)&m->payload, m->size}};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(VHOST_REGIONS_MAX * sizeof(int))];
	} control = {.room = {0}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;

	if (m->n_fds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(m->n_fds * sizeof(int));
		control.head = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(m->n_fds * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.head), m->fds,
		       m->n_fds * sizeof(int));
	}
	do {
		int r = wait_for(fd, POLLOUT, deadline, e);

		if (r)
			return r;
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	if (n < 0)
		return errno == EPIPE || errno == ECONNRESET
			       ? gone(e)
			       : error_set(e, -errno, "cannot send: %s",
					   strerror(errno));
	/* A message is far smaller than what a socket takes at once; were it
	 * cut, the rest could not follow in time. */
	if ((size_t)n != sizeof(header) + m->size)
		return error_set(e, -ETIMEDOUT, "no room for a message");
	return 0;
}

/* Descriptors that come along are closed by the kernel: there is no room for
 * them. */
static int read_all(int fd, void *to, size_t size, uint64_t deadline,
		    struct error *e)
{
	char *at = to;

	while (size) {
		int r = wait_for(fd, POLLIN, deadline, e);
		ssize_t n;

		if (r)
			return r;
		n = recv(fd, at, size, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return gone(e);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return error_set(e, -errno, "cannot receive: %s",
					 strerror(errno));
		if (n > 0) {
			at += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

int vhost_user_receive(int fd, enum vhost_user_request request, uint32_t size,
		       union vhost_user_payload *ret, uint64_t deadline,
		       struct error *e)
{
	struct vhost_user_header header;
	union vhost_user_payload payload;
	int r = read_all(fd, &header, sizeof(header), deadline, e);

	if (r)
		return r;
	if (header.request != request ||
	    (header.flags & FLAG_VERSION_MASK) != FLAG_VERSION ||
	    !(header.flags & FLAG_REPLY) || header.size != size ||
	    size > sizeof(payload))
		return error_set(e, -EPROTO,
				 "the reply to request %u is malformed "
				 "(request %u, flags %#x, %u bytes)",
				 request, header.request, header.flags,
				 header.size);
	r = read_all(fd, &payload, size, deadline, e);
	if (!r)
		memcpy(ret, &payload, size);
	return r;
}
