/*
 * Calls that would change something while nothing can be written: they run,
 * in order, when it can be, or when nobody waits any longer.
 */
#include "api/connection.h"

struct parked {
	struct parked *next;
	struct api_call *call;
};

bool server_park(struct api_server *s, struct api_call *call)
{
	const struct api_handlers *h = server_handlers(s);
	struct parked **at = server_parked(s), *p;

	/* Nobody overtakes those who wait. */
	if (!h->ready ||
	    api_methods[api_call_method(call)].role <= API_ROLE_VIEWER ||
	    (!*at && h->ready(h->cookie)))
		return false;
	/* Without memory it is tried now, and fails as it may. */
	p = calloc(1, sizeof(*p));
	if (!p)
		return false;
	p->call = call;
	while (*at)
		at = &(*at)->next;
	*at = p;
	return true;
}

static struct parked *take_all(struct api_server *s)
{
	struct parked *list = *server_parked(s);

	*server_parked(s) = NULL;
	return list;
}

void api_server_resume(struct api_server *s)
{
	struct parked *p = take_all(s), *next;

	for (; p; p = next) {
		next = p->next;
		call_resume(p->call);
		free(p);
	}
}

void parked_end(struct api_server *s)
{
	struct parked *p = take_all(s), *next;
	struct error e = ERROR_INIT;

	error_set(&e, -ECANCELED, "armvmd is stopping");
	for (; p; p = next) {
		next = p->next;
		api_call_fail(p->call, &e);
		free(p);
	}
}
