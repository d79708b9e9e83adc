#include "api/connection.h"
#include "api/http_server.h"

#include <sys/socket.h>

#include "lib/base/fd.h"

struct outgoing {
	struct outgoing *next;
	size_t size, sent;
	int fd; /* goes with the first byte */
	char text[];
};

static void on_poll(uv_poll_t *poll, int status, int events);

static size_t outgoing_cost(const struct outgoing *o)
{
	return o->size + (o->fd >= 0 ? CONNECTION_FD_COST : 0);
}

static void outgoing_drop_first(struct api_connection *c)
{
	struct outgoing *o = c->out;

	c->out_bytes -= outgoing_cost(o);
	c->out = o->next;
	if (!c->out)
		c->out_tail = &c->out;
	fd_close(o->fd);
	free(o);
}

struct api_connection *connection_ref(struct api_connection *c)
{
	c->refs++;
	return c;
}

void connection_unref(struct api_connection *c)
{
	if (--c->refs > 0)
		return;
	buf_done(&c->in);
	free(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct api_connection *c = handle->data;

	if (--c->open_handles == 0)
		connection_unref(c);
}

void connection_close(struct api_connection *c)
{
	if (c->fd < 0)
		return;
	uv_close((uv_handle_t *)&c->poll, on_handle_closed);
	uv_close((uv_handle_t *)&c->linger, on_handle_closed);
	c->fd = fd_close(c->fd);
	c->caller.gone = true;
	while (c->out)
		outgoing_drop_first(c);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	if (c->caller.server)
		server_connection_closed(c->caller.server, c);
}

/* Invariant 2. */
static bool may_take_requests(const struct api_connection *c)
{
	return !c->draining && c->calls < CONNECTION_CALLS_MAX &&
	       c->out_bytes < CONNECTION_QUEUE_SOFT;
}

/*
 * Poll for exactly what can be used. With nothing to wait for the poll is
 * stopped, for a hangup is reported whether asked for or not.
 */
static void connection_update(struct api_connection *c)
{
	int events = 0;

	if (c->fd < 0)
		return;
	if (!c->out && !c->processing &&
	    (c->draining || (c->eof && c->calls == 0 && !c->subscribed))) {
		connection_close(c);
		return;
	}
	if (!c->eof && may_take_requests(c))
		events |= UV_READABLE;
	if (c->out)
		events |= UV_WRITABLE;
	/* libuv asks the kernel anew, two calls, also for what it polls for. */
	if (events != c->polled)
		uv_poll_start(&c->poll, events, on_poll);
	c->polled = events;
}

static void connection_flush(struct api_connection *c)
{
	while (c->fd >= 0 && c->out) {
		struct outgoing *o = c->out;
		bool with_fd = o->fd >= 0 && o->sent == 0;
		ssize_t n = fd_send(c->fd, o->text + o->sent, o->size - o->sent,
				    &o->fd, with_fd);

		if (n == -EAGAIN)
			return;
		if (n < 0) {
			connection_close(c);
			return;
		}
		o->sent += (size_t)n;
		if (o->sent == o->size)
			outgoing_drop_first(c);
	}
}

static void on_linger(uv_timer_t *timer)
{
	connection_close(timer->data);
}

static void connection_drain(struct api_connection *c)
{
	c->draining = true;
	uv_timer_start(&c->linger, on_linger, CONNECTION_LINGER_MS, 0);
}

/* Consumes fd on success only. */
static int connection_queue(struct api_connection *c, json_object *message,
			    int fd)
{
	const char *text = message ? json_text(message) : NULL;
	size_t size = text ? strlen(text) : 0;
	struct outgoing *o = text ? malloc(sizeof(*o) + size + 1) : NULL;

	if (!o)
		return -ENOMEM;
	*o = (struct outgoing){.size = size + 1, .fd = fd};
	memcpy(o->text, text, size);
	o->text[size] = '\n';
	*c->out_tail = o;
	c->out_tail = &o->next;
	c->out_bytes += outgoing_cost(o);
	return 0;
}

/* Queue one line; `message` (may be NULL: no memory) and fd are consumed. */
static void connection_send(struct api_connection *c, json_object *message,
			    int fd)
{
	bool open = c->fd >= 0 && !c->draining;

	if (open && c->out_bytes <= CONNECTION_QUEUE_HARD &&
	    connection_queue(c, message, fd) == 0) {
		connection_flush(c);
		connection_update(c);
	} else {
		fd_close(fd);
		/* A reply that cannot be kept must not be missed silently. */
		if (open)
			connection_close(c);
	}
	json_object_put(message);
}

void connection_notify(struct api_connection *c, json_object *message)
{
	json_object *lost;

	if (!c->subscribed || c->fd < 0 || c->draining)
		return;
	if (c->out_bytes < CONNECTION_QUEUE_EVENTS) {
		connection_send(c, json_object_get(message), -1);
		return;
	}
	lost = jsonrpc_call(-1, "event.lost", NULL);
	connection_drain(c);
	if (connection_queue(c, lost, -1) < 0)
		connection_close(c);
	json_object_put(lost);
	connection_update(c);
}

static void line_too_long(struct api_connection *c)
{
	struct error e = ERROR_INIT;

	error_set_code(&e, ERROR_BAD_REQUEST,
		       "a request line may be at most 1 MiB long");
	c->discarding = true;
	connection_send(c, jsonrpc_error(NULL, &e), -1);
}

/* Run the line [start, end) of the input. */
static void take_line(struct api_connection *c, size_t start, size_t end)
{
	if (c->discarding)
		c->discarding = false;
	else if (end > start)
		caller_message(&c->caller, c->in.data + start, end - start);
}

/*
 * Run the whole lines that have come, as far as invariant 2 lets us. Handlers
 * may reply, and so come back here, before caller_message() returns; `in` is
 * only moved after the loop.
 */
static void connection_process(struct api_connection *c)
{
	size_t start = 0;

	if (c->processing)
		return;
	c->processing = true;
	while (c->fd >= 0 && may_take_requests(c)) {
		char *from = c->in.data + c->scanned;
		char *end = c->in.size > c->scanned
				    ? memchr(from, '\n',
					     c->in.size - c->scanned)
				    : NULL;

		if (!end) {
			c->scanned = c->in.size;
			break;
		}
		c->scanned = (size_t)(end - c->in.data) + 1;
		take_line(c, start, c->scanned - 1);
		start = c->scanned;
	}
	/* A client may close its end instead of ending its last line. */
	if (c->fd >= 0 && c->eof && may_take_requests(c) &&
	    c->scanned == c->in.size) {
		take_line(c, start, c->in.size);
		start = c->scanned = c->in.size;
	}
	if (start > 0)
		buf_consume(&c->in, start);
	c->scanned -= start;
	c->processing = false;
}

static void connection_read(struct api_connection *c)
{
	char chunk[KIB(64)];
	ssize_t n = recv(c->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 || (n > 0 && buf_append(&c->in, chunk, (size_t)n) < 0)) {
		connection_close(c);
		return;
	}
	c->eof = n == 0;
	connection_process(c);
	if (c->fd < 0 || !may_take_requests(c))
		return;
	if (c->in.size > CONNECTION_LINE_MAX && !c->discarding)
		line_too_long(c);
	if (c->discarding) {
		buf_consume(&c->in, c->in.size);
		c->scanned = 0;
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct api_connection *c = connection_ref(poll->data);

	if (status < 0)
		connection_close(c);
	if (c->fd >= 0 && (events & UV_WRITABLE)) {
		connection_flush(c);
		connection_process(c);
	}
	if (c->fd >= 0 && (events & UV_READABLE))
		connection_read(c);
	connection_update(c);
	connection_unref(c);
}

static struct api_connection *connection_of(struct api_caller *caller)
{
	return container_of(caller, struct api_connection, caller);
}

static void caller_send(struct api_caller *caller, json_object *message, int fd)
{
	connection_send(connection_of(caller), message, fd);
}

static void caller_subscribed(struct api_caller *caller)
{
	connection_of(caller)->subscribed = true;
}

static void caller_call_begin(struct api_caller *caller)
{
	connection_ref(connection_of(caller))->calls++;
}

/* There may be room for the next request. */
static void caller_call_done(struct api_caller *caller)
{
	struct api_connection *c = connection_of(caller);

	c->calls--;
	connection_process(c);
	connection_update(c);
	connection_unref(c);
}

static void caller_abort(struct api_caller *caller)
{
	connection_close(connection_of(caller));
}

static const struct api_caller_ops caller_ops = {
	.send = caller_send,
	.subscribed = caller_subscribed,
	.call_begin = caller_call_begin,
	.call_done = caller_call_done,
	.abort = caller_abort,
};

int connection_new(struct api_server *server, uv_loop_t *loop, int fd,
		   struct api_connection **list)
{
	struct api_connection *c = calloc(1, sizeof(*c));
	struct api_peer peer = {.fd = fd};
	int r = c ? uv_poll_init(loop, &c->poll, fd) : -ENOMEM;

	if (r < 0) {
		fd_close(fd);
		free(c);
		return r;
	}
	uv_timer_init(loop, &c->linger);
	c->poll.data = c->linger.data = c;
	c->open_handles = 2;
	c->refs = 1;
	c->caller.ops = &caller_ops;
	c->caller.server = server;
	c->caller.takes_fd = true;
	c->caller.who = &c->who;
	server_identify(server, &peer, &c->who);
	c->fd = fd;
	c->polled = -1;
	c->out_tail = &c->out;
	c->next = *list;
	c->link = list;
	if (c->next)
		c->next->link = &c->next;
	*list = c;
	connection_update(c);
	return 0;
}
