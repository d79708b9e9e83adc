#include <stdio.h>

#include "vmm-xen/xen_store.h"
#include "vmm-xen/xen_store_internal.h"
#include "vmm-xen/xs_calls.h"

/* Of one turn of the loop: a guest that writes its nodes without end shall not
 * keep us from everything else. */
#define EVENTS_MAX 64

struct xen_watch {
	struct xen_watch *next;
	struct xen_store *store;
	unsigned long long token;
	bool fired; /* told at the end of this round */
	void (*callback)(void *cookie);
	void *cookie;
	char path[XEN_PATH_MAX];
};

struct xen_store {
	struct xs_handle *xs;
	uv_poll_t poll;
	struct xen_store_events events;
	struct xen_watch *watches;
	unsigned long long tokens;
	bool lost;
};

static void token_text(const struct xen_watch *w, char buf[24])
{
	snprintf(buf, 24, "%llu", w->token);
}

static void mark(struct xen_store *s, const char *token)
{
	unsigned long long number = strtoull(token, NULL, 10);

	for (struct xen_watch *w = s->watches; w; w = w->next)
		if (w->token == number)
			w->fired = true;
}

/* A callback may free any watch, so each search begins anew. */
static void tell(struct xen_store *s)
{
	struct xen_watch *w = s->watches;

	while (w) {
		if (!w->fired) {
			w = w->next;
			continue;
		}
		w->fired = false;
		w->callback(w->cookie);
		w = s->watches;
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct xen_store *s = poll->data;
	bool lost = status < 0;

	for (int i = 0; i < EVENTS_MAX && !lost; i++) {
		char **event = xs_api.check_watch(s->xs);

		if (!event) {
			lost = errno != EAGAIN;
			break;
		}
		mark(s, event[XS_WATCH_TOKEN]);
		free(event);
	}
	if (lost && !s->lost) {
		s->lost = true;
		uv_poll_stop(poll);
		s->events.lost(s->events.cookie);
		return;
	}
	tell(s);
}

int xen_store_open(uv_loop_t *loop, const struct xen_store_events *events,
		   struct xen_store **ret, struct error *e)
{
	struct xen_store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	s->xs = xs_api.open(0);
	if (!s->xs) {
		free(s);
		return error_set(e, -ENODEV,
				 "cannot reach xenstored: %m (is it running?)");
	}
	s->events = *events;
	r = uv_poll_init(loop, &s->poll, xs_api.fileno(s->xs));
	if (r < 0) {
		xs_api.close(s->xs);
		free(s);
		return error_set(e, r, "cannot wait for xenstored: %s",
				 strerror(-r));
	}
	s->poll.data = s;
	uv_poll_start(&s->poll, UV_READABLE, on_readable);
	*ret = s;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct xen_store *s = handle->data;

	xs_api.close(s->xs);
	free(s);
}

struct xen_store *xen_store_free(struct xen_store *s)
{
	if (!s)
		return NULL;
	uv_close((uv_handle_t *)&s->poll, on_closed);
	return NULL;
}

static bool printable(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return true;
}

int xen_store_read(struct xen_store *s, const char *path, char *buf,
		   size_t size)
{
	unsigned n;
	_cleanup_free_ char *value = xs_api.read(s->xs, XBT_NULL, path, &n);

	if (!value)
		return -errno;
	if (n >= size || !printable(value, n))
		return -EBADMSG;
	memcpy(buf, value, n);
	buf[n] = '\0';
	return 0;
}

int xen_store_list(struct xen_store *s, const char *path, char ***ret,
		   size_t *ret_n, struct error *e)
{
	unsigned n;
	char **names = xs_api.directory(s->xs, XBT_NULL, path, &n);

	if (!names && errno != ENOENT)
		return error_set(e, -errno, "cannot read xenstore's %s: %m",
				 path);
	*ret = names;
	*ret_n = names ? n : 0;
	return 0;
}

int xen_store_watch(struct xen_store *s, const char *path,
		    void (*fired)(void *cookie), void *cookie,
		    struct xen_watch **ret, struct error *e)
{
	struct xen_watch *w = calloc(1, sizeof(*w));
	char token[24];

	if (!w)
		return error_set(e, -ENOMEM, "out of memory");
	w->store = s;
	w->token = ++s->tokens;
	w->callback = fired;
	w->cookie = cookie;
	snprintf(w->path, sizeof(w->path), "%s", path);
	token_text(w, token);
	if (!xs_api.watch(s->xs, path, token)) {
		int err = -errno;

		free(w);
		return error_set(e, err, "cannot watch xenstore's %s: %s", path,
				 strerror(-err));
	}
	w->next = s->watches;
	s->watches = w;
	*ret = w;
	return 0;
}

struct xen_watch *xen_watch_free(struct xen_watch *w)
{
	struct xen_watch **at;
	char token[24];

	if (!w)
		return NULL;
	at = &w->store->watches;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	token_text(w, token);
	/* With the connection the watch is gone, too. */
	(void)xs_api.unwatch(w->store->xs, w->path, token);
	free(w);
	return NULL;
}

struct xs_handle *xen_store_handle(struct xen_store *s)
{
	return s->xs;
}
