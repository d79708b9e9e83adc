/*
 * The io_uring engine: one ring per disk, its completions announced by an
 * eventfd that the loop polls.
 */
#include <liburing.h>
#include <sys/eventfd.h>

#include "lib/base/fd.h"
#include "lib/host/blockdev_engine.h"

/* Requests in the kernel at a time; the rest waits in the blockdev's queue.
 * The completion ring is twice as long, so it cannot overflow. */
#define RING_ENTRIES 128

struct blockdev_ring {
	struct io_uring ring;
	int event_fd;
	unsigned started;
	uv_poll_t poll;
};

static void ring_start(struct blockdev *b);

static void end_one(struct blockdev *b, struct blockdev_request *r, int res)
{
	if (r->op == BLOCKDEV_FLUSH) {
		r->result = MIN(res, 0);
	} else if (r->op == BLOCKDEV_DISCARD || r->op == BLOCKDEV_ZERO) {
		if (!blockdev_request_allocated(r, res)) {
			blockdev_requeue(b, r);
			return;
		}
	} else if (r->op != BLOCKDEV_FAIL &&
		   !blockdev_request_advance(r, res)) {
		blockdev_requeue(b, r);
		return;
	}
	blockdev_request_done(r);
}

static void reap(struct blockdev *b)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&b->ring->ring, &cqe) == 0) {
		struct blockdev_request *r = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&b->ring->ring, cqe);
		b->ring->started--;
		end_one(b, r, res);
	}
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct blockdev *b = poll->data;
	eventfd_t count;

	eventfd_read(b->ring->event_fd, &count);
	reap(b);
	ring_start(b);
}

static int ring_open(struct blockdev *b)
{
	struct blockdev_ring *g = calloc(1, sizeof(*g));
	int r = -ENOMEM;

	if (!g)
		return r;
	g->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->event_fd < 0) {
		r = -errno;
		goto fail_event;
	}
	r = io_uring_queue_init(RING_ENTRIES, &g->ring, 0);
	if (r < 0)
		goto fail_ring;
	r = io_uring_register_eventfd(&g->ring, g->event_fd);
	if (r < 0)
		goto fail_poll;
	r = uv_poll_init(b->loop, &g->poll, g->event_fd);
	if (r < 0)
		goto fail_poll;
	g->poll.data = b;
	uv_poll_start(&g->poll, UV_READABLE, on_event);
	b->ring = g;
	return 0;

fail_poll:
	io_uring_queue_exit(&g->ring);
fail_ring:
	fd_close(g->event_fd);
fail_event:
	free(g);
	return r;
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
	io_uring_sqe_set_data(sqe, r);
}

static void ring_start(struct blockdev *b)
{
	struct blockdev_ring *g = b->ring;

	while (b->queue && g->started < RING_ENTRIES) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&g->ring);

		if (!sqe)
			break;
		prepare(sqe, blockdev_dequeue(b));
		g->started++;
	}
	/* What the kernel would not take (short of memory) is tried again on
	 * the next turn of the loop: nothing else may be there to wake us. */
	if (io_uring_sq_ready(&g->ring) > 0 &&
	    (io_uring_submit(&g->ring) < 0 || io_uring_sq_ready(&g->ring) > 0))
		eventfd_write(g->event_fd, 1);
}

static void ring_wait(struct blockdev *b)
{
	struct io_uring_cqe *cqe;

	if (b->ring->started == 0)
		return;
	io_uring_submit_and_wait(&b->ring->ring, 1);
	if (io_uring_wait_cqe(&b->ring->ring, &cqe) == 0)
		reap(b);
}

static void on_closed(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)handle, struct blockdev_ring, poll));
}

static void ring_close(struct blockdev *b)
{
	struct blockdev_ring *g = TAKE_PTR(b->ring);

	uv_poll_stop(&g->poll);
	uv_close((uv_handle_t *)&g->poll, on_closed);
	io_uring_queue_exit(&g->ring);
	fd_close(g->event_fd);
}

const struct blockdev_engine blockdev_uring = {
	.open = ring_open,
	.start = ring_start,
	.wait = ring_wait,
	.close = ring_close,
};
