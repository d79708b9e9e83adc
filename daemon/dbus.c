#include "daemon/dbus.h"

#include <poll.h>
#include <stdlib.h>

#include "lib/base/log.h"

#define ADDRESS_DEFAULT "unix:path=/run/dbus/system_bus_socket"
#define RETRY_FIRST_MS	250
#define RETRY_MAX_MS	30000
/* Others have their turn, too. */
#define PROCESS_BURST 64
/* What a bus that does not read may hold up the daemon's end. */
#define FLUSH_MAX_MS 200

/* sd-bus changes its descriptor while it connects, and uv_poll_t cannot. */
struct watch {
	uv_poll_t poll; /* first: freed as what it is */
	int fd, events;
	struct dbus *bus;
};

struct dbus {
	uv_loop_t *loop;
	sd_bus *sd; /* NULL: being waited for */
	struct watch *watch;
	uv_timer_t timer, retry;
	uint64_t retry_ms;
	bool connected;
	struct dbus_user *users;
	unsigned open_handles;
};

static void dbus_process(struct dbus *b);

static void free_cb(uv_handle_t *handle)
{
	free(handle);
}

static void watch_close(struct dbus *b)
{
	if (b->watch)
		uv_close((uv_handle_t *)&b->watch->poll, free_cb);
	b->watch = NULL;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	dbus_process(((struct watch *)poll)->bus);
}

static void on_timer(uv_timer_t *timer)
{
	dbus_process(timer->data);
}

static int watch_open(struct dbus *b, int fd)
{
	struct watch *w = calloc(1, sizeof(*w));
	int r = w ? uv_poll_init(b->loop, &w->poll, fd) : -ENOMEM;

	if (r < 0) {
		free(w);
		return r;
	}
	w->fd = fd;
	w->bus = b;
	b->watch = w;
	return 0;
}

static int watch_update(struct dbus *b, int fd, int events)
{
	int r = 0;

	if (b->watch && b->watch->fd != fd)
		watch_close(b);
	if (!b->watch)
		r = watch_open(b, fd);
	if (r < 0 || b->watch->events == events)
		return r;
	b->watch->events = events;
	return uv_poll_start(&b->watch->poll,
			     (events & POLLIN ? UV_READABLE : 0) |
				     (events & POLLOUT ? UV_WRITABLE : 0),
			     on_poll);
}

/* Wait for what the bus now waits for (sd_bus_get_fd(3)). */
static int dbus_update(struct dbus *b)
{
	uint64_t until = UINT64_MAX, now = uv_hrtime() / 1000;
	int fd = sd_bus_get_fd(b->sd), events = sd_bus_get_events(b->sd);
	int r = fd < 0 ? fd : events < 0 ? events : watch_update(b, fd, events);

	if (r < 0)
		return r;
	uv_timer_stop(&b->timer);
	if (sd_bus_get_timeout(b->sd, &until) >= 0 && until != UINT64_MAX)
		uv_timer_start(&b->timer, on_timer,
			       until > now ? (until - now) / 1000 + 1 : 0, 0);
	return 0;
}

static void on_retry(uv_timer_t *timer)
{
	dbus_start(timer->data);
}

static void dbus_lost(struct dbus *b, int r)
{
	if (b->connected)
		log_warning("the connection to the system bus ended: %s",
			    strerror(-r));
	else
		log_debug("the system bus cannot be reached: %s", strerror(-r));
	uv_timer_stop(&b->timer);
	watch_close(b);
	b->sd = sd_bus_close_unref(b->sd);
	if (b->connected)
		for (struct dbus_user *u = b->users; u; u = u->next)
			if (u->disconnected)
				u->disconnected(u->cookie);
	b->connected = false;
	uv_timer_start(&b->retry, on_retry, b->retry_ms, 0);
	b->retry_ms = MIN(b->retry_ms * 2, (uint64_t)RETRY_MAX_MS);
}

static void dbus_process(struct dbus *b)
{
	int r = 1;

	for (int i = 0; b->sd && r > 0 && i < PROCESS_BURST; i++)
		r = sd_bus_process(b->sd, NULL);
	if (b->sd && r >= 0)
		r = dbus_update(b);
	if (b->sd && r < 0)
		dbus_lost(b, r);
}

void dbus_wake(struct dbus *b)
{
	/* A failure is seen, and told of, by dbus_process(). */
	if (b && b->sd && dbus_update(b) < 0)
		uv_timer_start(&b->timer, on_timer, 0, 0);
}

static int on_connected(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	struct dbus *b = cookie;

	b->connected = true;
	b->retry_ms = RETRY_FIRST_MS;
	for (struct dbus_user *u = b->users; u; u = u->next)
		u->connected(u->cookie, b->sd);
	return 0;
}

static int dbus_open(struct dbus *b)
{
	const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
	int r = sd_bus_new(&b->sd);

	if (r >= 0)
		r = sd_bus_set_address(b->sd,
				       address ? address : ADDRESS_DEFAULT);
	if (r >= 0)
		r = sd_bus_set_bus_client(b->sd, 1);
	if (r >= 0)
		r = sd_bus_negotiate_fds(b->sd, 1);
	/* Where there is no socket yet, inotify says when there is. */
	if (r >= 0)
		r = sd_bus_set_watch_bind(b->sd, 1);
	if (r >= 0)
		r = sd_bus_set_connected_signal(b->sd, 1);
	if (r >= 0)
		r = sd_bus_match_signal(b->sd, NULL, NULL,
					"/org/freedesktop/DBus/Local",
					"org.freedesktop.DBus.Local",
					"Connected", on_connected, b);
	return r < 0 ? r : sd_bus_start(b->sd);
}

void dbus_start(struct dbus *b)
{
	int r = dbus_open(b);

	if (r >= 0)
		r = dbus_update(b);
	if (r < 0)
		dbus_lost(b, r);
}

void dbus_join(struct dbus *b, struct dbus_user *user)
{
	user->next = b->users;
	b->users = user;
}

sd_bus *dbus_connection(const struct dbus *b)
{
	return b && b->connected ? b->sd : NULL;
}

int dbus_new(uv_loop_t *loop, struct dbus **ret, struct error *e)
{
	struct dbus *b = calloc(1, sizeof(*b));

	if (!b)
		return error_set(e, -ENOMEM, "out of memory");
	b->loop = loop;
	b->retry_ms = RETRY_FIRST_MS;
	uv_timer_init(loop, &b->timer);
	uv_timer_init(loop, &b->retry);
	b->timer.data = b->retry.data = b;
	b->open_handles = 2;
	*ret = b;
	return 0;
}

static void closed_cb(uv_handle_t *handle)
{
	struct dbus *b = handle->data;

	if (--b->open_handles == 0)
		free(b);
}

/* sd_bus_flush() would wait for as long as the bus likes. */
static void flush(struct dbus *b)
{
	uint64_t queued = 0, until = uv_hrtime() / 1000 + FLUSH_MAX_MS * 1000;
	uint64_t now = uv_hrtime() / 1000;

	while (now < until && sd_bus_get_n_queued_write(b->sd, &queued) >= 0 &&
	       queued > 0) {
		struct pollfd p = {.fd = sd_bus_get_fd(b->sd),
				   .events = POLLOUT};

		if (poll(&p, 1, (int)((until - now) / 1000) + 1) < 0 ||
		    sd_bus_process(b->sd, NULL) < 0)
			break;
		now = uv_hrtime() / 1000;
	}
}

struct dbus *dbus_free(struct dbus *b)
{
	if (!b)
		return NULL;
	b->users = NULL;
	if (b->connected)
		flush(b);
	watch_close(b);
	b->sd = sd_bus_close_unref(b->sd);
	uv_close((uv_handle_t *)&b->timer, closed_cb);
	uv_close((uv_handle_t *)&b->retry, closed_cb);
	return NULL;
}
