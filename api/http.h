/*
 * Inside api/ only: the same methods over HTTP/1.1 (RFC 9112), by
 * libwebsockets on the daemon's loop: JSON-RPC at POST /rpc, REST by the routes
 * of the method table, events as Server-Sent Events, consoles as WebSockets,
 * /metrics, /healthz, /openapi.json.
 *
 * Invariants:
 *  1. One request of a connection at a time: nothing is read from it between
 *     the end of a request and the end of its answer (lws_rx_flow_control).
 *  2. A client outlives its connection while calls refer to it (`refs`); `wsi`
 *     is NULL once the connection is gone.
 *  3. A body is at most HTTP_BODY_MAX; an event stream holds at most
 *     CONNECTION_QUEUE_EVENTS, then the client is told and dropped.
 *
 * Thread: the loop thread.
 */
#ifndef API_HTTP_H
#define API_HTTP_H

#include <libwebsockets.h>

#include "api/caller.h"
#include "api/connection.h"
#include "api/http_route.h"
#include "lib/base/buf.h"

#define HTTP_BODY_MAX CONNECTION_LINE_MAX
#define HTTP_CHUNK    KIB(16)
#define HTTP_ARG_MAX  512
#define HTTP_PATH_MAX 1024
/* What a refused request may still send before it is hung up on. */
#define HTTP_DISCARD_MAX MIB(16)
/* A close frame has room for no more (RFC 6455, section 5.5). */
#define HTTP_CLOSE_MAX 123
/* A connection that makes no progress, and one that only waits. */
#define HTTP_TIMEOUT_S	 20
#define HTTP_KEEPALIVE_S 60

struct http_server;
struct http_console;

enum http_mode {
	HTTP_IDLE,    /* between requests */
	HTTP_BODY,    /* the request's body is coming */
	HTTP_RUNNING, /* its calls are under way */
	HTTP_REPLY,   /* the answer is being sent */
	HTTP_EVENTS,  /* an event stream, until either side goes */
	HTTP_CONSOLE, /* a WebSocket */
};

struct http_request {
	enum http_verb verb;
	char path[HTTP_PATH_MAX];
	struct http_match match;
	json_object *query; /* name → text */
	struct buf body;
	size_t body_size; /* announced */
	char if_match[64], if_none_match[64], last_event_id[32];
	bool has_if_match;
	bool body_unknown; /* whether one follows: its length was not said */
	bool close;	   /* the connection cannot be used again afterwards */
};

struct http_client {
	struct api_caller caller;
	struct api_identity who;
	struct http_server *server;
	struct http_client *next, **link;
	struct lws *wsi;
	unsigned refs, calls;
	enum http_mode mode;
	bool identified, stranger;
	bool reused; /* a request was answered on it before */
	struct http_request request;
	/* The answer. */
	int status;
	const char *type;
	char etag[32], location[HTTP_PATH_MAX + 80];
	bool head_sent;
	struct buf out; /* its body, or the events not sent yet */
	int64_t last_event;
	bool caught_up, ending; /* of an event stream */
	struct http_console *console;
};

/* api/http.c */
struct api_server *http_api(const struct http_server *s);
void http_client_unref(struct http_client *c);
/* Ask libwebsockets to call back when the connection can be written to. */
void http_wake(struct http_client *c);
/* Close from outside of a callback. */
void http_abort(struct http_client *c);
/* The request that begins now was read together with one before it. */
bool http_read_ahead(const struct http_client *c);

/* api/http_request.c: LWS_CALLBACK_HTTP and the body. Negative: hang up. */
int http_request_begin(struct http_client *c, const char *path);
int http_request_body(struct http_client *c, const void *data, size_t size);
int http_request_end(struct http_client *c);
void http_request_done(struct http_request *r);
/* Path, query and the headers we heed; also of a WebSocket's handshake. */
int http_request_read(struct http_client *c, const char *path,
		      struct error *e) must_check;

/* api/http_access.c: whether the caller may use the matched method. */
int http_may(struct http_client *c, struct error *e) must_check;
/* LWS_CALLBACK_HTTP_CONFIRM_UPGRADE and what it returns. */
int http_confirm_upgrade(struct http_client *c, const char *protocol);

/* api/http_reply.c: begin an answer; `body` is borrowed. */
void http_reply(struct http_client *c, int status, const char *type,
		const char *body, size_t size);
void http_reply_error(struct http_client *c, int status, const struct error *e);
void http_reply_json(struct http_client *c, int status, json_object *o);
/* LWS_CALLBACK_HTTP_WRITEABLE; negative: hang up. */
int http_reply_write(struct http_client *c);
extern const struct api_caller_ops http_rpc_ops, http_rest_ops;
/* What the ops of all modes share. */
void http_call_begin(struct api_caller *caller);
void http_call_done(struct api_caller *caller);
void http_call_abort(struct api_caller *caller);
void http_call_nothing(struct api_caller *caller);

/* api/http_events.c */
extern const struct api_caller_ops http_events_ops;
void http_events_begin(struct http_client *c);
void http_events_notify(struct http_client *c, json_object *event);
/* What was there to send is sent. */
void http_events_more(struct http_client *c);

/* api/http_console.c */
extern const struct api_caller_ops http_console_ops;
void http_console_begin(struct http_client *c);
int http_console_receive(struct http_client *c, const void *data, size_t size);
int http_console_write(struct http_client *c);
void http_console_end(struct http_client *c);
/* Of all events it takes those that say who types here; borrowed. */
void http_console_notify(struct http_client *c, json_object *event);

/* api/http_tls.c: the subject of the peer's verified certificate as RFC 2253
 * writes it, or -EACCES. */
int http_tls_subject(struct lws *wsi, char *ret, size_t size) must_check;

#endif
