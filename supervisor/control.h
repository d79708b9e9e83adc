/*
 * The supervisor's end of the control socket: a listening SEQPACKET socket the
 * daemon bound, and at most one connected daemon. While one is connected
 * further ones wait in the backlog, so a restarted daemon is served as soon as
 * the connection of its predecessor is gone, in whatever order the kernel
 * tells of the two. Peers other than root or the user that started us are
 * turned away.
 *
 * Thread: the loop thread.
 */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include <sys/types.h>

#include "lib/wire/channel.h"

struct control_events {
	/* As in struct channel_events. */
	void (*message)(void *cookie, json_object *message, int *fds,
			size_t n_fds);
	void (*connected)(void *cookie);
	void (*disconnected)(void *cookie, const struct error *why);
};

struct control {
	const struct control_events *events;
	void *cookie;
	const char *vm;
	uid_t owner; /* accepted besides root */
	int listen_fd;
	uv_poll_t poll;
	struct channel *channel; /* NULL: no daemon */
};

/* listen_fd is consumed, also on failure; `vm` and `events` are borrowed. */
int control_init(struct control *c, uv_loop_t *loop, int listen_fd, uid_t owner,
		 const char *vm, const struct control_events *events,
		 void *cookie, struct error *e) must_check;
/* The structure must stay until the loop has run out. No event comes. */
void control_done(struct control *c);

/*
 * Consumes message, borrows fd (-1: none); -ENOTCONN without a daemon, else as
 * channel_send().
 */
int control_send(struct control *c, json_object *message, int fd) must_check;

#endif
