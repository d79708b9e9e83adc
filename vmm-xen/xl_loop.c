#include "vmm-xen/xl_loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>

#include "lib/base/fd.h"

/* libxl may have more ready at once; the rest is for the loop's next turn. */
#define EVENTS_PER_TURN 32

/* epoll(7) and poll(2) have the same bits, which libxl and we rely on. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT &&
		       EPOLLERR == POLLERR && EPOLLHUP == POLLHUP &&
		       EPOLLPRI == POLLPRI,
	       "epoll events are poll events");

struct timer {
	uv_timer_t uv;
	struct xl_loop *loop;
	struct timer *next;
	void *for_libxl;
};

struct watch {
	int fd;	 /* libxl's */
	int own; /* a duplicate, when the same one is watched already; or -1 */
	short events;
	void *for_libxl;
};

struct xl_loop {
	uv_loop_t *uv;
	libxl_ctx *ctx;
	int epoll_fd;
	uv_poll_t poll;
	struct timer *timers;
};

static int watched_fd(const struct watch *w)
{
	return w->own >= 0 ? w->own : w->fd;
}

static int epoll_add(struct xl_loop *l, struct watch *w)
{
	struct epoll_event event = {.events = (uint32_t)w->events,
				    .data.ptr = w};

	return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, watched_fd(w), &event) < 0
		       ? -errno
		       : 0;
}

static int fd_register(void *user, int fd, void **ret, short events,
		       void *for_libxl)
{
	struct xl_loop *l = user;
	struct watch *w = malloc(sizeof(*w));
	int r;

	if (!w)
		return ERROR_OSEVENT_REG_FAIL;
	*w = (struct watch){fd, -1, events, for_libxl};
	r = epoll_add(l, w);
	if (r == -EEXIST) {
		w->own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		r = w->own < 0 ? -errno : epoll_add(l, w);
	}
	if (r < 0) {
		fd_close(w->own);
		free(w);
		return ERROR_OSEVENT_REG_FAIL;
	}
	*ret = w;
	return 0;
}

static int fd_modify(void *user, int fd, void **update, short events)
{
	struct xl_loop *l = user;
	struct watch *w = *update;
	struct epoll_event event = {.events = (uint32_t)events, .data.ptr = w};

	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, watched_fd(w), &event) < 0)
		return ERROR_OSEVENT_REG_FAIL;
	w->events = events;
	return 0;
}

static void fd_deregister(void *user, int fd, void *registration)
{
	struct xl_loop *l = user;
	struct watch *w = registration;

	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, watched_fd(w), NULL);
	fd_close(w->own);
	free(w);
}

static void timer_free_cb(uv_handle_t *handle)
{
	free(handle->data);
}

static void timer_drop(struct timer *t)
{
	struct timer **at = &t->loop->timers;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	uv_close((uv_handle_t *)&t->uv, timer_free_cb);
}

/* To libxl it is deregistered from here on. */
static void on_timer(uv_timer_t *uv)
{
	struct timer *t = uv->data;
	struct xl_loop *l = t->loop;
	void *for_libxl = t->for_libxl;

	timer_drop(t);
	xl.occurred_timeout(l->ctx, for_libxl);
}

static uint64_t ms_until(struct timeval abs)
{
	struct timeval now, left;

	gettimeofday(&now, NULL);
	if (!timercmp(&abs, &now, >))
		return 0;
	timersub(&abs, &now, &left);
	return (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1;
}

static int timeout_register(void *user, void **ret, struct timeval abs,
			    void *for_libxl)
{
	struct xl_loop *l = user;
	struct timer *t = malloc(sizeof(*t));

	if (!t)
		return ERROR_OSEVENT_REG_FAIL;
	t->loop = l;
	t->for_libxl = for_libxl;
	t->next = l->timers;
	l->timers = t;
	uv_timer_init(l->uv, &t->uv);
	t->uv.data = t;
	uv_update_time(l->uv);
	uv_timer_start(&t->uv, on_timer, ms_until(abs), 0);
	*ret = t;
	return 0;
}

/* Only ever means "now". */
static int timeout_modify(void *user, void **update, struct timeval abs)
{
	struct timer *t = *update;

	uv_timer_start(&t->uv, on_timer, 0, 0);
	return 0;
}

/* Never called, as libxl_event.h has it; libxl wants it all the same. */
static void timeout_deregister(void *user, void *registration)
{
	timer_drop(registration);
}

const libxl_osevent_hooks xl_loop_hooks = {
	.fd_register = fd_register,
	.fd_modify = fd_modify,
	.fd_deregister = fd_deregister,
	.timeout_register = timeout_register,
	.timeout_modify = timeout_modify,
	.timeout_deregister = timeout_deregister,
};

/* One at a time: what libxl does about it may end another's registration. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct xl_loop *l = poll->data;
	struct epoll_event event;

	for (unsigned i = 0; i < EVENTS_PER_TURN; i++) {
		struct watch *w;

		if (!l->ctx || epoll_wait(l->epoll_fd, &event, 1, 0) <= 0)
			return;
		w = event.data.ptr;
		xl.occurred_fd(l->ctx, w->for_libxl, w->fd, w->events,
			       (short)event.events);
	}
}

int xl_loop_new(uv_loop_t *loop, struct xl_loop **ret, struct error *e)
{
	struct xl_loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return error_set(e, -ENOMEM, "out of memory");
	l->uv = loop;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r = l->epoll_fd < 0 ? -errno
			    : uv_poll_init(loop, &l->poll, l->epoll_fd);
	if (r < 0) {
		fd_close(l->epoll_fd);
		free(l);
		return error_set(e, r,
				 "cannot watch what Xen's libraries "
				 "wait for: %s",
				 strerror(-r));
	}
	l->poll.data = l;
	uv_poll_start(&l->poll, UV_READABLE, on_poll);
	*ret = l;
	return 0;
}

void xl_loop_watch(struct xl_loop *l, libxl_ctx *ctx)
{
	l->ctx = ctx;
	xl.osevent_hooks(ctx, &xl_loop_hooks, l);
}

static void loop_free_cb(uv_handle_t *handle)
{
	struct xl_loop *l = handle->data;

	fd_close(l->epoll_fd);
	free(l);
}

struct xl_loop *xl_loop_free(struct xl_loop *l)
{
	if (!l)
		return NULL;
	l->ctx = NULL;
	while (l->timers)
		timer_drop(l->timers);
	uv_close((uv_handle_t *)&l->poll, loop_free_cb);
	return NULL;
}
