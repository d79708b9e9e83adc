#include <assert.h>
#include <poll.h>

#include "lib/host/io_ring_internal.h"

/* What is prepared in one turn; more is handed over at once. */
#define SQ_ENTRIES 128
/* Ends that are not taken yet; the kernel keeps more elsewhere (NODROP). */
#define CQ_ENTRIES 512

/* What loop->data points to; made by who comes first. */
struct home {
	struct io_ring *ring;
	bool waits;
};

struct io_ring *io_ring_of(const uv_loop_t *loop)
{
	const struct home *home = loop->data;

	return home ? home->ring : NULL;
}

static void on_loop_ready(struct io_ring_op *op, int result, bool more)
{
	container_of(op, struct io_ring, loop_op)->loop_ready = true;
}

static void watch_loop(struct io_ring *g)
{
	struct io_uring_sqe *sqe;

	if (g->loop_op.under_way)
		return;
	sqe = io_ring_sqe(g);
	io_uring_prep_poll_add(sqe, uv_backend_fd(g->loop), POLLIN);
	io_ring_queue(sqe, &g->loop_op);
}

static void on_idle(uv_idle_t *idle)
{
}

/*
 * Before libuv would wait. We do that in its place until one of its descriptors
 * is ready, a timer is due, or something else is to be done there; it is then
 * made not to wait itself, for its descriptors may have been served meanwhile.
 */
static void wait_in_ring(struct io_ring *g)
{
	uv_idle_stop(&g->idle);
	for (;;) {
		int timeout;

		io_ring_run_due(g);
		if (g->closing)
			return;
		uv_update_time(g->loop);
		timeout = uv_backend_timeout(g->loop);
		if (timeout == 0 || g->loop_ready ||
		    uv_is_active((uv_handle_t *)&g->again))
			break;
		watch_loop(g);
		io_ring_enter(g, io_ring_due(g) ? 0 : timeout);
	}
	io_ring_enter(g, 0);
	g->loop_ready = false;
	if (!uv_is_active((uv_handle_t *)&g->again))
		uv_idle_start(&g->idle, on_idle);
}

/*
 * A loop that polls the ring: what ends while it is handed over (it was in the
 * page cache) is taken at once, and counts as a turn of the loop.
 */
static void pass(struct io_ring *g)
{
	bool turned = false;

	uv_idle_stop(&g->idle);
	io_ring_reap(g);
	for (int i = 0; i < 2; i++) {
		turned |= io_ring_run_due(g);
		if (g->closing)
			return;
		io_ring_enter(g, 0);
	}
	if (turned || io_ring_due(g))
		uv_idle_start(&g->idle, on_idle);
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct io_ring *g = prepare->data;

	if (g->waits)
		wait_in_ring(g);
	else
		pass(g);
}

/* Behind on_readable(), and behind all else that may have prepared something.
 */
static void on_check(uv_check_t *check)
{
	pass(check->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
}

static int queue_init(struct io_ring *g)
{
	/* The best the kernel has. What it does for us is then done when we
	 * wait for it, not by interrupting us. */
	static const unsigned flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	struct io_uring_params p;
	int r = -EINVAL;

	for (size_t i = g->waits ? 0 : ARRAY_SIZE(flags) - 1;
	     i < ARRAY_SIZE(flags) && r == -EINVAL; i++) {
		p = (struct io_uring_params){
			.flags = flags[i] | IORING_SETUP_CQSIZE,
			.cq_entries = CQ_ENTRIES,
		};
		r = io_uring_queue_init_params(SQ_ENTRIES, &g->ring, &p);
	}
	if (r < 0)
		return r;
	if (!(p.features & IORING_FEAT_NODROP) ||
	    (g->waits && !(p.features & IORING_FEAT_EXT_ARG))) {
		io_uring_queue_exit(&g->ring);
		return -ENOSYS;
	}
	g->skips = p.features & IORING_FEAT_CQE_SKIP;
	return 0;
}

static void handle_made(struct io_ring *g, uv_handle_t *handle)
{
	handle->data = g;
	g->open_handles++;
}

static void handles_start(struct io_ring *g)
{
	uv_prepare_init(g->loop, &g->prepare);
	handle_made(g, (uv_handle_t *)&g->prepare);
	uv_prepare_start(&g->prepare, on_prepare);
	uv_timer_init(g->loop, &g->again);
	handle_made(g, (uv_handle_t *)&g->again);
	uv_idle_init(g->loop, &g->idle);
	handle_made(g, (uv_handle_t *)&g->idle);
	uv_check_init(g->loop, &g->check);
	handle_made(g, (uv_handle_t *)&g->check);
	if (!g->waits) {
		uv_check_start(&g->check, on_check);
		uv_poll_start(&g->poll, UV_READABLE, on_readable);
	}
	/* Polling the ring is what keeps a loop going. */
	uv_unref((uv_handle_t *)&g->prepare);
	uv_unref((uv_handle_t *)&g->idle);
	uv_unref((uv_handle_t *)&g->check);
}

static int ring_new(uv_loop_t *loop, bool waits, struct io_ring **ret)
{
	struct io_ring *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	g->loop = loop;
	g->waits = waits;
	g->signalled = -1;
	g->ended.end = &g->ended.first;
	g->later.end = &g->later.first;
	g->loop_op.done = on_loop_ready;
	g->loop_op.owner = g;
	r = queue_init(g);
	if (r < 0) {
		free(g);
		return r;
	}
	if (!waits) {
		r = uv_poll_init(loop, &g->poll, g->ring.ring_fd);
		if (r < 0) {
			io_uring_queue_exit(&g->ring);
			free(g);
			return r;
		}
		handle_made(g, (uv_handle_t *)&g->poll);
	}
	handles_start(g);
	*ret = g;
	return 0;
}

int io_ring_ref(uv_loop_t *loop, struct io_ring **ret)
{
	struct home *home = loop->data;
	int r = 0;

	if (!home) {
		home = loop->data = calloc(1, sizeof(*home));
		if (!home)
			return -ENOMEM;
	}
	if (!home->ring)
		r = ring_new(loop, home->waits, &home->ring);
	if (r == 0) {
		home->ring->refs++;
		*ret = home->ring;
	} else if (!home->waits) {
		free(home);
		loop->data = NULL;
	}
	return r;
}

static void on_closed(uv_handle_t *handle)
{
	struct io_ring *g = handle->data;

	if (--g->open_handles == 0)
		free(g);
}

struct io_ring *io_ring_unref(struct io_ring *g)
{
	struct home *home = g->loop->data;

	if (--g->refs > 0)
		return NULL;
	io_ring_enter(g, 0);
	g->closing = true;
	home->ring = NULL;
	if (!home->waits) {
		free(home);
		g->loop->data = NULL;
		uv_close((uv_handle_t *)&g->poll, on_closed);
	}
	uv_close((uv_handle_t *)&g->prepare, on_closed);
	uv_close((uv_handle_t *)&g->again, on_closed);
	uv_close((uv_handle_t *)&g->idle, on_closed);
	uv_close((uv_handle_t *)&g->check, on_closed);
	io_uring_queue_exit(&g->ring);
	return NULL;
}

int io_ring_run(uv_loop_t *loop)
{
	struct home home = {.waits = true};
	int r;

	assert(!loop->data);
	loop->data = &home;
	r = uv_run(loop, UV_RUN_DEFAULT);
	loop->data = NULL;
	return r;
}
