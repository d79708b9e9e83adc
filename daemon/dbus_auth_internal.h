/*
 * Shared by dbus_auth.c (who it is) and dbus_polkit.c (what polkit says).
 */
#ifndef DAEMON_DBUS_AUTH_INTERNAL_H
#define DAEMON_DBUS_AUTH_INTERNAL_H

#include "daemon/dbus_auth.h"

#define DBUS_SENDER_MAX 256 /* a name on the bus has at most 255 bytes */

/* One question under way. */
struct dbus_ask {
	struct dbus_auth *auth;
	struct dbus_ask *next;
	sd_bus_message *message;
	sd_bus_slot *slot; /* of the call under way; NULL: none */
	char sender[DBUS_SENDER_MAX];
	enum api_role need;
	bool polkit;
	char *method, *vm, *uuid;
	uint64_t cancellation; /* its id with polkit */
	struct api_identity who;
	dbus_auth_fn *fn;
	void *cookie;
};

/* The answer; frees `k`. */
void dbus_ask_finish(struct dbus_ask *k, bool challenge);

/* Ask polkit; ends in dbus_ask_finish(), perhaps at once. */
void dbus_polkit_ask(struct dbus_ask *k, uint64_t number);

#endif
