#include "api/http.h"

#include <stdio.h>

#include "api/http_server.h"
#include "api/jsonrpc.h"
#include "lib/base/fd.h"

void http_reply_json(struct http_client *c, int status, json_object *o)
{
	_cleanup_buf_ struct buf text = {0};

	if (!o || buf_printf(&text, "%s\n", json_text(o)) < 0) {
		http_abort(c);
		return;
	}
	http_reply(c, status, "application/json", text.data, text.size);
}

void http_reply_error(struct http_client *c, int status, const struct error *e)
{
	_cleanup_json_ json_object *envelope = jsonrpc_error(NULL, e);
	_cleanup_json_ json_object *o = json_object_new_object();
	json_object *error = NULL, *data = NULL, *message = NULL;
	json_object *inner = json_object_new_object();

	json_object_object_get_ex(envelope, "error", &error);
	json_object_object_get_ex(error, "data", &data);
	json_object_object_get_ex(data, "code", &data);
	json_object_object_get_ex(error, "message", &message);
	json_object_object_add(inner, "code", json_object_get(data));
	json_object_object_add(inner, "message", json_object_get(message));
	json_object_object_add(o, "error", inner);
	http_reply_json(c, status, o);
}

static int add_header(struct lws *wsi, const char *name, const char *value,
		      unsigned char **p, unsigned char *end)
{
	return *value ? lws_add_http_header_by_name(
				wsi, (const unsigned char *)name,
				(const unsigned char *)value,
				(int)strlen(value), p, end)
		      : 0;
}

static int write_head(struct http_client *c)
{
	unsigned char head[LWS_PRE + KIB(2)], *start = head + LWS_PRE;
	unsigned char *p = start, *end = head + sizeof(head) - 1;
	bool stream = c->mode == HTTP_EVENTS;
	struct http_match match;
	struct error e;
	char allow[64] = "";
	int r;

	r = lws_add_http_common_headers(
		c->wsi, (unsigned)c->status, c->type,
		stream ? LWS_ILLEGAL_HTTP_CONTENT_LEN : c->out.size, &p, end);
	r |= add_header(c->wsi, "etag:", c->etag, &p, end);
	r |= add_header(c->wsi, "location:", c->location, &p, end);
	r |= add_header(c->wsi, "cache-control:", stream ? "no-store" : "", &p,
			end);
	r |= add_header(c->wsi, "connection:",
			c->request.close && !stream ? "close" : "", &p, end);
	if (c->status == 405 &&
	    http_route_match(c->request.verb, c->request.path, &match, allow,
			     sizeof(allow), &e) < 0)
		r |= add_header(c->wsi, "allow:", allow, &p, end);
	if (r || lws_finalize_write_http_header(c->wsi, start, &p, end))
		return -1;
	c->head_sent = true;
	return 0;
}

/* Back to reading requests, or the end of the connection. */
static int complete(struct http_client *c)
{
	bool close = c->request.close;

	if (close && lws_partial_buffered(c->wsi))
		return 0;
	http_request_done(&c->request);
	buf_done(&c->out);
	*c->etag = *c->location = '\0';
	c->mode = HTTP_IDLE;
	c->reused = true;
	if (close || lws_http_transaction_completed(c->wsi))
		return -1;
	lws_rx_flow_control(c->wsi, 1);
	return 0;
}

/* At most one piece for each time the socket has room. */
static int write_piece(struct http_client *c, bool last_ends)
{
	unsigned char piece[LWS_PRE + HTTP_CHUNK];
	size_t n = MIN(c->out.size, HTTP_CHUNK);

	memcpy(piece + LWS_PRE, c->out.data, n);
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_HTTP_CONTENT, HTTP_TIMEOUT_S);
	if (lws_write(c->wsi, piece + LWS_PRE, n,
		      last_ends && n == c->out.size ? LWS_WRITE_HTTP_FINAL
						    : LWS_WRITE_HTTP) < 0)
		return -1;
	buf_consume(&c->out, n);
	return 0;
}

static int write_events(struct http_client *c)
{
	if (c->out.size > 0 && write_piece(c, false) < 0)
		return -1;
	if (c->out.size > 0 || lws_partial_buffered(c->wsi))
		return 0;
	if (c->ending)
		return -1;
	lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
	http_events_more(c);
	return 0;
}

/* One step: the head, or a piece. Negative: hang up. */
static int write_step(struct http_client *c)
{
	if (!c->head_sent)
		return write_head(c);
	if (c->mode == HTTP_EVENTS)
		return write_events(c);
	if (c->out.size > 0 && write_piece(c, true) < 0)
		return -1;
	return c->out.size > 0 ? 0 : complete(c);
}

/* Whether an event stream needs to be called back. */
static bool unsent(const struct http_client *c)
{
	return c->out.size > 0 || c->ending || (!c->caught_up && c->calls == 0);
}

int http_reply_write(struct http_client *c)
{
	if (c->mode != HTTP_REPLY && c->mode != HTTP_EVENTS)
		return 0;
	if (write_step(c) < 0)
		return -1;
	if (c->mode == HTTP_REPLY || (c->mode == HTTP_EVENTS && unsent(c)))
		http_wake(c);
	return 0;
}

/*
 * As much as the socket takes goes out here and now: libwebsockets only says
 * that there is room while it also reads, and what it may read then is the
 * next request, which must wait (invariant 1). A client that sends one without
 * waiting for a large answer is hung up on.
 */
void http_reply(struct http_client *c, int status, const char *type,
		const char *body, size_t size)
{
	int r = 0;

	buf_done(&c->out);
	c->status = status;
	c->type = type;
	c->head_sent = false;
	c->mode = HTTP_REPLY;
	if (size > 0)
		r = buf_append(&c->out, body, size);
	while (r == 0 && c->mode == HTTP_REPLY && !lws_partial_buffered(c->wsi))
		r = write_step(c);
	if (r < 0)
		http_abort(c);
	if (r < 0 || c->mode == HTTP_IDLE)
		return;
	lws_rx_flow_control(c->wsi, 1);
	http_wake(c);
}

static struct http_client *client_of(struct api_caller *caller)
{
	return container_of(caller, struct http_client, caller);
}

void http_call_begin(struct api_caller *caller)
{
	struct http_client *c = client_of(caller);

	c->refs++;
	c->calls++;
}

void http_call_done(struct api_caller *caller)
{
	struct http_client *c = client_of(caller);

	c->calls--;
	http_client_unref(c);
}

void http_call_abort(struct api_caller *caller)
{
	http_abort(client_of(caller));
}

/* JSON-RPC: always 200, the error is in the reply. */
static void rpc_send(struct api_caller *caller, json_object *message, int fd)
{
	struct http_client *c = client_of(caller);

	fd_close(fd);
	if (c->wsi)
		http_reply_json(c, 200, message);
	json_object_put(message);
}

/* Nothing to say: there were only notifications. */
static void rpc_call_done(struct api_caller *caller)
{
	struct http_client *c = client_of(caller);

	if (c->calls == 1 && c->mode == HTTP_RUNNING && c->wsi)
		http_reply(c, 204, NULL, NULL, 0);
	http_call_done(caller);
}

void http_call_nothing(struct api_caller *caller)
{
	/* The reply had what is past; new ones come at GET /v1/events. */
}

const struct api_caller_ops http_rpc_ops = {
	.send = rpc_send,
	.subscribed = http_call_nothing,
	.call_begin = http_call_begin,
	.call_done = rpc_call_done,
	.abort = http_call_abort,
};

static void set_etag(struct http_client *c, json_object *result)
{
	json_object *revision = NULL;

	*c->etag = '\0';
	if (json_object_is_type(result, json_type_object) &&
	    json_object_object_get_ex(result, "revision", &revision) &&
	    json_object_is_type(revision, json_type_int))
		snprintf(c->etag, sizeof(c->etag), "\"%lld\"",
			 (long long)json_object_get_int64(revision));
}

/* 201 and where to find it, when a body made something with a name. */
static int success_status(struct http_client *c, json_object *result)
{
	json_object *name = NULL;

	if (c->request.verb != HTTP_POST || !c->request.match.body ||
	    !json_object_object_get_ex(result, "name", &name))
		return 200;
	snprintf(c->location, sizeof(c->location), "%s/%.70s", c->request.path,
		 json_object_get_string(name));
	return 201;
}

/* For Prometheus, which does not speak JSON. */
static void reply_text(struct http_client *c, json_object *result)
{
	json_object *text = NULL;

	json_object_object_get_ex(result, "text", &text);
	http_reply(c, 200, "text/plain; version=0.0.4; charset=utf-8",
		   text ? json_object_get_string(text) : "",
		   text ? (size_t)json_object_get_string_len(text) : 0);
}

static void rest_answer(struct api_caller *caller, json_object *result, int fd,
			const struct error *e)
{
	struct http_client *c = client_of(caller);

	fd_close(fd);
	if (!c->wsi) {
		json_object_put(result);
		return;
	}
	if (e) {
		http_reply_error(c, error_code_http(e->code), e);
	} else if (c->request.match.method == API_HOST_METRICS) {
		reply_text(c, result);
	} else {
		set_etag(c, result);
		if (c->request.verb == HTTP_GET && *c->etag &&
		    streq(c->etag, c->request.if_none_match))
			http_reply(c, 304, NULL, NULL, 0);
		else
			http_reply_json(c, success_status(c, result), result);
	}
	json_object_put(result);
}

const struct api_caller_ops http_rest_ops = {
	.answer = rest_answer,
	.subscribed = http_call_nothing,
	.call_begin = http_call_begin,
	.call_done = http_call_done,
	.abort = http_call_abort,
};
