/*
 * The daemon as a caller of its own methods.
 */
#include "api/caller.h"

#include "lib/base/fd.h"

struct inner {
	struct api_caller caller;
	api_inner_fn done;
	void *cookie;
};

static void inner_answer(struct api_caller *c, json_object *result, int fd,
			 const struct error *e)
{
	struct inner *in = container_of(c, struct inner, caller);

	fd_close(fd);
	in->done(in->cookie, result, e);
}

static void inner_nothing(struct api_caller *c)
{
}

static void inner_call_done(struct api_caller *c)
{
	free(container_of(c, struct inner, caller));
}

static void inner_abort(struct api_caller *c)
{
	struct error e = ERROR_INIT;

	error_set(&e, -ENOMEM, "out of memory");
	inner_answer(c, NULL, -1, &e);
	inner_call_done(c);
}

static const struct api_caller_ops inner_ops = {
	.answer = inner_answer,
	.subscribed = inner_nothing,
	.call_begin = inner_nothing,
	.call_done = inner_call_done,
	.abort = inner_abort,
};

void api_call_inner(const struct api_handlers *handlers,
		    enum api_method_id method, json_object *params,
		    api_inner_fn done, void *cookie, struct api_call **ret_call)
{
	static const struct api_identity self = {.role = API_ROLE_ADMIN,
						 .name = "armvmd"};
	struct inner *in = calloc(1, sizeof(*in));
	struct error e = ERROR_INIT;

	if (!in) {
		json_object_put(params);
		error_set(&e, -ENOMEM, "out of memory");
		done(cookie, NULL, &e);
		return;
	}
	in->caller.ops = &inner_ops;
	in->caller.who = &self;
	in->caller.handlers = handlers;
	in->done = done;
	in->cookie = cookie;
	caller_call(&in->caller, method, params, ret_call);
}
