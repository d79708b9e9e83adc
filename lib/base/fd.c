#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "lib/base/fd.h"

int fd_close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

void fd_close_many(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fds[i] = fd_close(fds[i]);
}

void fd_list_done(struct fd_list *list)
{
	fd_close_many(list->fds, list->n);
	list->n = 0;
}

struct fd_list fd_list_take(struct fd_list *list)
{
	struct fd_list taken = *list;

	list->n = 0;
	return taken;
}

/* One step of a whole transfer: advances *buf and *size, 0 or -errno. */
static int step(ssize_t n, char **buf, size_t *size)
{
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ENODATA;
	*buf += n;
	*size -= (size_t)n;
	return 0;
}

int fd_read_full(int fd, void *buf, size_t size)
{
	char *p = buf;
	int r = 0;

	while (size > 0 && r == 0)
		r = step(read(fd, p, size), &p, &size);
	return r;
}

int fd_write_full(int fd, const void *buf, size_t size)
{
	char *p = (char *)buf;
	int r = 0;

	while (size > 0 && r == 0)
		r = step(write(fd, p, size), &p, &size);
	return r;
}

int fd_pread_full(int fd, void *buf, size_t size, off_t at)
{
	char *p = buf;
	int r = 0;

	while (size > 0 && r == 0)
		r = step(pread(fd, p, size, at + (p - (char *)buf)), &p, &size);
	return r;
}

int fd_pwrite_full(int fd, const void *buf, size_t size, off_t at)
{
	char *p = (char *)buf;
	int r = 0;

	while (size > 0 && r == 0)
		r = step(pwrite(fd, p, size, at + (p - (const char *)buf)), &p,
			 &size);
	return r;
}

int fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int fd_set_block(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

union fd_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
};

ssize_t fd_send(int sock, const void *buf, size_t size, const int *fds,
		size_t n_fds)
{
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union fd_control control = {0};
	struct cmsghdr *cmsg;
	ssize_t n;

	if (n_fds > FD_PASS_MAX)
		return -E2BIG;
	if (n_fds > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static size_t take_fds(struct msghdr *msg, int *fds)
{
	size_t count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		n = MIN(n, FD_PASS_MAX - count);
		memcpy(fds + count, CMSG_DATA(c), n * sizeof(int));
		count += n;
	}
	return count;
}

ssize_t fd_recv(int sock, void *buf, size_t size, int *fds, size_t *ret_n_fds)
{
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	union fd_control control = {0};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	size_t count;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	count = take_fds(&msg, fds);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		fd_close_many(fds, count);
		return -EMSGSIZE;
	}
	if (n == 0) {
		/* An empty datagram reads as the end; it may carry fds. */
		fd_close_many(fds, count);
		count = 0;
	}
	*ret_n_fds = count;
	return n;
}
