/*
 * Inside api/ only: one client of the server, and the calls it has made.
 *
 * Invariants:
 *  1. A connection lives while it is open or a call refers to it (`refs`).
 *  2. Requests are only taken from the input while fewer than
 *     CONNECTION_CALLS_MAX calls are under way and fewer than
 *     CONNECTION_QUEUE_SOFT bytes wait to be sent: a client that does not read
 *     is not read from.
 *  3. More than CONNECTION_QUEUE_HARD bytes waiting ends the connection; a
 *     subscriber with more than CONNECTION_QUEUE_EVENTS is told and dropped.
 *
 * Thread: the loop thread.
 */
#ifndef API_CONNECTION_H
#define API_CONNECTION_H

#include "api/caller.h"
#include "api/jsonrpc.h"
#include "lib/base/buf.h"

#define CONNECTION_LINE_MAX	MIB(1)
#define CONNECTION_CALLS_MAX	32
#define CONNECTION_QUEUE_SOFT	KIB(256)
#define CONNECTION_QUEUE_EVENTS MIB(4)
#define CONNECTION_QUEUE_HARD	MIB(16)
/* What a queued descriptor counts as, so that few of them are ever held. */
#define CONNECTION_FD_COST KIB(32)
/* A client being dropped gets this long to take what is queued for it. */
#define CONNECTION_LINGER_MS 5000

struct outgoing; /* one line, perhaps with a descriptor */

struct api_connection {
	struct api_caller caller;
	struct api_identity who;
	struct api_connection *next, **link; /* in the server's list */
	int fd;				     /* -1 once closed */
	int polled; /* events it is polled for; -1: none yet */
	unsigned refs;
	uv_poll_t poll;
	uv_timer_t linger;
	unsigned open_handles;
	struct buf in;
	size_t scanned;	 /* bytes of `in` known to hold no newline */
	bool discarding; /* the rest of a line that was too long */
	bool eof;	 /* the client sends no more, but may still read */
	bool draining;	 /* being dropped: send what is queued, read nothing */
	bool processing; /* guards against re-entry from a handler's reply */
	bool subscribed;
	unsigned calls;
	struct outgoing *out, **out_tail;
	size_t out_bytes;
};

/* Consumes fd, also on failure; joins the server's list. */
int connection_new(struct api_server *server, uv_loop_t *loop, int fd,
		   struct api_connection **list) must_check;

/* Close now: unsent replies are lost, calls under way will be dropped. */
void connection_close(struct api_connection *c);

struct api_connection *connection_ref(struct api_connection *c);
void connection_unref(struct api_connection *c);

/* Send an event; one that cannot take it is told and dropped. Borrows. */
void connection_notify(struct api_connection *c, json_object *message);

/* api/call.c: answer a call that was held: with `result`, or, when `e` is not
 * NULL, with that. Consumes result and fd. */
void call_release(struct api_call *call, json_object *result, int fd,
		  const struct error *e);

/* api/call_options.c: those that are a job's, taken out of what the method is
 * to see; *ret_given (false before) when there were any. */
int call_take_options(json_object *params, struct api_options *ret,
		      bool *ret_given, struct error *e) must_check;

/* api/server.c */
/* Whether answers wait now; if so they go through server_hold(). */
bool server_held(const struct api_server *s);
/* Keep the answer `result` or, when that is NULL, `e`; both of `call`, or, with
 * call NULL, a notification of `result`. Consumes result and fd. */
void server_hold(struct api_server *s, struct api_call *call,
		 json_object *result, int fd, const struct error *e);
/*
 * Whether a call has to wait until something can be written (api/parked.c);
 * then call_resume() comes later, of api/call.c: it is judged anew and run.
 */
bool server_park(struct api_server *s, struct api_call *call);
void call_resume(struct api_call *call);
struct parked;
struct parked **server_parked(struct api_server *s);
/* The server ends: all are told so. */
void parked_end(struct api_server *s);
/* The calls of api_call_outer() that are under way (api/outer.c). */
struct outer;
struct outer **server_outers(struct api_server *s);
/* The server ends: all are told so. */
void outers_end(struct outer *list);
const struct api_handlers *server_handlers(const struct api_server *s);
void server_connection_closed(struct api_server *s, struct api_connection *c);

#endif
