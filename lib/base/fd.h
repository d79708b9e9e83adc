/*
 * File descriptors: scope-bound closing, whole reads and writes, passing over
 * Unix sockets. Every descriptor made here is CLOEXEC.
 */
#ifndef LIB_BASE_FD_H
#define LIB_BASE_FD_H

#include <sys/types.h>
#include <unistd.h>

#include "lib/base/error.h"

/* Close if >= 0, keep errno; returns -1, so `fd = fd_close(fd);` resets. */
int fd_close(int fd);

static inline void fd_closep(const int *fd)
{
	fd_close(*fd);
}
#define _cleanup_close_ _cleanup_(fd_closep)

void fd_close_many(int *fds, size_t n);

/*
 * Read or write exactly `size` bytes, retrying short counts and EINTR; the p
 * variants at an offset. 0, -errno, or -ENODATA when the file ends early.
 */
int fd_read_full(int fd, void *buf, size_t size) must_check;
int fd_write_full(int fd, const void *buf, size_t size) must_check;
int fd_pread_full(int fd, void *buf, size_t size, off_t at) must_check;
int fd_pwrite_full(int fd, const void *buf, size_t size, off_t at) must_check;

int fd_set_nonblock(int fd) must_check;
int fd_set_block(int fd) must_check;

#define FD_PASS_MAX 16

/* Descriptors that belong together, owned. Zeroed is empty. */
struct fd_list {
	size_t n;
	int fds[FD_PASS_MAX];
};

/* Close them all; empty again. */
void fd_list_done(struct fd_list *list);
#define _cleanup_fds_ _cleanup_(fd_list_done)
/* Empty it: what it held is the caller's. */
struct fd_list fd_list_take(struct fd_list *list);

/*
 * sendmsg with up to FD_PASS_MAX descriptors; the caller keeps its own.
 * Returns bytes sent or -errno (-EAGAIN when the socket is full).
 */
ssize_t fd_send(int sock, const void *buf, size_t size, const int *fds,
		size_t n_fds);

/*
 * recvmsg; received descriptors are owned by the caller, *ret_n_fds of them
 * stand in fds[FD_PASS_MAX]. Returns bytes, 0 at end of stream (or for an
 * empty datagram, whose descriptors are closed), or -errno:
 * -EMSGSIZE when the datagram or its descriptors did not fit, in which case
 * everything received has been closed.
 */
ssize_t fd_recv(int sock, void *buf, size_t size, int *fds, size_t *ret_n_fds);

#endif
