#include "daemon/rpc.h"
#include "lib/base/log.h"

#define REPLAY_MAX 1000

struct replay {
	const struct api_identity *who;
	json_object *list;
	int64_t last, read;
};

static int collect(void *cookie, const struct store_event *ev)
{
	struct replay *rp = cookie;
	json_object *o = NULL, *labels = NULL;
	struct error e = ERROR_INIT;

	rp->read++;
	if (json_parse(ev->text, strlen(ev->text), &o, &e) < 0)
		o = json_object_new_object();
	json_object_object_add(o, "seq", json_object_new_int64(ev->seq));
	json_object_object_add(o, "time_ms",
			       json_object_new_int64(ev->time_ms));
	json_object_object_add(o, "vm", json_object_new_string(ev->vm_uuid));
	json_object_object_add(o, "kind", json_object_new_string(ev->kind));
	rp->last = ev->seq;
	json_object_object_get_ex(o, "labels", &labels);
	if (access_covers(rp->who, labels))
		json_object_array_add(rp->list, o);
	else
		json_object_put(o);
	return 0;
}

/* What was trimmed before it could be replayed is named, never skipped over. */
static int add_gap(struct manager *m, int64_t since, json_object *result,
		   int64_t *ret_newest, struct error *e)
{
	int64_t first = 0, from = since + 1, to;
	json_object *gap;
	int r = store_event_range(m->store, &first, ret_newest, e);

	if (r < 0)
		return r;
	to = first ? first - 1 : *ret_newest;
	/* Numbers nobody has had: the database is not the one it was. */
	if (since > *ret_newest) {
		from = *ret_newest + 1;
		to = since;
	}
	if (since < 0 || to < from)
		return 0;
	gap = json_object_new_object();
	json_object_object_add(gap, "from", json_object_new_int64(from));
	json_object_object_add(gap, "to", json_object_new_int64(to));
	json_object_object_add(result, "gap", gap);
	return 0;
}

/*
 * The reply carries what happened since; everything later follows as
 * notifications. Nothing falls between, and nothing comes twice: the last page
 * and the subscription are one step.
 */
void rpc_event_subscribe(void *cookie, struct api_call *c)
{
	const struct api_subscribe_params *p = api_call_params(c);
	struct manager *m = cookie;
	struct replay rp = {.who = api_call_who(c),
			    .list = json_object_new_array(),
			    .last = p->since};
	json_object *result = json_object_new_object();
	struct error e = ERROR_INIT;
	int64_t newest = 0;
	bool more;
	int r = add_gap(m, p->since, result, &newest, &e);

	if (r == 0 && p->since >= 0)
		r = store_event_each(m->store, p->since, REPLAY_MAX, collect,
				     &rp, &e);
	more = rp.read == REPLAY_MAX && rp.last < newest;
	if (p->since < 0 || p->since > newest)
		rp.last = newest;
	json_object_object_add(result, "more", json_object_new_boolean(more));
	json_object_object_add(result, "last", json_object_new_int64(rp.last));
	json_object_object_add(result, "events", rp.list);
	if (r < 0) {
		json_object_put(result);
		api_call_fail(c, &e);
		return;
	}
	if (!more)
		api_call_subscribe(c);
	api_call_reply(c, result, -1);
}
