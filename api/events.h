/*
 * The kinds of events there are: what happened, and what an event of that kind
 * says besides {seq, time_ms, vm, name, labels, kind}. The one table; API.md is
 * made from it, and no other kind is announced.
 *
 * Thread: any; constant.
 */
#ifndef API_EVENTS_H
#define API_EVENTS_H

#include <stdbool.h>

struct api_event_kind {
	const char *name;
	const char *fields; /* as documentation has them; "": none */
	const char *doc;
	bool of_guest; /* a supervisor may say that it happened */
};

/* Ends with a name that is NULL. */
extern const struct api_event_kind api_event_kinds[];

/* NULL when there is none of that name. */
const struct api_event_kind *api_event_kind_by_name(const char *name);

#endif
