/*
 * A VM's console as a WebSocket (RFC 6455): binary messages are what the guest
 * prints and what is typed. Text messages from us say who types: first what
 * vm.console answers, then { session, writer, writes } whenever that is
 * another. A call that fails closes it with code 4000 + the
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
	int fd;		   /* -1: not there yet */
	bool ended;	   /* the console closed its end */
	struct buf input;  /* typed, not taken yet */
	json_object *seat; /* as vm.console answered */
	json_object *told; /* the next text message; NULL: none */
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

static void console_free(struct http_console *con)
{
	fd_close(con->fd);
	buf_done(&con->input);
	json_object_put(con->seat);
	json_object_put(con->told);
	free(con);
}

static void on_closed(uv_handle_t *handle)
{
	console_free(handle->data);
}

void http_console_end(struct http_client *c)
{
	struct http_console *con = TAKE_PTR(c->console);

	if (con && con->fd >= 0)
		uv_close((uv_handle_t *)&con->poll, on_closed);
	else if (con)
		console_free(con);
}

/* Consumes fd; borrows seat. */
static int console_open(struct http_client *c, json_object *seat, int fd)
{
	struct http_console *con = c->console;
	uv_loop_t *loop = server_loop(http_api(c->server));
	int r = fd_set_nonblock(fd);

	if (r == 0)
		r = uv_poll_init(loop, &con->poll, fd);
	if (r < 0) {
		fd_close(fd);
		return r;
	}
	con->poll.data = con;
	con->fd = fd;
	con->seat = json_object_get(seat);
	con->told = json_object_get(seat);
	/* Typed while the console was not there yet. */
	if (con->input.size > 0)
		send_input(con);
	console_update(con);
	http_wake(c);
	return 0;
}

static bool same(json_object *a, json_object *b, const char *key)
{
	json_object *x = NULL, *y = NULL;

	return json_object_object_get_ex(a, key, &x) &&
	       json_object_object_get_ex(b, key, &y) && json_object_equal(x, y);
}

static void copy(json_object *to, json_object *from, const char *key)
{
	json_object *value = NULL;

	if (json_object_object_get_ex(from, key, &value))
		json_object_object_add(to, key, json_object_get(value));
}

void http_console_notify(struct http_client *c, json_object *event)
{
	struct http_console *con = c->console;
	json_object *kind = NULL;

	if (!con || !con->seat || c->ending ||
	    !json_object_object_get_ex(event, "kind", &kind) ||
	    !streq(json_object_get_string(kind), "console") ||
	    !same(event, con->seat, "vm") || !same(event, con->seat, "device"))
		return;
	/* Only the newest counts. */
	json_object_put(con->told);
	con->told = json_object_new_object();
	copy(con->told, event, "session");
	copy(con->told, event, "writer");
	json_object_object_add(
		con->told, "writes",
		json_object_new_boolean(same(event, con->seat, "session")));
	http_wake(c);
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

	if (!c->wsi || !c->console)
		fd_close(fd);
	else if (e)
		finish(c, close_code(e->code), e->message);
	else if (console_open(c, result, fd) < 0)
		finish(c, close_code(ERROR_RESOURCE), "out of memory");
	json_object_put(result);
}

void http_console_begin(struct http_client *c)
{
	struct error e = ERROR_INIT;
	json_object *params = NULL;

	c->mode = HTTP_CONSOLE;
	c->ending = false;
	c->caller.ops = &http_console_ops;
	c->console = calloc(1, sizeof(*c->console));
	if (!c->console) {
		finish(c, close_code(ERROR_RESOURCE), "out of memory");
		return;
	}
	c->console->client = c;
	c->console->fd = -1;
	if (http_route_params(&c->request.match, c->request.query, NULL,
			      &params, &e) < 0)
		finish(c, close_code(e.code), e.message);
	else
		caller_call(&c->caller, c->request.match.method, params, NULL);
}

int http_console_receive(struct http_client *c, const void *data, size_t size)
{
	struct http_console *con = c->console;

	if (!con || c->ending)
		return 0;
	if (con->input.size + size > INPUT_MAX * 4 ||
	    buf_append(&con->input, data, size) < 0)
		return -1;
	if (con->fd < 0)
		return 0;
	send_input(con);
	console_update(con);
	return 0;
}

/* One message; its pieces are not divided. */
static int write_told(struct http_client *c)
{
	_cleanup_json_ json_object *told = TAKE_PTR(c->console->told);
	const char *text = json_text(told);
	size_t size = strlen(text);
	_cleanup_free_ unsigned char *piece = malloc(LWS_PRE + size);

	if (!piece)
		return -1;
	memcpy(piece + LWS_PRE, text, size);
	if (lws_write(c->wsi, piece + LWS_PRE, size, LWS_WRITE_TEXT) < 0)
		return -1;
	http_wake(c);
	return 0;
}

int http_console_write(struct http_client *c)
{
	unsigned char piece[LWS_PRE + KIB(4)];
	size_t n = MIN(c->out.size, KIB(4));

	if (c->console && c->console->told)
		return write_told(c);
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
	if (c->console && c->console->fd >= 0)
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
