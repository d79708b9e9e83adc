#include "api/connection.h"

#include "lib/base/fd.h"

/* The replies of a batch go out together (JSON-RPC 2.0, section 6). */
struct batch {
	json_object *replies;
	unsigned pending; /* calls, and one while the batch is being read */
	bool subscribe;
};

struct api_call {
	struct api_connection *connection; /* one reference */
	enum api_method_id method;
	void *params;
	json_object *id;
	bool notification;
	bool subscribe;
	struct batch *batch; /* NULL: a request on its own */
};

static void batch_unref(struct api_connection *c, struct batch *b)
{
	if (--b->pending > 0)
		return;
	if (json_object_array_length(b->replies) > 0)
		connection_send(c, json_object_get(b->replies), -1);
	c->subscribed |= b->subscribe;
	json_object_put(b->replies);
	free(b);
}

/* `message` is consumed. */
static void deliver(struct api_connection *c, struct batch *b,
		    json_object *message, int fd)
{
	if (!b) {
		connection_send(c, message, fd);
		return;
	}
	fd_close(fd);
	json_object_array_add(b->replies, message);
}

/* `message` is consumed. */
static void call_end(struct api_call *call, json_object *message, int fd)
{
	struct api_connection *c = call->connection;

	if (call->notification) {
		json_object_put(message);
		fd_close(fd);
	} else {
		deliver(c, call->batch, message, fd);
	}
	if (call->batch) {
		call->batch->subscribe |= call->subscribe;
		batch_unref(c, call->batch);
	} else {
		c->subscribed |= call->subscribe;
	}
	if (call->params)
		json_release(api_methods[call->method].params, call->params);
	free(call->params);
	json_object_put(call->id);
	free(call);
	connection_call_done(c);
}

const void *api_call_params(const struct api_call *c)
{
	return c->params;
}

void call_release(struct api_call *c, json_object *result, int fd,
		  const struct error *e)
{
	if (!e) {
		call_end(c, jsonrpc_result(c->id, result), fd);
		return;
	}
	json_object_put(result);
	fd_close(fd);
	c->subscribe = false;
	call_end(c, jsonrpc_error(c->id, e), -1);
}

static void call_answer(struct api_call *c, json_object *result, int fd,
			const struct error *e)
{
	struct api_server *s = c->connection->server;

	if (s && server_held(s))
		server_hold(s, c, result, fd, e);
	else
		call_release(c, result, fd, e);
}

void api_call_reply(struct api_call *c, json_object *result, int fd)
{
	call_answer(c, result, fd, NULL);
}

void api_call_fail(struct api_call *c, const struct error *e)
{
	call_answer(c, NULL, -1, e);
}

void api_call_subscribe(struct api_call *c)
{
	c->subscribe = true;
}

/* Everything that can be judged before a handler sees the call. */
static int call_prepare(struct api_call *call,
			const struct jsonrpc_request *request, struct error *e)
{
	_cleanup_json_ json_object *params = NULL;
	const struct api_method *method;
	int r;

	call->method = api_method_by_name(request->method, e);
	if (call->method == API_METHOD_COUNT)
		return -ENOSYS;
	method = &api_methods[call->method];
	if (method->returns_fd && (call->batch || call->notification))
		return error_set(e, -EINVAL,
				 "%s answers with a descriptor, so it must be "
				 "a request of its own, with an id",
				 method->name);
	call->params = calloc(1, method->params_size);
	if (!call->params)
		return error_set(e, -ENOMEM, "out of memory");
	r = jsonrpc_params(request, method->params, &params, e);
	if (r == 0)
		r = json_decode(params, method->params, call->params, "", e);
	return r;
}

static void call_run(struct api_call *call)
{
	const struct api_server *s = call->connection->server;
	const struct api_handlers *handlers = server_handlers(s);
	struct error e = ERROR_INIT;

	if (handlers->handle[call->method]) {
		handlers->handle[call->method](handlers->cookie, call);
	} else if (call->method == API_RPC_DISCOVER) {
		api_call_reply(call, api_discover(), -1);
	} else {
		error_set_code(&e, ERROR_NOT_SUPPORTED,
			       "%s is not available here",
			       api_methods[call->method].name);
		api_call_fail(call, &e);
	}
}

static void call_request(struct api_connection *c, struct batch *b,
			 json_object *value)
{
	struct error e = ERROR_INIT;
	struct jsonrpc_request request;
	struct api_call *call;

	if (jsonrpc_request_read(value, &request, &e) < 0) {
		deliver(c, b, jsonrpc_error(request.id, &e), -1);
		return;
	}
	call = calloc(1, sizeof(*call));
	if (!call) {
		connection_close(c);
		return;
	}
	call->connection = connection_ref(c);
	call->id = json_object_get(request.id);
	call->notification = request.notification;
	call->batch = b;
	if (b)
		b->pending++;
	c->calls++;
	if (call_prepare(call, &request, &e) < 0)
		api_call_fail(call, &e);
	else
		call_run(call);
}

static void call_batch(struct api_connection *c, json_object *array)
{
	size_t count = json_object_array_length(array);
	struct error e = ERROR_INIT;
	struct batch *b;

	if (count == 0 || count > CONNECTION_BATCH_MAX) {
		error_set_code(&e, ERROR_BAD_REQUEST,
			       "a batch holds 1 to %d requests, not %zu",
			       CONNECTION_BATCH_MAX, count);
		connection_send(c, jsonrpc_error(NULL, &e), -1);
		return;
	}
	b = calloc(1, sizeof(*b));
	if (b)
		b->replies = json_object_new_array();
	if (!b || !b->replies) {
		free(b);
		connection_close(c);
		return;
	}
	b->pending = 1;
	for (size_t i = 0; i < count && c->fd >= 0; i++)
		call_request(c, b, json_object_array_get_idx(array, i));
	batch_unref(c, b);
}

void call_message(struct api_connection *c, const char *text, size_t size)
{
	_cleanup_json_ json_object *message = NULL;
	struct error e = ERROR_INIT;

	if (json_parse(text, size, &message, &e) < 0) {
		/* Its reason, but always this code: -32700. */
		e.code = ERROR_PARSE;
		connection_send(c, jsonrpc_error(NULL, &e), -1);
	} else if (json_object_is_type(message, json_type_array)) {
		call_batch(c, message);
	} else {
		call_request(c, NULL, message);
	}
}
