/*
 * The io_uring of a loop: what all disks of a VM submit to, and what the loop
 * waits in. There is at most one per loop; it is made for the first disk
 * request and goes with the last who uses it.
 *
 * Whoever has something for the kernel only prepares it; one system call a turn
 * of the loop hands all of it over, and takes what has ended meanwhile. A loop
 * run by io_ring_run() waits in that same call, for its own descriptors, too:
 * the ring polls the loop's epoll descriptor. A loop run by uv_run() polls the
 * ring instead, which costs it two calls more for each wait.
 *
 * It is found by loop->data, which must be NULL before (uv_loop_init() leaves
 * it as it was) and is nobody else's.
 *
 * Thread: the loop thread.
 */
#ifndef LIB_HOST_IO_RING_H
#define LIB_HOST_IO_RING_H

#include <stdbool.h>
#include <uv.h>

#include "lib/base/util.h"

struct io_uring_sqe;
struct io_ring;

/* Something the kernel works on. Belongs to who prepared it, and must stay
 * until done() was called without `more`. */
struct io_ring_op {
	/* From the loop, or from io_ring_wait(). With `more` it goes on. */
	void (*done)(struct io_ring_op *op, int result, bool more);
	const void *owner; /* whom io_ring_wait() waits for */
	/* The ring's own. */
	struct io_ring_op *next;
	int result;
	bool more, listed, under_way;
};

/* In the place of uv_run(loop, UV_RUN_DEFAULT), whose result it returns. */
int io_ring_run(uv_loop_t *loop);

/* -errno when the host does not offer one: ENOSYS, EPERM, ENOMEM. Each is given
 * back by io_ring_unref(). */
int io_ring_ref(uv_loop_t *loop, struct io_ring **ret) must_check;
struct io_ring *io_ring_unref(struct io_ring *g);
/* Borrowed; NULL when there is none now. */
struct io_ring *io_ring_of(const uv_loop_t *loop);

/* A place to fill by one of liburing's io_uring_prep_*(), then to be queued.
 * Waits when the kernel is short of memory. */
struct io_uring_sqe *io_ring_sqe(struct io_ring *g);
void io_ring_queue(struct io_uring_sqe *sqe, struct io_ring_op *op);

/* done() is called, with 0, when the loop has handed over what is prepared now
 * and taken what ended of it: the way to give the kernel a part at a time. */
void io_ring_later(struct io_ring *g, struct io_ring_op *op);
/* It is not called any more. */
void io_ring_not_later(struct io_ring *g, struct io_ring_op *op);

/* Blocks until an operation of `owner` that is under way has ended, and calls
 * its done(); others that end meanwhile stay for the loop. */
void io_ring_wait(struct io_ring *g, const void *owner);

/* Hear of each change of `fd` to readable, as done() with a result > 0, until
 * the end. When it ends by itself (result < 0, no `more`) it may be begun
 * again; but for -ECANCELED, this kernel cannot. */
void io_ring_poll(struct io_ring *g, int fd, struct io_ring_op *op);
/* done() is not called any more. */
void io_ring_poll_end(struct io_ring *g, struct io_ring_op *op);

/*
 * Write 1 to eventfd `fd` with the next call into the kernel, however often it
 * is asked for until then. false: the caller has to do it.
 */
bool io_ring_signal(uv_loop_t *loop, int fd);
/* Hand over now what was prepared: descriptors may be closed then. */
void io_ring_flush(uv_loop_t *loop);

#endif
