/* Requests for a supervisor that first has to take a machine over: they wait
 * for that, or end with it. */
#include <fcntl.h>
#include <stdio.h>

#include "daemon/supervisor_link.h"
#include "lib/base/fd.h"

struct link_held {
	struct link_held *next;
	char type[16];
	json_object *body;
	struct fd_list fds;
	uint64_t timeout_ms;
	link_done_fn done;
	void *cookie;
};

static void held_free(struct link_held *h)
{
	json_object_put(h->body);
	fd_list_done(&h->fds);
	free(h);
}

static int hold_fds(struct link_held *h, const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0)
			return -errno;
		h->fds.fds[h->fds.n++] = fd;
	}
	return 0;
}

int link_hold_request(struct supervisor *s, const char *type, json_object *body,
		      const int *fds, size_t n_fds, uint64_t timeout_ms,
		      link_done_fn done, void *cookie)
{
	struct link_held *h = calloc(1, sizeof(*h)), **tail = &s->held;
	int r = h ? hold_fds(h, fds, n_fds) : -ENOMEM;

	if (r < 0) {
		if (h)
			held_free(h);
		return r;
	}
	snprintf(h->type, sizeof(h->type), "%s", type);
	h->body = body;
	h->timeout_ms = timeout_ms;
	h->done = done;
	h->cookie = cookie;
	while (*tail)
		tail = &(*tail)->next;
	*tail = h;
	return 0;
}

void link_let_go(struct supervisor *s)
{
	struct link_held *h;

	s->holds = false;
	while ((h = s->held)) {
		s->held = h->next;
		link_request(s, h->type, TAKE_PTR(h->body), h->fds.fds,
			     h->fds.n, h->timeout_ms, h->done, h->cookie);
		held_free(h);
	}
}

void link_held_fail(struct supervisor *s, const struct error *e)
{
	struct link_held *h;

	while ((h = s->held)) {
		s->held = h->next;
		h->done(s->vm, h->cookie, NULL, NULL, 0, e);
		held_free(h);
	}
}
