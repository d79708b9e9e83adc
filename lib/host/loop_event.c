#include <sys/eventfd.h>

#include "lib/host/io_ring.h"
#include "lib/host/loop_event.h"

struct loop_event {
	uv_loop_t *loop;
	int fd;
	void (*heard)(void *cookie);
	void *cookie;
	bool watched;
	bool deaf_ring; /* this kernel's cannot do it */
	uv_poll_t poll;
	struct io_ring *ring; /* where it is heard; NULL: by `poll` */
	struct io_ring_op op;
};

static void ring_leave(struct loop_event *e)
{
	if (!e->ring)
		return;
	io_ring_poll_end(e->ring, &e->op);
	e->ring = io_ring_unref(e->ring);
}

static bool ring_enter(struct loop_event *e)
{
	if (e->deaf_ring || !io_ring_of(e->loop) ||
	    io_ring_ref(e->loop, &e->ring) < 0)
		return false;
	io_ring_poll(e->ring, e->fd, &e->op);
	return true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct loop_event *e = poll->data;
	eventfd_t count;

	eventfd_read(e->fd, &count);
	/* Since it was begun the loop may have got a ring. */
	if (ring_enter(e))
		uv_poll_stop(&e->poll);
	e->heard(e->cookie);
}

/* Fails for no handle that was initialised. */
static void watch(struct loop_event *e)
{
	if (!ring_enter(e))
		(void)uv_poll_start(&e->poll, UV_READABLE, on_poll);
}

static void on_ring(struct io_ring_op *op, int result, bool more)
{
	struct loop_event *e = container_of(op, struct loop_event, op);

	if (!more) {
		e->deaf_ring = result < 0 && result != -ECANCELED;
		ring_leave(e);
		watch(e);
	}
	if (result > 0)
		e->heard(e->cookie);
}

int loop_event_new(uv_loop_t *loop, int fd, void (*heard)(void *cookie),
		   void *cookie, struct loop_event **ret)
{
	struct loop_event *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	*e = (struct loop_event){
		.loop = loop,
		.fd = fd,
		.heard = heard,
		.cookie = cookie,
		.op = {.done = on_ring, .owner = e},
	};
	r = uv_poll_init(loop, &e->poll, fd);
	if (r < 0) {
		free(e);
		return r;
	}
	e->poll.data = e;
	*ret = e;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

struct loop_event *loop_event_free(struct loop_event *e)
{
	if (!e)
		return NULL;
	ring_leave(e);
	uv_close((uv_handle_t *)&e->poll, on_closed);
	return NULL;
}

void loop_event_watch(struct loop_event *e, bool watched)
{
	if (e->watched == watched)
		return;
	e->watched = watched;
	if (watched) {
		watch(e);
	} else {
		ring_leave(e);
		(void)uv_poll_stop(&e->poll);
	}
}
