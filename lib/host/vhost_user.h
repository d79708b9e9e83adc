/*
 * vhost-user: another program serves the rings. It is told of guest memory by
 * descriptors, so that must be shared (memfd); we talk to it over a Unix
 * stream socket.
 *
 * It may hang, lie or die. Every exchange has a deadline; what it does not
 * meet, or answers wrongly, closes the connection, and it is `lost`. A stop
 * then returns although it may still write to guest memory: that is the only
 * thing it can do to us, and whoever started it ends it when it is lost.
 */
#ifndef LIB_HOST_VHOST_USER_H
#define LIB_HOST_VHOST_USER_H

#include <uv.h>

#include "lib/host/vhost.h"

/* For the answers to one start or stop. */
#define VHOST_USER_DEADLINE_MS 1000

struct vhost_user_params {
	uv_loop_t *loop;
	int fd;		  /* connected; consumed, also on failure */
	const char *name; /* for messages; copied */
	unsigned n_rings; /* it must serve so many */
	unsigned open_ms, deadline_ms; /* for the opening; for the rest */
	/* It has been asked for its features already: see
	 * vhost_user_send(). The answer is what is waited for first. */
	bool knocked;
	/* Once, from the loop: a sentence. Not during start, which fails then.
	 */
	void (*lost)(void *cookie, const char *why);
	void *cookie;
};

/* Waits for it, up to the deadline. -EOPNOTSUPP when it cannot do what is
 * asked; as vhost_user_receive() otherwise. Loop thread. */
int vhost_user_open(const struct vhost_user_params *params, struct vhost **ret,
		    struct error *e) must_check;

#endif
