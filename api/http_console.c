/*
 * A VM's console as a WebSocket (RFC 6455): binary messages are what the guest
 * prints and what is typed. A call that fails closes it with code 4000 + the
 * HTTP status of the error, and its message as the reason.
 */
#include "api/http.h"

#include <sys/socket.h>

#include "api/http_server.h"
#include "lib/base/fd.h"

#define INPUT_MAX KIB(4)

struct http_console {
	struct http_client *client;
	uv_poll_t poll;
	int fd;
	bool ended;	  /* the console closed its end */
	struct buf input; /* typed, not taken yet */
};

static struct http_client *client_of(struct api_caller *caller)
{
	return container_of(caller, struct http_client, caller);
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Output is read when the last is sent, input sent on when it is wanted. */
static void console_update(struct http_console *con)
{
	int events = 0;

	if (!con->ended && con->client->out.size == 0)
		events |= UV_READABLE;
	if (con->input.size > 0)
		events |= UV_WRITABLE;
	uv_poll_start(&con->poll, events, on_poll);
}

static void send_input(struct http_console *con)
{
	ssize_t n = send(con->fd, con->input.data, con->input.size,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0)
		buf_consume(&con->input, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		buf_consume(&con->input, con->input.size);
	lws_rx_flow_control(con->client->wsi, con->input.size == 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct http_console *con = poll->data;
	struct http_client *c = con->client;
	char chunk[KIB(4)];
	ssize_t n;

	if (events & UV_WRITABLE)
		send_input(con);
	if (status < 0 || (events & UV_READABLE)) {
		n = recv(con->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			con->ended = true;
		if (n > 0 && buf_append(&c->out, chunk, (size_t)n) < 0)
			con->ended = true;
		http_wake(c);
	}
	console_update(con);
}

static void on_closed(uv_handle_t *handle)
{
	struct http_console *con = handle->data;

	fd_close(con->fd);
	buf_done(&con->input);
	free(con);
}

void http_console_end(struct http_client *c)
{
	if (c->console)
		uv_close((uv_handle_t *)&c->console->poll, on_closed);
	c->console = NULL;
}

/* Consumes fd. */
static int console_open(struct http_client *c, int fd)
{
	struct http_console *con = calloc(1, sizeof(*con));
	uv_loop_t *loop = server_loop(http_api(c->server));
	int r = con ? fd_set_nonblock(fd) : -ENOMEM;

	if (r == 0)
		r = uv_poll_init(loop, &con->poll, fd);
	if (r < 0) {
		fd_close(fd);
		free(con);
		return r;
	}
	con->poll.data = con;
	con->client = c;
	con->fd = fd;
	c->console = con;
	console_update(con);
	return 0;
}

static void finish(struct http_client *c, unsigned code, const char *message)
{
	size_t size = MIN(strlen(message), HTTP_CLOSE_MAX);

	/* Not in the middle of a character. */
	while (size > 0 && size < strlen(message) &&
	       ((unsigned char)message[size] & 0xc0) == 0x80)
		size--;
	lws_close_reason(c->wsi, (enum lws_close_status)code,
			 (unsigned char *)message, size);
	c->ending = true;
	/* Of the ways to end a connection from anywhere, the one that still
	 * sends the close frame: all other timeouts (and what a callback for
	 * writing ends) are taken for a peer that is gone. */
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_HTTP_KEEPALIVE_IDLE,
			LWS_TO_KILL_ASYNC);
}

static unsigned close_code(enum error_code code)
{
	return 4000 + (unsigned)error_code_http(code);
}

static void answer(struct api_caller *caller, json_object *result, int fd,
		   const struct error *e)
{
	struct http_client *c = client_of(caller);

	json_object_put(result);
	if (!c->wsi)
		fd_close(fd);
	else if (e)
		finish(c, close_code(e->code), e->message);
	else if (console_open(c, fd) < 0)
		finish(c, close_code(ERROR_RESOURCE), "out of memory");
}

void http_console_begin(struct http_client *c)
{
	struct error e = ERROR_INIT;
	json_object *params = NULL;

	c->mode = HTTP_CONSOLE;
	c->ending = false;
	c->caller.ops = &http_console_ops;
	if (http_route_params(&c->request.match, c->request.query, NULL,
			      &params, &e) < 0)
		finish(c, close_code(e.code), e.message);
	else
		caller_call(&c->caller, c->request.match.method, params, NULL);
}

int http_console_receive(struct http_client *c, const void *data, size_t size)
{
	struct http_console *con = c->console;

	/* Typed before the console was there. */
	if (!con || c->ending)
		return 0;
	if (con->input.size + size > INPUT_MAX * 4 ||
	    buf_append(&con->input, data, size) < 0)
		return -1;
	send_input(con);
	console_update(con);
	return 0;
}

int http_console_write(struct http_client *c)
{
	unsigned char piece[LWS_PRE + KIB(4)];
	size_t n = MIN(c->out.size, KIB(4));

	if (n > 0) {
		memcpy(piece + LWS_PRE, c->out.data, n);
		if (lws_write(c->wsi, piece + LWS_PRE, n, LWS_WRITE_BINARY) < 0)
			return -1;
		buf_consume(&c->out, n);
		http_wake(c);
		return 0;
	}
	if (!c->ending && c->console && c->console->ended)
		finish(c, LWS_CLOSE_STATUS_NORMAL, "");
	if (c->console)
		console_update(c->console);
	return 0;
}

const struct api_caller_ops http_console_ops = {
	.answer = answer,
	.subscribed = http_call_nothing,
	.call_begin = http_call_begin,
	.call_done = http_call_done,
	.abort = http_call_abort,
};
