/*
 * Calls for those who came by another way than the server's sockets (D-Bus).
 */
#include "api/caller.h"
#include "api/connection.h"

#include "lib/base/fd.h"

struct outer {
	struct api_caller caller;
	struct api_identity who;
	struct outer *next, **link;
	api_outer_fn done; /* NULL once told */
	void *cookie;
};

/* `result` and fd are consumed. */
static void tell(struct outer *o, json_object *result, int fd,
		 const struct error *e)
{
	api_outer_fn done = TAKE_PTR(o->done);

	if (done) {
		done(o->cookie, result, fd, e);
		return;
	}
	json_object_put(result);
	fd_close(fd);
}

static void outer_answer(struct api_caller *c, json_object *result, int fd,
			 const struct error *e)
{
	tell(container_of(c, struct outer, caller), result, fd, e);
}

static void outer_nothing(struct api_caller *c)
{
}

static void outer_leave(struct outer *o)
{
	if (!o->link)
		return;
	*o->link = o->next;
	if (o->next)
		o->next->link = o->link;
	o->link = NULL;
}

static void outer_call_done(struct api_caller *c)
{
	struct outer *o = container_of(c, struct outer, caller);

	outer_leave(o);
	free(o);
}

static void outer_abort(struct api_caller *c)
{
	struct error e = ERROR_INIT;

	error_set(&e, -ENOMEM, "out of memory");
	outer_answer(c, NULL, -1, &e);
	outer_call_done(c);
}

static const struct api_caller_ops outer_ops = {
	.answer = outer_answer,
	.subscribed = outer_nothing,
	.call_begin = outer_nothing,
	.call_done = outer_call_done,
	.abort = outer_abort,
};

void outers_end(struct outer *list)
{
	struct error e = ERROR_INIT;
	struct outer *o;

	error_set(&e, -ECANCELED, "armvmd is stopping");
	while ((o = list)) {
		list = o->next;
		o->link = NULL;
		o->caller.server = NULL;
		tell(o, NULL, -1, &e);
	}
}

void api_call_outer(struct api_server *s, const struct api_identity *who,
		    enum api_method_id method, json_object *params,
		    api_outer_fn done, void *cookie)
{
	struct outer *o = calloc(1, sizeof(*o)), **list = server_outers(s);
	struct error e = ERROR_INIT;

	if (!o) {
		json_object_put(params);
		error_set(&e, -ENOMEM, "out of memory");
		done(cookie, NULL, -1, &e);
		return;
	}
	o->caller.ops = &outer_ops;
	o->caller.server = s;
	o->who = *who;
	o->caller.who = &o->who;
	o->caller.takes_fd = true;
	o->done = done;
	o->cookie = cookie;
	o->next = *list;
	o->link = list;
	if (o->next)
		o->next->link = &o->next;
	*list = o;
	caller_call(&o->caller, method, params, NULL);
}
