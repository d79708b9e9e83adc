/*
 * The other end of vhost-user, for tests: a thread that answers as a program
 * would, or as the test wants it to.
 */
#ifndef TESTS_UNIT_FAKE_VHOST_USER_H
#define TESTS_UNIT_FAKE_VHOST_USER_H

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/host/vhost_user_wire.h"

#define FAKE_FEATURES (1ull << 32 | 1ull << 30 | 3ull << 28)

struct fake_user {
	int fd; /* ours; the front end has the other */
	pthread_t thread;
	/* What it does wrong, at which request; 0: nothing. */
	enum vhost_user_request at;
	enum { FAKE_HANG, FAKE_DIE, FAKE_LIE, FAKE_REFUSE, FAKE_SHORT } how;
	uint64_t features, protocol, queues;
	/* What it was told. */
	unsigned n, fds[64];
	uint32_t requests[64], flags[64];
	union vhost_user_payload payloads[64];
};

static inline unsigned fake_receive(struct fake_user *f,
				    struct vhost_user_header *h,
				    union vhost_user_payload *p)
{
	char room[CMSG_SPACE(8 * sizeof(int))];
	struct iovec iov = {h, sizeof(*h)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = room,
			     .msg_controllen = sizeof(room)};
	struct cmsghdr *c;
	unsigned n = 0;

	if (recvmsg(f->fd, &msg, MSG_WAITALL) != (ssize_t)sizeof(*h))
		return UINT32_MAX;
	c = CMSG_FIRSTHDR(&msg);
	for (; c && n < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); n++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + n * sizeof(int), sizeof(fd));
		close(fd);
	}
	memset(p, 0, sizeof(*p));
	if (h->size > sizeof(*p) ||
	    (h->size &&
	     recv(f->fd, p, h->size, MSG_WAITALL) != (ssize_t)h->size))
		return UINT32_MAX;
	return n;
}

static inline void fake_answer(struct fake_user *f, uint32_t request,
			       union vhost_user_payload p, uint32_t size)
{
	struct vhost_user_header h = {request, 5, size};
	bool wrong = f->at == request;

	if (wrong && f->how == FAKE_LIE)
		h.request++;
	if (wrong && f->how == FAKE_SHORT)
		h.size--;
	if (wrong && f->how == FAKE_REFUSE)
		p.u64 = 1;
	(void)!send(f->fd, &h, sizeof(h), MSG_NOSIGNAL);
	(void)!send(f->fd, &p, h.size, MSG_NOSIGNAL);
}

/* false: nothing more is answered. */
static inline bool fake_follow(struct fake_user *f,
			       const struct vhost_user_header *h,
			       union vhost_user_payload p)
{
	union vhost_user_payload reply = {0};

	if (f->at == h->request && (f->how == FAKE_HANG || f->how == FAKE_DIE))
		return f->how == FAKE_HANG;
	switch (h->request) {
	case VHOST_USER_GET_FEATURES:
		reply.u64 = f->features;
		break;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		reply.u64 = f->protocol;
		break;
	case VHOST_USER_GET_QUEUE_NUM:
		reply.u64 = f->queues;
		break;
	case VHOST_USER_GET_VRING_BASE:
		reply.state.index = p.state.index;
		reply.state.num = 40 + p.state.index;
		fake_answer(f, h->request, reply, 8);
		return true;
	default:
		if (!(h->flags & 8))
			return true;
		break;
	}
	fake_answer(f, h->request, reply, 8);
	return true;
}

static inline void *fake_run(void *cookie)
{
	struct fake_user *f = cookie;
	struct vhost_user_header h;
	union vhost_user_payload p;
	unsigned fds;

	while ((fds = fake_receive(f, &h, &p)) != UINT32_MAX && f->n < 64) {
		f->requests[f->n] = h.request;
		f->flags[f->n] = h.flags;
		f->fds[f->n] = fds;
		f->payloads[f->n++] = p;
		if (!fake_follow(f, &h, p))
			break;
	}
	shutdown(f->fd, SHUT_RDWR);
	return NULL;
}

/* The descriptor for the front end. */
static inline int fake_user_begin(struct fake_user *f)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	if (!f->features)
		f->features = FAKE_FEATURES;
	if (!f->protocol)
		f->protocol = 0xffff;
	if (!f->queues)
		f->queues = 2;
	f->fd = fds[0];
	assert_int_equal(pthread_create(&f->thread, NULL, fake_run, f), 0);
	return fds[1];
}

/* After the front end has closed its end. */
static inline void fake_user_end(struct fake_user *f)
{
	pthread_join(f->thread, NULL);
	close(f->fd);
}

#endif
