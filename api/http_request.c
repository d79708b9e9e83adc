#include "api/http.h"

#include <stdio.h>

#include "api/jsonrpc.h"
#include "lib/base/parse.h"

/* In the order of lws_http_get_uri_and_method()'s tokens we know. */
static const struct {
	enum lws_token_indexes token;
	enum http_verb verb;
} verb_tokens[] = {
	{WSI_TOKEN_GET_URI, HTTP_GET},	     {WSI_TOKEN_POST_URI, HTTP_POST},
	{WSI_TOKEN_PUT_URI, HTTP_PUT},	     {WSI_TOKEN_PATCH_URI, HTTP_PATCH},
	{WSI_TOKEN_DELETE_URI, HTTP_DELETE},
};

void http_request_done(struct http_request *r)
{
	json_object_put(r->query);
	buf_done(&r->body);
	*r = (struct http_request){.verb = HTTP_OTHER};
}

static int read_header(struct lws *wsi, enum lws_token_indexes token,
		       const char *what, char *ret, size_t size,
		       struct error *e)
{
	int n = lws_hdr_total_length(wsi, token);

	*ret = '\0';
	if (n == 0)
		return 0;
	if (n >= (int)size || lws_hdr_copy(wsi, ret, (int)size, token) < 0)
		return error_set_code(e, ERROR_BAD_REQUEST,
				      "the header %s is longer than %zu bytes",
				      what, size - 1);
	return 0;
}

static int read_query(struct http_request *r, struct lws *wsi, struct error *e)
{
	char part[HTTP_ARG_MAX], *equals;
	int n;

	r->query = json_object_new_object();
	for (int i = 0;
	     lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, i) > 0;
	     i++) {
		n = lws_hdr_copy_fragment(wsi, part, sizeof(part),
					  WSI_TOKEN_HTTP_URI_ARGS, i);
		if (n < 0)
			return error_set_code(e, ERROR_BAD_REQUEST,
					      "a part of the query is longer "
					      "than %d bytes",
					      HTTP_ARG_MAX - 1);
		equals = strchr(part, '=');
		if (equals)
			*equals++ = '\0';
		if (json_object_object_get_ex(r->query, part, NULL))
			return error_set(e, -EINVAL, "\"%s\" is given twice",
					 part);
		json_object_object_add(
			r->query, part,
			json_object_new_string(equals ? equals : ""));
	}
	return 0;
}

/* A page of another site may make a browser with a client certificate call us;
 * it cannot hide where it comes from (RFC 6454, section 7). */
static int check_origin(struct lws *wsi, struct error *e)
{
	char origin[HTTP_ARG_MAX], host[HTTP_ARG_MAX];
	const char *at;
	int r = read_header(wsi, WSI_TOKEN_ORIGIN, "Origin", origin,
			    sizeof(origin), e);

	if (r == 0)
		r = read_header(wsi, WSI_TOKEN_HOST, "Host", host, sizeof(host),
				e);
	if (r < 0 || !*origin)
		return r;
	at = strstr(origin, "://");
	if (at && strcasecmp(at + 3, host) == 0)
		return 0;
	return error_set(e, -EACCES, "requests from %s are not taken", origin);
}

static int read_length(struct http_request *r, struct lws *wsi, struct error *e)
{
	char text[24];
	uint64_t n = 0;
	int ret = read_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH,
			      "Content-Length", text, sizeof(text), e);

	/* Without a length libwebsockets would wait for a body without end. */
	r->body_unknown = !*text && r->verb != HTTP_GET &&
			  r->verb != HTTP_DELETE;
	r->close = r->body_unknown;
	if (ret == 0 &&
	    lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING))
		ret = error_set_code(e, ERROR_BAD_REQUEST,
				     "a body needs a Content-Length; transfer "
				     "encodings are not taken");
	if (ret == 0 && *text)
		ret = parse_u64(text, "Content-Length", 0, UINT64_MAX, &n, e);
	if (ret == 0 && n > HTTP_BODY_MAX)
		ret = error_set_code(e, ERROR_BAD_REQUEST,
				     "a body may be at most 1 MiB long");
	/* What is no number to us may be one to libwebsockets. */
	if (ret < 0 && n == 0)
		r->body_unknown = true;
	if (ret < 0 && (n == 0 || n > HTTP_DISCARD_MAX))
		r->close = true;
	r->body_size = (size_t)n;
	return ret;
}

static int read_headers(struct http_request *r, struct lws *wsi,
			struct error *e)
{
	int ret = check_origin(wsi, e);

	r->has_if_match = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_IF_MATCH);
	if (ret == 0)
		ret = read_header(wsi, WSI_TOKEN_HTTP_IF_MATCH, "If-Match",
				  r->if_match, sizeof(r->if_match), e);
	if (ret == 0)
		ret = read_header(wsi, WSI_TOKEN_HTTP_IF_NONE_MATCH,
				  "If-None-Match", r->if_none_match,
				  sizeof(r->if_none_match), e);
	if (ret == 0 && lws_hdr_custom_length(wsi, "last-event-id:", 14) > 0 &&
	    lws_hdr_custom_copy(wsi, r->last_event_id, sizeof(r->last_event_id),
				"last-event-id:", 14) < 0)
		ret = error_set(e, -EINVAL, "Last-Event-ID is too long");
	return ret;
}

static int match_route(struct http_client *c, char *allow, size_t size,
		       struct error *e)
{
	struct http_request *r = &c->request;

	return http_route_match(r->verb, r->path, &r->match, allow, size, e);
}

int http_request_read(struct http_client *c, const char *path, struct error *e)
{
	struct http_request *r = &c->request;
	char allow[64];
	int ret;

	http_request_done(r);
	for (size_t i = 0; i < ARRAY_SIZE(verb_tokens); i++)
		if (lws_hdr_total_length(c->wsi, verb_tokens[i].token) > 0)
			r->verb = verb_tokens[i].verb;
	ret = read_length(r, c->wsi, e);
	if (strlen(path) >= sizeof(r->path))
		return error_set_code(e, ERROR_BAD_REQUEST,
				      "the path is longer than %d bytes",
				      HTTP_PATH_MAX - 1);
	strcpy(r->path, path);
	if (ret == 0)
		ret = read_query(r, c->wsi, e);
	if (ret == 0)
		ret = read_headers(r, c->wsi, e);
	if (ret == 0)
		ret = match_route(c, allow, sizeof(allow), e);
	return ret;
}

/* Nothing more is read until the answer is out (invariant 1). */
static void running(struct http_client *c)
{
	c->mode = HTTP_RUNNING;
	lws_rx_flow_control(c->wsi, 0);
	lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
}

/* The revision of If-Match, as in `"7"`; -1 for what is no revision. */
static int64_t revision_of(const char *etag)
{
	char *end;
	int64_t n;

	if (etag[0] != '"' || etag[1] < '0' || etag[1] > '9')
		return -1;
	n = strtoll(etag + 1, &end, 10);
	return streq(end, "\"") ? n : -1;
}

/* If-Match is the method's own affair when it takes a revision. */
static int add_precondition(struct http_client *c, json_object *params,
			    struct error *e)
{
	struct http_request *r = &c->request;
	int64_t revision = revision_of(r->if_match);

	if (!r->has_if_match || streq(r->if_match, "*"))
		return 0;
	if (http_route_takes(&r->match, "revision") && revision >= 0) {
		if (json_object_object_get_ex(params, "revision", NULL))
			return error_set(e, -EINVAL,
					 "\"revision\" and If-Match are both "
					 "given");
		json_object_object_add(params, "revision",
				       json_object_new_int64(revision));
		return 0;
	}
	c->caller.has_revision = http_route_takes(&r->match, "name");
	c->caller.revision = revision;
	return 0;
}

static void run_method(struct http_client *c)
{
	struct http_request *r = &c->request;
	_cleanup_json_ json_object *body = NULL, *params = NULL;
	struct error e = ERROR_INIT;
	int ret = 0;

	if (r->body.size > 0)
		ret = json_parse(r->body.data, r->body.size, &body, &e);
	if (ret == 0)
		ret = http_route_params(&r->match, r->query, body, &params, &e);
	if (ret == 0)
		ret = add_precondition(c, params, &e);
	if (ret < 0) {
		http_reply_error(c, error_code_http(e.code), &e);
		return;
	}
	c->caller.ops = &http_rest_ops;
	caller_call(&c->caller, r->match.method, TAKE_PTR(params), NULL);
}

static void request_run(struct http_client *c)
{
	struct http_request *r = &c->request;
	json_object *o;

	running(c);
	switch (r->match.target) {
	case HTTP_TARGET_RPC:
		c->caller.ops = &http_rpc_ops;
		c->refs++;
		c->calls++;
		caller_message(&c->caller, r->body.data ? r->body.data : "",
			       r->body.size);
		c->caller.ops->call_done(&c->caller);
		break;
	case HTTP_TARGET_HEALTH:
		http_reply(c, 200, "text/plain", "ok\n", 3);
		break;
	case HTTP_TARGET_OPENAPI:
		o = api_openapi();
		http_reply_json(c, 200, o);
		json_object_put(o);
		break;
	case HTTP_TARGET_METHOD:
		if (api_methods[r->match.method].returns_fd) {
			struct error e = ERROR_INIT;

			error_set(&e, -EINVAL,
				  "%s is a WebSocket: ask for an upgrade",
				  r->path);
			http_reply_error(c, 426, &e);
		} else if (r->match.method == API_EVENT_SUBSCRIBE) {
			http_events_begin(c);
		} else {
			run_method(c);
		}
		break;
	}
}

/* The status of what is wrong with a request before any call. */
static int refusal(struct http_client *c, const struct error *e)
{
	if (c->request.body_size > HTTP_BODY_MAX)
		return 413;
	if (e->code == ERROR_NO_METHOD)
		return 405;
	return error_code_http(e->code);
}

static bool may_have_body(const struct http_request *r)
{
	return r->body_size > 0 || r->body_unknown;
}

int http_request_begin(struct http_client *c, const char *path)
{
	struct error e = ERROR_INIT;
	int r;

	/* Something after the request of an event stream. */
	if (c->mode != HTTP_IDLE)
		return -1;
	r = http_request_read(c, path, &e);
	/*
	 * libwebsockets 4.1 hands over the head of such a request as
	 * its body, and then never comes back from looking for the rest. Who
	 * sends one without awaiting the answer to the last is hung up on, as
	 * RFC 9112, section 9.3.2, lets us.
	 */
	if (http_read_ahead(c) && may_have_body(&c->request))
		return -1;
	if (r == 0)
		r = http_may(c, &e);
	if (r < 0) {
		running(c);
		http_reply_error(c, refusal(c, &e), &e);
		return 0;
	}
	c->mode = HTTP_BODY;
	if (c->request.body_size == 0)
		request_run(c);
	return 0;
}

int http_request_body(struct http_client *c, const void *data, size_t size)
{
	/* The rest of what was refused. */
	if (c->mode != HTTP_BODY || size == 0)
		return 0;
	if (size > c->request.body_size - c->request.body.size)
		return -1;
	return buf_append(&c->request.body, data, size) < 0 ? -1 : 0;
}

int http_request_end(struct http_client *c)
{
	if (c->mode == HTTP_BODY)
		request_run(c);
	return 0;
}
