/*
 * The io_uring engine: all disks of a loop share its ring (io_ring.h), which
 * hands over what they start, and takes what has ended, once a turn.
 */
#include <liburing.h>

#include "lib/host/blockdev_engine.h"

/* Requests of one disk in the kernel at a time; the rest waits in its queue. */
#define IN_RING_MAX 128
/* What is in the page cache is copied while it is handed over. After so much
 * the guest is told what it has, and goes on while we do. */
#define PORTION_BYTES KIB(256)

static void ring_start(struct blockdev *b);

/* False: it has to be started again. */
static bool request_ended(struct blockdev_request *r, int result)
{
	switch (r->op) {
	case BLOCKDEV_FLUSH:
		r->result = MIN(result, 0);
		return true;
	case BLOCKDEV_DISCARD:
	case BLOCKDEV_ZERO:
		return blockdev_request_allocated(r, result);
	case BLOCKDEV_READ:
	case BLOCKDEV_WRITE:
		return blockdev_request_advance(r, result);
	case BLOCKDEV_FAIL:
		break;
	}
	return true;
}

static void on_ended(struct io_ring_op *op, int result, bool more)
{
	struct blockdev_request *r = container_of(op, struct blockdev_request,
						  op_in_ring);
	struct blockdev *b = r->dev;

	b->in_ring--;
	if (!request_ended(r, result)) {
		blockdev_requeue(b, r);
		r = NULL;
	}
	ring_start(b);
	if (r)
		blockdev_request_done(r);
}

static void prepare(struct io_uring_sqe *sqe, struct blockdev_request *r)
{
	int fd = r->dev->fd;
	unsigned n = (unsigned)r->n_iov;

	switch (r->op) {
	case BLOCKDEV_READ:
		io_uring_prep_readv(sqe, fd, r->iov, n, r->offset);
		break;
	case BLOCKDEV_WRITE:
		io_uring_prep_writev(sqe, fd, r->iov, n, r->offset);
		break;
	case BLOCKDEV_FLUSH:
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
		break;
	case BLOCKDEV_DISCARD:
	case BLOCKDEV_ZERO:
		io_uring_prep_fallocate(sqe, fd, r->fallocate_mode,
					(off_t)r->offset, (off_t)r->remaining);
		break;
	case BLOCKDEV_FAIL:
		io_uring_prep_nop(sqe);
		break;
	}
}

static void start_one(struct blockdev *b)
{
	struct io_uring_sqe *sqe = io_ring_sqe(b->ring);
	struct blockdev_request *r = blockdev_dequeue(b);

	r->op_in_ring.done = on_ended;
	r->op_in_ring.owner = b;
	prepare(sqe, r);
	io_ring_queue(sqe, &r->op_in_ring);
	b->in_ring++;
}

static void ring_start(struct blockdev *b)
{
	uint64_t bytes = 0;

	/* The rest of a portion waits for its turn. */
	if (b->in_ring_later.listed)
		return;
	while (b->queue && b->in_ring < IN_RING_MAX) {
		if (bytes >= PORTION_BYTES) {
			io_ring_later(b->ring, &b->in_ring_later);
			break;
		}
		bytes += b->queue->remaining;
		start_one(b);
	}
}

static void on_later(struct io_ring_op *op, int result, bool more)
{
	ring_start(container_of(op, struct blockdev, in_ring_later));
}

static int ring_open(struct blockdev *b)
{
	b->in_ring_later.done = on_later;
	return io_ring_ref(b->loop, &b->ring);
}

static void ring_wait(struct blockdev *b)
{
	/* Nobody is to be told in between. */
	io_ring_not_later(b->ring, &b->in_ring_later);
	ring_start(b);
	if (b->in_ring > 0)
		io_ring_wait(b->ring, b);
}

static void ring_close(struct blockdev *b)
{
	io_ring_not_later(b->ring, &b->in_ring_later);
	b->ring = io_ring_unref(b->ring);
}

const struct blockdev_engine blockdev_uring = {
	.open = ring_open,
	.start = ring_start,
	.wait = ring_wait,
	.close = ring_close,
};
