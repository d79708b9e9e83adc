/*
 * A connection to Xen: a libxl context on a loop, with what it had to say kept
 * for the error that follows, and a connection to xenstore.
 *
 * Thread: the loop thread.
 */
#ifndef VMM_XEN_SESSION_H
#define VMM_XEN_SESSION_H

#include <uv.h>

#include "lib/base/error.h"
#include "vmm-xen/xl_calls.h"

struct xl_loop;
struct session_log;
struct store_guard;

struct session {
	libxl_ctx *ctx;
	struct xs_handle *xs;
	struct xl_loop *loop;	   /* NULL: what happens is not told */
	struct store_guard *guard; /* of xenstored; or NULL */
	struct session_log *log;
};

struct session_events {
	/* Something libxl was asked to watch for; owned by the callee
	 * (xl.event_free). From within any call into libxl or from the loop. */
	void (*occurred)(void *cookie, libxl_event *event);
	/* libxl lost track, or xenstored has ended; nothing may be called from
	 * within. */
	void (*disaster)(void *cookie);
};

/*
 * `vm` (borrowed) is for log lines. With `loop` NULL there are no events.
 * -EACCES: no privileges, or Xen does not take this library for its own;
 * -ENODEV: xenstored is not there; -ETIMEDOUT: it does not answer. Then nothing
 * was called that could wait for it.
 */
int session_open(uv_loop_t *loop, const char *vm,
		 const struct session_events *events, void *cookie,
		 struct session **ret, struct error *e) must_check;
/* NULL is fine. No event comes any more. */
struct session *session_close(struct session *s);
DEFINE_CLEANUP(session_close, struct session *)

/*
 * The error for a call of libxl's that failed with `rc`: "cannot WHAT: " and
 * what libxl said first since the last such error.
 */
int session_error(struct session *s, int rc, struct error *e, const char *what);
/* Whether xenstored is there still; what else there is needs the hypervisor
 * alone. */
bool session_has_store(const struct session *s);
/* Forget what libxl said: it went well in the end. */
void session_calm(struct session *s);

#endif
