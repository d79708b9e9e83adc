/*
 * One handler per message of lib/wire/messages.h, in one table.
 *
 * Thread: the loop thread.
 */
#ifndef SUPERVISOR_HANDLERS_H
#define SUPERVISOR_HANDLERS_H

#include "supervisor/supervisor.h"

/*
 * Decode, check, handle and answer one message. The peer is not trusted:
 * anything wrong becomes an error reply, or a log line for a message that has
 * no reply. Descriptors that are used become -1 in fds.
 */
void handlers_dispatch(struct supervisor *s, json_object *message, int *fds,
		       size_t n_fds);

/* A request that is not answered when it comes: its id, and in which of the
 * connections there were. */
struct later {
	uint64_t id;
	unsigned connection;
};

/* The answer to one; `body` (its own fields) is consumed, `e` is NULL or why it
 * failed. It goes nowhere when that daemon is gone. */
void handlers_reply(struct supervisor *s, const struct later *later,
		    json_object *body, const struct error *e);

enum agent_command { AGENT_INFO, AGENT_FREEZE, AGENT_THAW };

/* handle_agent.c: the answer comes by handlers_reply(), maybe at once. */
int handle_agent_command(struct supervisor *s, const struct later *later,
			 enum agent_command command,
			 struct error *e) must_check;

#endif
