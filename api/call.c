#include "api/caller.h"
#include "api/connection.h"

#include "lib/base/fd.h"

/* The replies of a batch go out together (JSON-RPC 2.0, section 6). */
struct batch {
	json_object *replies;
	unsigned pending; /* calls, and one while the batch is being read */
	bool subscribe;
};

struct api_call {
	struct api_caller *caller; /* kept by call_begin() */
	enum api_method_id method;
	void *params;
	json_object *given; /* what params were decoded from */
	struct api_options options;
	bool has_options;
	json_object *id;
	bool notification;
	bool subscribe;
	bool direct;	   /* made by caller_call(): no envelope */
	bool has_revision; /* of the VM it names, to be compared */
	int64_t revision;
	struct batch *batch; /* NULL: a request on its own */
};

static void batch_unref(struct api_caller *c, struct batch *b)
{
	if (--b->pending > 0)
		return;
	if (json_object_array_length(b->replies) > 0)
		c->ops->send(c, json_object_get(b->replies), -1);
	if (b->subscribe)
		c->ops->subscribed(c);
	json_object_put(b->replies);
	free(b);
}

/* `message` is consumed. */
static void deliver(struct api_caller *c, struct batch *b, json_object *message,
		    int fd)
{
	if (!b) {
		c->ops->send(c, message, fd);
		return;
	}
	fd_close(fd);
	json_object_array_add(b->replies, message);
}

/* The answer has been given. */
static void call_end(struct api_call *call)
{
	struct api_caller *c = call->caller;

	if (call->batch) {
		call->batch->subscribe |= call->subscribe;
		batch_unref(c, call->batch);
	} else if (call->subscribe) {
		c->ops->subscribed(c);
	}
	if (call->params)
		json_release(api_methods[call->method].params, call->params);
	free(call->params);
	free(call->options.idempotency_key);
	json_object_put(call->given);
	json_object_put(call->id);
	free(call);
	c->ops->call_done(c);
}

const void *api_call_params(const struct api_call *c)
{
	return c->params;
}

/* The VM a call names: its parameter "name", or the name in a definition. */
static const char *call_vm(const struct api_call *c)
{
	const struct json_field *f = api_methods[c->method].params;
	json_object *config, *name = NULL;

	for (; c->params && f->name; f++) {
		char *at = (char *)c->params + f->offset;

		if (f->kind == JSON_STRING && streq(f->name, "name"))
			return *(char **)at;
		if (f->kind != JSON_ANY || !streq(f->name, "config"))
			continue;
		config = *(json_object **)at;
		if (json_object_is_type(config, json_type_object) &&
		    json_object_object_get_ex(config, "name", &name))
			return json_object_get_string(name);
	}
	return NULL;
}

/* Viewing changes nothing; nor does reading a log, which is asked for again and
 * again, but who may not do so is told. */
static void call_audit(const struct api_call *c, const struct error *why)
{
	const struct api_server *s = c->caller->server;
	const struct api_handlers *h = s ? server_handlers(s) : NULL;

	if (c->method == API_VM_LOG && !why)
		return;
	if (h && h->audit && c->method < API_METHOD_COUNT &&
	    api_methods[c->method].role > API_ROLE_VIEWER)
		h->audit(h->cookie, c->caller->who, api_methods[c->method].name,
			 call_vm(c), why);
}

void call_release(struct api_call *c, json_object *result, int fd,
		  const struct error *e)
{
	struct api_caller *caller = c->caller;

	call_audit(c, e);
	if (e) {
		json_object_put(result);
		fd_close(fd);
		result = NULL;
		fd = -1;
		c->subscribe = false;
	}
	if (c->direct) {
		caller->ops->answer(caller, result, fd, e);
	} else if (c->notification) {
		json_object_put(result);
		fd_close(fd);
	} else {
		deliver(caller, c->batch,
			e ? jsonrpc_error(c->id, e)
			  : jsonrpc_result(c->id, result),
			fd);
	}
	call_end(c);
}

static void call_answer(struct api_call *c, json_object *result, int fd,
			const struct error *e)
{
	struct api_server *s = c->caller->server;

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

const struct api_options *api_call_options(const struct api_call *c)
{
	return c->has_options ? &c->options : NULL;
}

enum api_method_id api_call_method(const struct api_call *c)
{
	return c->method;
}

json_object *api_call_given(const struct api_call *c)
{
	return c->given;
}

const struct api_identity *api_call_who(const struct api_call *c)
{
	return c->caller->who;
}

static int check_fd(const struct api_call *call,
		    const struct api_method *method, struct error *e)
{
	if (!method->returns_fd)
		return 0;
	if (!call->caller->takes_fd)
		return error_set_code(e, ERROR_NOT_SUPPORTED,
				      "%s answers with a descriptor, which "
				      "only the Unix socket armvmd.sock can "
				      "carry; over HTTP it is a WebSocket",
				      method->name);
	if (call->batch || call->notification)
		return error_set(e, -EINVAL,
				 "%s answers with a descriptor, so it must be "
				 "a request of its own, with an id",
				 method->name);
	return 0;
}

static int decode_params(struct api_call *call, json_object *params,
			 struct error *e)
{
	const struct api_method *method = &api_methods[call->method];
	int r;

	r = call_take_options(params, &call->options, &call->has_options, e);
	if (r < 0)
		return r;
	call->given = json_object_get(params);
	call->params = calloc(1, method->params_size);
	if (!call->params)
		return error_set(e, -ENOMEM, "out of memory");
	return json_decode(params, method->params, call->params, "", e);
}

/* For those who may see some VMs only: a method of one VM is judged by the VM,
 * these judge for themselves, all others are denied. */
static int check_labels(const struct api_call *call, struct error *e)
{
	const struct api_handlers *h = server_handlers(call->caller->server);
	const char *vm = call_vm(call);

	switch (call->method) {
	case API_HOST_INFO:
	case API_VM_LIST:
	case API_STATS_LIST:
	case API_HOST_METRICS:
	case API_EVENT_SUBSCRIBE:
	case API_RPC_DISCOVER:
		return 0;
	default:
		break;
	}
	if (!vm || !h->check_vm)
		return error_set(e, -EACCES,
				 "%s may use VMs with certain labels only, and "
				 "%s is not about one VM",
				 call->caller->who->name,
				 api_methods[call->method].name);
	return h->check_vm(h->cookie, call->caller->who, vm, e);
}

static int check_role(const struct api_call *call, struct error *e)
{
	const struct api_identity *who = call->caller->who;
	int r;

	if (call->caller->handlers)
		return 0;
	r = api_identity_check(who, api_methods[call->method].role, e);
	return r == 0 && who->labels ? check_labels(call, e) : r;
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
	r = check_fd(call, method, e);
	if (r == 0)
		r = jsonrpc_params(request, method->params, &params, e);
	if (r == 0)
		r = decode_params(call, params, e);
	return r == 0 ? check_role(call, e) : r;
}

static int check_revision(const struct api_call *call, struct error *e)
{
	const char *vm = call_vm(call);
	const struct api_handlers *h;

	if (!call->has_revision || !vm)
		return 0;
	h = server_handlers(call->caller->server);
	return h->check_revision
		       ? h->check_revision(h->cookie, vm, call->revision, e)
		       : 0;
}

static void call_handle(struct api_call *call)
{
	const struct api_handlers *handlers = call->caller->handlers;
	struct error e = ERROR_INIT;

	if (!handlers)
		handlers = server_handlers(call->caller->server);
	if (call->has_options && handlers->job) {
		handlers->job(handlers->cookie, call);
	} else if (handlers->handle[call->method]) {
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

static void call_run(struct api_call *call)
{
	struct error e = ERROR_INIT;

	/* With handlers of its own it is a part of a call that runs. */
	if (!call->caller->handlers && server_park(call->caller->server, call))
		return;
	if (check_revision(call, &e) < 0)
		api_call_fail(call, &e);
	else
		call_handle(call);
}

void call_resume(struct api_call *call)
{
	struct error e = ERROR_INIT;

	if (check_role(call, &e) < 0 || check_revision(call, &e) < 0)
		api_call_fail(call, &e);
	else
		call_handle(call);
}

static struct api_call *call_new(struct api_caller *c)
{
	struct api_call *call = calloc(1, sizeof(*call));

	if (!call) {
		c->ops->abort(c);
		return NULL;
	}
	call->caller = c;
	c->ops->call_begin(c);
	return call;
}

static void call_request(struct api_caller *c, struct batch *b,
			 json_object *value)
{
	struct error e = ERROR_INIT;
	struct jsonrpc_request request;
	struct api_call *call;

	if (jsonrpc_request_read(value, &request, &e) < 0) {
		deliver(c, b, jsonrpc_error(request.id, &e), -1);
		return;
	}
	call = call_new(c);
	if (!call)
		return;
	call->id = json_object_get(request.id);
	call->notification = request.notification;
	call->batch = b;
	if (b)
		b->pending++;
	if (call_prepare(call, &request, &e) < 0)
		api_call_fail(call, &e);
	else
		call_run(call);
}

static void call_batch(struct api_caller *c, json_object *array)
{
	size_t count = json_object_array_length(array);
	struct error e = ERROR_INIT;
	struct batch *b;

	if (count == 0 || count > CALLER_BATCH_MAX) {
		error_set_code(&e, ERROR_BAD_REQUEST,
			       "a batch holds 1 to %d requests, not %zu",
			       CALLER_BATCH_MAX, count);
		c->ops->send(c, jsonrpc_error(NULL, &e), -1);
		return;
	}
	b = calloc(1, sizeof(*b));
	if (b)
		b->replies = json_object_new_array();
	if (!b || !b->replies) {
		free(b);
		c->ops->abort(c);
		return;
	}
	b->pending = 1;
	for (size_t i = 0; i < count && !c->gone; i++)
		call_request(c, b, json_object_array_get_idx(array, i));
	batch_unref(c, b);
}

void caller_message(struct api_caller *c, const char *text, size_t size)
{
	_cleanup_json_ json_object *message = NULL;
	struct error e = ERROR_INIT;

	if (json_parse(text, size, &message, &e) < 0) {
		/* Its reason, but always this code: -32700. */
		e.code = ERROR_PARSE;
		c->ops->send(c, jsonrpc_error(NULL, &e), -1);
	} else if (json_object_is_type(message, json_type_array)) {
		call_batch(c, message);
	} else {
		call_request(c, NULL, message);
	}
}

void caller_call(struct api_caller *c, enum api_method_id method,
		 json_object *params, struct api_call **ret_call)
{
	struct api_call *call = call_new(c);
	struct error e = ERROR_INIT;

	if (ret_call)
		*ret_call = call;
	if (call) {
		call->direct = true;
		call->method = method;
		call->has_revision = c->has_revision;
		call->revision = c->revision;
		c->has_revision = false;
		if (decode_params(call, params, &e) < 0 ||
		    check_role(call, &e) < 0)
			api_call_fail(call, &e);
		else
			call_run(call);
	}
	json_object_put(params);
}
