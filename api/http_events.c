/* Server-Sent Events (WHATWG HTML, section 9.2): `id` is the event's seq. */
#include "api/http.h"
#include "api/http_server.h"

#include "lib/base/fd.h"
#include "lib/base/parse.h"

static struct http_client *client_of(struct api_caller *caller)
{
	return container_of(caller, struct http_client, caller);
}

/* Told, and dropped once that is sent: it asks again with Last-Event-ID. */
static void drop(struct http_client *c)
{
	static const char lost[] = "event: lost\ndata: {}\n\n";

	c->ending = true;
	if (buf_append(&c->out, lost, sizeof(lost) - 1) < 0)
		http_abort(c);
}

static void add(struct http_client *c, json_object *event)
{
	json_object *seq = NULL;
	int64_t n = 0;

	if (json_object_object_get_ex(event, "seq", &seq))
		n = json_object_get_int64(seq);
	/* Seen in the replay already. */
	if (n > 0 && n <= c->last_event)
		return;
	if (!server_may_see(http_api(c->server), &c->who, event))
		return;
	if (c->out.size > CONNECTION_QUEUE_EVENTS ||
	    buf_printf(&c->out, "id: %lld\ndata: %s\n\n", (long long)n,
		       json_text(event)) < 0)
		drop(c);
	else
		c->last_event = MAX(c->last_event, n);
}

void http_events_notify(struct http_client *c, json_object *event)
{
	if (c->mode == HTTP_CONSOLE)
		http_console_notify(c, event);
	if (c->mode != HTTP_EVENTS || !c->wsi || !c->caught_up || c->ending)
		return;
	add(c, event);
	http_wake(c);
}

static void next_page(struct http_client *c)
{
	json_object *params = json_object_new_object();

	json_object_object_add(params, "since",
			       json_object_new_int64(c->last_event));
	caller_call(&c->caller, API_EVENT_SUBSCRIBE, params, NULL);
}

/*
 * One page of the past; the next one is asked for when this one is sent, so
 * that no more than a page waits in memory. Meanwhile what is new is not
 * taken: it will be in a page.
 */
static void answer(struct api_caller *caller, json_object *result, int fd,
		   const struct error *e)
{
	struct http_client *c = client_of(caller);
	json_object *events = NULL, *more = NULL, *last = NULL, *gap = NULL;

	fd_close(fd);
	if (!c->wsi) {
		json_object_put(result);
		return;
	}
	if (e && !c->status) {
		http_reply_error(c, error_code_http(e->code), e);
		return;
	}
	if (e) {
		drop(c);
		http_wake(c);
		return;
	}
	c->mode = HTTP_EVENTS;
	c->status = 200;
	c->type = "text/event-stream";
	json_object_object_get_ex(result, "events", &events);
	if (json_object_object_get_ex(result, "gap", &gap) &&
	    buf_printf(&c->out, "event: gap\ndata: %s\n\n", json_text(gap)) < 0)
		drop(c);
	for (size_t i = 0; i < json_object_array_length(events); i++)
		add(c, json_object_array_get_idx(events, i));
	if (json_object_object_get_ex(result, "last", &last))
		c->last_event = MAX(c->last_event, json_object_get_int64(last));
	json_object_object_get_ex(result, "more", &more);
	c->caught_up = !json_object_get_boolean(more);
	json_object_put(result);
	http_wake(c);
}

void http_events_more(struct http_client *c)
{
	if (!c->caught_up && c->calls == 0 && !c->ending)
		next_page(c);
}

/* ?since=N, or where the browser was when the connection broke. */
static int read_since(const struct http_request *r, int64_t *ret,
		      struct error *e)
{
	json_object *since = NULL;
	const char *text = r->last_event_id;
	uint64_t n;
	int err;

	if (!*text && json_object_object_get_ex(r->query, "since", &since))
		text = json_object_get_string(since);
	*ret = -1;
	if (!*text || streq(text, "-1"))
		return 0;
	err = parse_u64(text, *r->last_event_id ? "Last-Event-ID" : "since", 0,
			INT64_MAX, &n, e);
	if (err == 0)
		*ret = (int64_t)n;
	return err;
}

void http_events_begin(struct http_client *c)
{
	struct error e = ERROR_INIT;

	c->status = 0;
	c->head_sent = c->caught_up = c->ending = false;
	if (read_since(&c->request, &c->last_event, &e) < 0) {
		http_reply_error(c, 400, &e);
		return;
	}
	c->caller.ops = &http_events_ops;
	/* Its end is only seen by reading. */
	lws_rx_flow_control(c->wsi, 1);
	next_page(c);
}

const struct api_caller_ops http_events_ops = {
	.answer = answer,
	.subscribed = http_call_nothing,
	.call_begin = http_call_begin,
	.call_done = http_call_done,
	.abort = http_call_abort,
};
