/*
 * The channel between daemon and supervisor: a SEQPACKET socket on which one
 * datagram is one JSON message plus up to FD_PASS_MAX descriptors.
 *
 * Every message is an object with "type" (a row of lib/wire/messages.h);
 * requests carry "id", replies repeat it with "ok" or "error". The peer is not
 * trusted: unknown types, oversized or malformed datagrams and unexpected
 * descriptors end the channel with an error, never the process.
 *
 * Thread: the loop thread.
 */
#ifndef LIB_WIRE_CHANNEL_H
#define LIB_WIRE_CHANNEL_H

#include <uv.h>

#include "lib/base/fd.h"
#include "lib/base/json.h"

#define CHANNEL_MESSAGE_MAX KIB(64)

struct channel;

struct channel_events {
	/* `fds` are owned by the callee, which sets what it takes to -1; the
	 * rest is closed after the call. `message` is borrowed. */
	void (*message)(void *cookie, json_object *message, int *fds,
			size_t n_fds);
	/* Last call. `why` says the peer is gone (ECONNRESET), broke the
	 * protocol (EBADRQC) or the socket failed. The owner frees the channel,
	 * here or later. */
	void (*closed)(void *cookie, const struct error *why);
	/* May be NULL. Asked before each message: false leaves it, and all
	 * behind it, in the socket until channel_resume(). */
	bool (*ready)(void *cookie);
};

/* Messages waiting for a peer that does not read. */
#define CHANNEL_QUEUE_MAX 256

/*
 * Consumes fd, also on failure. -EPROTOTYPE when it is not a SEQPACKET socket.
 * `events` and `cookie` are borrowed for the life of the channel.
 */
int channel_new(uv_loop_t *loop, int fd, const struct channel_events *events,
		void *cookie, struct channel **ret) must_check;

/*
 * Closes the socket now and drops what is still queued; no callback comes any
 * more. Fine inside a callback; the memory goes at the loop's next turn.
 */
struct channel *channel_free(struct channel *c);
DEFINE_CLEANUP(channel_free, struct channel *)

/* Read on, at once, after ready() said no; else nothing happens. */
void channel_resume(struct channel *c);

/*
 * Queue a message (reference consumed, also on failure) with descriptors
 * (dup'ed: the caller keeps its own). Messages arrive in order; what the socket
 * takes at once is sent before this returns. Never calls back: a peer found
 * gone is reported by closed() from the loop.
 * -EMSGSIZE when too large, -E2BIG too many descriptors, -ENOBUFS when the peer
 * has stopped reading for so long that the queue is full, -EPIPE after
 * closed().
 */
int channel_send(struct channel *c, json_object *message, const int *fds,
		 size_t n_fds) must_check;

#endif
