/*
 * Inside api/ only: whoever makes calls, whatever the transport: a connection
 * of the Unix socket, or one HTTP exchange. api/call.c runs the calls and
 * hands the answers back through the ops.
 *
 * Thread: the loop thread.
 */
#ifndef API_CALLER_H
#define API_CALLER_H

#include "api/api.h"

#define CALLER_BATCH_MAX 256

struct api_caller;

struct api_caller_ops {
	/* A JSON-RPC reply, or the replies of a batch; `message` (NULL: no
	 * memory) and fd are consumed. */
	void (*send)(struct api_caller *c, json_object *message, int fd);
	/* The answer to caller_call(): `result` and fd are consumed, or `e`
	 * says why there is none. NULL where caller_call() is not used. */
	void (*answer)(struct api_caller *c, json_object *result, int fd,
		       const struct error *e);
	/* The caller has subscribed to events (after the reply). */
	void (*subscribed)(struct api_caller *c);
	/* A call begins; it refers to the caller until call_done(). */
	void (*call_begin)(struct api_caller *c);
	void (*call_done)(struct api_caller *c);
	/* It cannot be answered: no memory. */
	void (*abort)(struct api_caller *c);
};

struct api_caller {
	const struct api_caller_ops *ops;
	struct api_server *server; /* NULL once it is gone */
	const struct api_identity *who;
	/* NULL: the server's. With its own, a caller is the daemon itself. */
	const struct api_handlers *handlers;
	bool takes_fd; /* a reply may carry a descriptor */
	bool gone;     /* begin no more calls for it */
	/* The next caller_call() is only made when the VM it names has this
	 * revision; nothing comes between the look and the call. */
	bool has_revision;
	int64_t revision;
};

/* Take one message (a request or a batch) apart and run what it asks; replies
 * go to ops->send(). */
void caller_message(struct api_caller *c, const char *text, size_t size);

/* One call with `params` (an object, consumed) whose result goes to
 * ops->answer(), which may run before this returns. *ret_call (may be NULL) is
 * set before the handler runs. */
void caller_call(struct api_caller *c, enum api_method_id method,
		 json_object *params, struct api_call **ret_call);

#endif
