/*
 * One turn of the daemon's loop as one commit: what all requests and messages
 * of a turn wrote becomes durable at its end, then their answers go out. That
 * is what lets 64 clients share one fsync.
 *
 * At the end of a turn, in this order: the store is flushed; turn_after()
 * callbacks run; held replies and notifications are sent (as errors when the
 * flush failed); VMs at rest leave memory.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_TURN_H
#define DAEMON_TURN_H

#include "daemon/manager.h"
#include "lib/base/parse.h"

int turn_new(struct manager *m, struct turn **ret, struct error *e) must_check;
/* Ends the turn; the memory is released by the loop. NULL is fine. */
struct turn *turn_free(struct turn *t);

/* Flush and tell, now. For the daemon's start and end; a handler's changes are
 * flushed without its asking. */
void turn_end(struct turn *t);

/*
 * Whether something can be written now: false while another process (an
 * administrator's sqlite3) holds the database's lock, for 2 s at most. Who is
 * told so leaves what it has where it is, and is called again when that is
 * over: api_server_resume(), links_resume(). What is written after 2 s all the
 * same fails with -EBUSY. api_handlers.ready, the cookie is the manager.
 */
bool turn_ready(void *cookie);

/* Whether answers must wait; api_handlers.held, the cookie is the manager. */
bool turn_held(void *cookie);

/* What a callback is to be reminded of; each uses the fields it needs. A VM is
 * named by its row, since it may have gone. */
struct turn_note {
	int64_t vm_id, number;
	char uuid[UUID_TEXT_SIZE];
};

/*
 * Call `fn` once what was written so far is durable (`why` NULL) or is not
 * going to be; at once when nothing waits. The note is copied.
 */
typedef void (*turn_fn)(struct manager *m, const struct turn_note *note,
			const struct error *why);
void turn_after(struct manager *m, turn_fn fn, const struct turn_note *note);

/* Some VM's state could not be stored: try again every second. */
void turn_retry_saves(struct turn *t);

#endif
