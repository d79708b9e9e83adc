/*
 * The connection to the system bus, by sd-bus on the daemon's loop. One for
 * all who need it: scopes and machined (daemon/scope.h, daemon/machine.h) and
 * the API on the bus (daemon/dbus_api.h).
 *
 * Promises:
 *  1. Nothing here waits for the bus: it is connected to, asked and read from
 *     the loop, and what it does not take yet is queued.
 *  2. A bus that is not there yet is waited for without polling; one that ended
 *     is connected to again.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_DBUS_H
#define DAEMON_DBUS_H

#include <systemd/sd-bus.h>
#include <uv.h>

#include "lib/base/error.h"

struct dbus;

/* Who is told when it comes and goes; embedded in its owner. */
struct dbus_user {
	struct dbus_user *next;
	/* The bus has given us a name. */
	void (*connected)(void *cookie, sd_bus *sd);
	/* It has gone, and with it all that was asked for. May be NULL. */
	void (*disconnected)(void *cookie);
	void *cookie;
};

int dbus_new(uv_loop_t *loop, struct dbus **ret, struct error *e) must_check;
/* Begin to connect. Before this, users join. */
void dbus_start(struct dbus *b);
/* What was sent still goes out, within a fraction of a second; users are not
 * told. The memory is released by the loop. NULL is fine. */
struct dbus *dbus_free(struct dbus *b);

/* `user` is borrowed for the life of the bus. */
void dbus_join(struct dbus *b, struct dbus_user *user);

/* NULL while it is not connected; `b` may be NULL. */
sd_bus *dbus_connection(const struct dbus *b);

/* After anything was sent outside of a callback of the bus's. */
void dbus_wake(struct dbus *b);

#endif
