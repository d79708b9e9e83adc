#include <poll.h>
#include <sched.h>

#include "lib/host/io_ring_internal.h"

/* When the kernel is short of memory. */
#define AGAIN_MS 1

static void list_add(struct io_ring_list *l, struct io_ring_op *op)
{
	op->listed = true;
	op->next = NULL;
	*l->end = op;
	l->end = &op->next;
	l->n++;
}

/* `at` points to the one to take off. */
static struct io_ring_op *list_take(struct io_ring_list *l,
				    struct io_ring_op **at)
{
	struct io_ring_op *op = *at;

	*at = op->next;
	if (!*at)
		l->end = at;
	l->n--;
	op->listed = false;
	return op;
}

static void list_drop(struct io_ring_list *l, struct io_ring_op *op)
{
	struct io_ring_op **at = &l->first;

	if (!op->listed)
		return;
	while (*at != op)
		at = &(*at)->next;
	list_take(l, at);
}

void io_ring_reap(struct io_ring *g)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&g->ring, &cqe) == 0) {
		struct io_ring_op *op = io_uring_cqe_get_data(cqe);

		if (op) {
			op->result = cqe->res;
			op->more = cqe->flags & IORING_CQE_F_MORE;
			op->under_way = op->more;
			/* One that goes on may have ended twice. */
			if (!op->listed)
				list_add(&g->ended, op);
		}
		io_uring_cqe_seen(&g->ring, cqe);
	}
}

static void run_at(struct io_ring_list *l, struct io_ring_op **at)
{
	struct io_ring_op *op = list_take(l, at);

	op->done(op, op->result, op->more);
}

static void run_list(struct io_ring_list *l)
{
	for (unsigned n = l->n; n > 0 && l->first; n--)
		run_at(l, &l->first);
}

bool io_ring_due(const struct io_ring *g)
{
	return g->ended.first || g->later.first;
}

/* What waits for its turn comes behind what has ended. */
bool io_ring_run_due(struct io_ring *g)
{
	bool any = io_ring_due(g);

	run_list(&g->ended);
	run_list(&g->later);
	return any;
}

static void on_again(uv_timer_t *timer)
{
}

void io_ring_enter(struct io_ring *g, int timeout_ms)
{
	struct __kernel_timespec ts = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000ll,
	};
	struct io_uring_cqe *cqe;
	int r = 0;

	if (timeout_ms != 0)
		r = io_uring_submit_and_wait_timeout(
			&g->ring, &cqe, 1, timeout_ms < 0 ? NULL : &ts, NULL);
	else if (io_uring_sq_ready(&g->ring) > 0)
		r = io_uring_submit_and_get_events(&g->ring);
	g->signalled = -1;
	/* What the kernel would not take is tried again: nothing else may be
	 * there to wake us. */
	if (r != -ETIME && r != -EINTR && io_uring_sq_ready(&g->ring) > 0)
		uv_timer_start(&g->again, on_again, AGAIN_MS, 0);
	io_ring_reap(g);
}

struct io_uring_sqe *io_ring_sqe(struct io_ring *g)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&g->ring))) {
		io_ring_enter(g, 0);
		/* Still full: the kernel is short of memory. */
		if (io_uring_sq_space_left(&g->ring) == 0)
			sched_yield();
	}
	return sqe;
}

void io_ring_queue(struct io_uring_sqe *sqe, struct io_ring_op *op)
{
	op->under_way = true;
	io_uring_sqe_set_data(sqe, op);
}

void io_ring_later(struct io_ring *g, struct io_ring_op *op)
{
	op->result = 0;
	op->more = false;
	if (!op->listed)
		list_add(&g->later, op);
}

void io_ring_not_later(struct io_ring *g, struct io_ring_op *op)
{
	list_drop(&g->later, op);
}

static bool run_of(struct io_ring *g, const void *owner)
{
	struct io_ring_op **at = &g->ended.first;

	while (*at && (*at)->owner != owner)
		at = &(*at)->next;
	if (!*at)
		return false;
	run_at(&g->ended, at);
	return true;
}

void io_ring_wait(struct io_ring *g, const void *owner)
{
	while (!run_of(g, owner))
		io_ring_enter(g, -1);
}

void io_ring_poll(struct io_ring *g, int fd, struct io_ring_op *op)
{
	struct io_uring_sqe *sqe = io_ring_sqe(g);

	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	io_ring_queue(sqe, op);
}

void io_ring_poll_end(struct io_ring *g, struct io_ring_op *op)
{
	if (op->under_way) {
		struct io_uring_sqe *sqe = io_ring_sqe(g);

		/* Not a poll_remove: that fails while one is being heard. */
		io_uring_prep_cancel(sqe, op, 0);
		io_uring_sqe_set_data(sqe, NULL);
	}
	while (op->under_way)
		io_ring_enter(g, -1);
	list_drop(&g->ended, op);
}

bool io_ring_signal(uv_loop_t *loop, int fd)
{
	static const uint64_t one = 1;
	struct io_ring *g = io_ring_of(loop);
	struct io_uring_sqe *sqe;

	if (!g)
		return false;
	if (fd == g->signalled)
		return true;
	sqe = io_ring_sqe(g);
	io_uring_prep_write(sqe, fd, &one, sizeof(one), 0);
	if (g->skips)
		io_uring_sqe_set_flags(sqe, IOSQE_CQE_SKIP_SUCCESS);
	io_uring_sqe_set_data(sqe, NULL);
	g->signalled = fd;
	return true;
}

void io_ring_flush(uv_loop_t *loop)
{
	struct io_ring *g = io_ring_of(loop);

	if (g)
		io_ring_enter(g, 0);
}
