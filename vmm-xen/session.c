#include "vmm-xen/session.h"

#include <stdio.h>
#include <xentoollog.h>

#include "lib/base/log.h"
#include "vmm-xen/store_guard.h"
#include "vmm-xen/xl_loop.h"

/* What libxl logs. The first complaint is the cause; what follows are the
 * complaints of its callers. */
struct session_log {
	xentoollog_logger logger; /* what libxl is given: first */
	const char *vm;
	char first[400];
	libxl_event_hooks hooks;
	struct session_events events;
	void *cookie;
};

static void on_message(xentoollog_logger *logger, xentoollog_level level,
		       int errnoval, const char *context, const char *format,
		       va_list al)
{
	struct session_log *log = (struct session_log *)logger;
	char text[512];
	int n = vsnprintf(text, sizeof(text), format, al);

	if (errnoval > 0 && n >= 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s",
			 strerror(errnoval));
	if (level >= XTL_ERROR && !log->first[0])
		snprintf(log->first, sizeof(log->first), "%.390s", text);
	log_vm(LOG_LEVEL_DEBUG, log->vm, "%s: %s", context ? context : "xen",
	       text);
}

static void on_progress(xentoollog_logger *logger, const char *context,
			const char *doing, int percent, unsigned long done,
			unsigned long total)
{
}

/* It is part of the session. */
static void on_destroy(xentoollog_logger *logger)
{
}

static void on_event(void *user, libxl_event *event)
{
	struct session_log *log = user;

	log->events.occurred(log->cookie, event);
}

static void on_disaster(void *user, libxl_event_type type, const char *msg,
			int errnoval)
{
	struct session_log *log = user;

	log_vm(LOG_LEVEL_ERROR, log->vm, "Xen's libraries lost track: %s: %s",
	       msg, strerror(errnoval));
	log->events.disaster(log->cookie);
}

static void on_store_lost(void *cookie)
{
	struct session_log *log = cookie;

	log_vm(LOG_LEVEL_ERROR, log->vm, "xenstored has ended");
	if (log->events.disaster)
		log->events.disaster(log->cookie);
}

int session_error(struct session *s, int rc, struct error *e, const char *what)
{
	struct session_log *log = s->log;
	int err = rc == ERROR_NOMEM		? -ENOMEM
		  : rc == ERROR_DOMAIN_NOTFOUND ? -ESRCH
		  : rc == ERROR_TIMEDOUT	? -ETIMEDOUT
						: -EIO;

	if (log->first[0])
		error_set(e, err, "Xen cannot %s: %s", what, log->first);
	else
		error_set(e, err, "Xen cannot %s (libxl's error %d)", what, rc);
	session_calm(s);
	return err;
}

void session_calm(struct session *s)
{
	s->log->first[0] = '\0';
}

bool session_has_store(const struct session *s)
{
	return store_guard_holds(s->guard);
}

static struct session *session_new(const char *vm,
				   const struct session_events *events,
				   void *cookie)
{
	struct session *s = calloc(1, sizeof(*s));
	struct session_log *log = calloc(1, sizeof(*log));

	if (!s || !log) {
		free(s);
		free(log);
		return NULL;
	}
	log->logger.vmessage = on_message;
	log->logger.progress = on_progress;
	log->logger.destroy = on_destroy;
	log->vm = vm;
	log->hooks.event_occurs_mask = LIBXL_EVENTMASK_ALL;
	log->hooks.event_occurs = on_event;
	log->hooks.disaster = on_disaster;
	if (events)
		log->events = *events;
	log->cookie = cookie;
	s->log = log;
	return s;
}

static int open_context(struct session *s, uv_loop_t *loop, struct error *e)
{
	int rc, r = store_guard_open(loop, on_store_lost, s->log, &s->guard, e);

	if (r < 0)
		return r;
	rc = xl.ctx_alloc(&s->ctx, &s->log->logger);
	if (rc) {
		s->ctx = NULL;
		session_error(s, rc, e, "be spoken to");
		return error_prefix(e, -EACCES, "no control of this host");
	}
	s->xs = xl.xs_open();
	if (!s->xs)
		return error_set(e, -EIO, "xenstored cannot be reached: %m");
	if (!loop)
		return 0;
	r = xl_loop_new(loop, &s->loop, e);
	if (r < 0)
		return r;
	xl_loop_watch(s->loop, s->ctx);
	xl.event_callbacks(s->ctx, &s->log->hooks, s->log);
	return 0;
}

int session_open(uv_loop_t *loop, const char *vm,
		 const struct session_events *events, void *cookie,
		 struct session **ret, struct error *e)
{
	_cleanup_(session_closep) struct session *s = session_new(vm, events,
								  cookie);
	int r;

	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	r = open_context(s, loop, e);
	if (r < 0)
		return r;
	session_calm(s);
	*ret = TAKE_PTR(s);
	return 0;
}

struct session *session_close(struct session *s)
{
	if (!s)
		return NULL;
	store_guard_free(s->guard);
	if (s->xs)
		xl.xs_close(s->xs);
	if (s->ctx)
		xl.ctx_free(s->ctx);
	s->loop = xl_loop_free(s->loop);
	free(s->log);
	free(s);
	return NULL;
}
