#include "daemon/rpc.h"
#include "lib/base/log.h"

#define REPLAY_MAX 1000

struct replay {
	json_object *list;
	int64_t last;
};

static int collect(void *cookie, const struct store_event *ev)
{
	struct replay *rp = cookie;
	json_object *o = NULL;
	struct error e = ERROR_INIT;

	if (json_parse(ev->text, strlen(ev->text), &o, &e) < 0)
		o = json_object_new_object();
	json_object_object_add(o, "seq", json_object_new_int64(ev->seq));
	json_object_object_add(o, "time_ms",
			       json_object_new_int64(ev->time_ms));
	json_object_object_add(o, "vm", json_object_new_string(ev->vm_uuid));
	json_object_object_add(o, "kind", json_object_new_string(ev->kind));
	json_object_array_add(rp->list, o);
	rp->last = ev->seq;
	return 0;
}

/*
 * The reply carries what happened since; everything later follows as
 * notifications. Nothing falls between: both happen in this one call.
 */
void rpc_event_subscribe(void *cookie, struct api_call *c)
{
	const struct api_subscribe_params *p = api_call_params(c);
	struct manager *m = cookie;
	struct replay rp = {.list = json_object_new_array(), .last = p->since};
	json_object *result;
	struct error e = ERROR_INIT;
	int r = 0;

	if (p->since >= 0)
		r = store_event_each(m->store, p->since, REPLAY_MAX, collect,
				     &rp, &e);
	if (r < 0) {
		json_object_put(rp.list);
		api_call_fail(c, &e);
		return;
	}
	result = json_object_new_object();
	/* A full page: ask again with since = last before relying on the
	 * notifications alone. */
	json_object_object_add(
		result, "more",
		json_object_new_boolean(json_object_array_length(rp.list) ==
					REPLAY_MAX));
	json_object_object_add(result, "last", json_object_new_int64(rp.last));
	json_object_object_add(result, "events", rp.list);
	api_call_subscribe(c);
	api_call_reply(c, result, -1);
}
