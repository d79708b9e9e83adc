#include "api/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "api/jsonrpc.h"
#include "lib/base/buf.h"
#include "lib/base/fd.h"

/* No honest reply comes near. */
#define LINE_MAX_BYTES MIB(64)

struct api_client {
	char *path;
	int sock;
	int64_t last_id;
	struct buf in;
	size_t scanned; /* bytes of `in` known to hold no newline */
	int fd;		/* came with the reply being received; -1 if none */
	json_object *replies, *events; /* arrays: what nobody asked for yet */
};

static int connect_error(int err, const char *path, struct error *e)
{
	if (err == ENOENT || err == ECONNREFUSED || err == ENOTDIR)
		return error_set_code(
			e, ERROR_NO_DAEMON,
			"armvmd is not running (no answer on %s); start it "
			"with: systemctl start armvmd, or: armvmd",
			path);
	if (err == EACCES || err == EPERM)
		return error_set(
			e, -err,
			"you may not use %s; run this as root, or as a "
			"member of the group armvm-admin",
			path);
	return error_set(e, -err, "%s cannot be used as armvmd's socket: %s",
			 path, strerror(err));
}

static int connect_to(const char *path, int *ret, struct error *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int sock = -1;

	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set(e, -EINVAL,
				 "the socket path %s is too long: at most %zu "
				 "characters",
				 path, sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0 ||
	    connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return connect_error(errno, path, e);
	*ret = TAKE_FD(sock);
	return 0;
}

struct api_client *api_client_close(struct api_client *c)
{
	if (!c)
		return NULL;
	fd_close(c->sock);
	fd_close(c->fd);
	buf_done(&c->in);
	json_object_put(c->replies);
	json_object_put(c->events);
	free(c->path);
	free(c);
	return NULL;
}

int api_client_open(const char *path, struct api_client **ret, struct error *e)
{
	_cleanup_(api_client_closep) struct api_client *c = calloc(1,
								   sizeof(*c));
	int r;

	if (!c)
		return error_set(e, -ENOMEM, "out of memory");
	c->sock = c->fd = -1;
	c->path = strdup(path);
	c->replies = json_object_new_array();
	c->events = json_object_new_array();
	if (!c->path || !c->replies || !c->events)
		return error_set(e, -ENOMEM, "out of memory");
	r = connect_to(path, &c->sock, e);
	if (r == 0)
		*ret = TAKE_PTR(c);
	return r;
}

static int gone(const struct api_client *c, struct error *e)
{
	return error_set_code(e, ERROR_NO_DAEMON,
			      "armvmd at %s closed the connection (it was "
			      "stopped or restarted); see how far it came "
			      "with: armvmctl list",
			      c->path);
}

static int bad_reply(const struct api_client *c, struct error *e)
{
	return error_set_code(e, ERROR_INTERNAL,
			      "what answers on %s does not speak JSON-RPC 2.0",
			      c->path);
}

static int send_all(int sock, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = fd_send(sock, text, size, NULL, 0);

		if (n < 0)
			return (int)n;
		text += n;
		size -= (size_t)n;
	}
	return 0;
}

int api_client_send(struct api_client *c, const char *method,
		    json_object *params, int64_t *ret_id, struct error *e)
{
	_cleanup_json_ json_object *call = jsonrpc_call(++c->last_id, method,
							params);
	const char *text = call ? json_text(call) : NULL;

	if (!text)
		return error_set(e, -ENOMEM, "out of memory");
	if (send_all(c->sock, text, strlen(text)) < 0 ||
	    send_all(c->sock, "\n", 1) < 0)
		return gone(c, e);
	*ret_id = c->last_id;
	return 0;
}

/* One line from the daemon, sorted to where it is waited for. */
static int take_line(struct api_client *c, const char *line, size_t size,
		     struct error *e)
{
	_cleanup_json_ json_object *message = NULL;
	json_object *value = NULL;

	if (json_parse(line, size, &message, NULL) < 0 ||
	    !json_object_is_type(message, json_type_object))
		return bad_reply(c, e);
	if (!json_object_object_get_ex(message, "method", &value)) {
		json_object_array_add(c->replies, TAKE_PTR(message));
		return 0;
	}
	if (!json_object_is_type(value, json_type_string))
		return bad_reply(c, e);
	if (streq(json_object_get_string(value), "event.lost"))
		return error_set_code(e, ERROR_RESOURCE,
				      "events came faster than they were read, "
				      "so armvmd ended the subscription; go on "
				      "with --since and the last number seen");
	if (streq(json_object_get_string(value), "event") &&
	    json_object_object_get_ex(message, "params", &value))
		json_object_array_add(c->events, json_object_get(value));
	return 0;
}

static int take_lines(struct api_client *c, struct error *e)
{
	size_t start = 0;
	int r = 0;

	while (r == 0) {
		char *from = c->in.data + c->scanned;
		char *end = memchr(from, '\n', c->in.size - c->scanned);

		if (!end)
			break;
		c->scanned = (size_t)(end - c->in.data) + 1;
		r = take_line(c, c->in.data + start, c->scanned - 1 - start, e);
		start = c->scanned;
	}
	buf_consume(&c->in, start);
	c->scanned = c->in.size;
	if (r == 0 && c->in.size > LINE_MAX_BYTES)
		r = bad_reply(c, e);
	return r;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Read once, waiting until `deadline` (now_ms(), or < 0: for ever). */
static int receive(struct api_client *c, int64_t deadline, struct error *e)
{
	struct pollfd p = {.fd = c->sock, .events = POLLIN};
	int64_t left = deadline < 0 ? -1 : MAX(deadline - now_ms(), 0);
	int fds[FD_PASS_MAX];
	char chunk[KIB(64)];
	size_t n_fds = 0;
	ssize_t n;
	int r = poll(&p, 1, (int)left);

	if (r == 0 || (r < 0 && errno == EINTR))
		return r == 0 ? -EAGAIN : 0;
	n = fd_recv(c->sock, chunk, sizeof(chunk), fds, &n_fds);
	if (n <= 0)
		return gone(c, e);
	if (n_fds > 0) {
		fd_close(c->fd);
		c->fd = TAKE_FD(fds[0]);
		fd_close_many(fds + 1, n_fds - 1);
	}
	if (buf_append(&c->in, chunk, (size_t)n) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	return take_lines(c, e);
}

/* An error with id null says that the daemon could not read our request. */
static bool reply_is_for(json_object *reply, int64_t id)
{
	json_object *value = NULL;

	if (!json_object_object_get_ex(reply, "id", &value))
		return false;
	return !value || (json_object_is_type(value, json_type_int) &&
			  json_object_get_int64(value) == id);
}

/* A new reference to the reply to `id`, no longer kept; NULL if none yet. */
static json_object *find_reply(struct api_client *c, int64_t id)
{
	size_t n = json_object_array_length(c->replies);

	for (size_t i = 0; i < n; i++) {
		json_object *reply = json_object_array_get_idx(c->replies, i);

		if (!reply_is_for(reply, id))
			continue;
		json_object_get(reply);
		json_object_array_del_idx(c->replies, i, 1);
		return reply;
	}
	return NULL;
}

int api_client_wait(struct api_client *c, int64_t id, int timeout_ms,
		    json_object **ret_result, int *ret_fd, struct error *e)
{
	int64_t deadline = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
	_cleanup_json_ json_object *reply = NULL;
	_cleanup_close_ int fd = -1;
	json_object *value = NULL;
	int r;

	while (!(reply = find_reply(c, id))) {
		r = receive(c, deadline, e);
		if (r < 0)
			return r;
	}
	fd = TAKE_FD(c->fd);
	if (json_object_object_get_ex(reply, "error", &value))
		return jsonrpc_error_read(value, e);
	if (!json_object_object_get_ex(reply, "result", &value))
		return bad_reply(c, e);
	*ret_result = json_object_get(value);
	if (ret_fd)
		*ret_fd = TAKE_FD(fd);
	return 0;
}

int api_client_call(struct api_client *c, const char *method,
		    json_object *params, json_object **ret_result, int *ret_fd,
		    struct error *e)
{
	int64_t id;
	int r = api_client_send(c, method, params, &id, e);

	return r < 0 ? r : api_client_wait(c, id, -1, ret_result, ret_fd, e);
}

int api_client_event(struct api_client *c, int timeout_ms,
		     json_object **ret_event, struct error *e)
{
	int64_t deadline = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
	int r;

	while (json_object_array_length(c->events) == 0) {
		r = receive(c, deadline, e);
		if (r < 0)
			return r;
	}
	*ret_event = json_object_get(json_object_array_get_idx(c->events, 0));
	json_object_array_del_idx(c->events, 0, 1);
	return 0;
}

int api_client_fd(const struct api_client *c)
{
	return c->sock;
}
