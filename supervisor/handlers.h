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

#endif
