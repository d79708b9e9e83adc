/*
 * Who calls over the bus, and what they may do: the role of their uid and
 * groups, as on the Unix sockets; where that is not enough polkit(8) is asked
 * for org.armvmd1.view, .operate or .admin. Without an answer: no.
 *
 * Uid and groups are those the program had when it connected to the bus
 * (GetConnectionCredentials), so nobody's name service is asked.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_DBUS_AUTH_H
#define DAEMON_DBUS_AUTH_H

#include <systemd/sd-bus.h>

#include "daemon/manager.h"

struct dbus_auth;

struct dbus_question {
	sd_bus_message *message; /* whose sender asks */
	enum api_role need;
	bool polkit; /* it may be asked */
	/* What a rule of polkit's may go by; "" when there is none. */
	const char *method, *vm, *uuid;
};

/* `challenge`: polkit would say yes to who authenticates, which the message
 * did not allow to ask for. `who` is borrowed. */
typedef void dbus_auth_fn(void *cookie, const struct api_identity *who,
			  bool challenge);

int dbus_auth_new(struct manager *m, struct dbus_auth **ret,
		  struct error *e) must_check;
/* Questions that wait are told nothing. NULL is fine. */
struct dbus_auth *dbus_auth_free(struct dbus_auth *a);

/* `fn` is told once, perhaps before this returns. */
void dbus_auth_ask(struct dbus_auth *a, const struct dbus_question *q,
		   dbus_auth_fn *fn, void *cookie);

/* The bus has gone: who was known is forgotten, questions end with a no. */
void dbus_auth_reset(struct dbus_auth *a);

#endif
