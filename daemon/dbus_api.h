/*
 * The API on the system bus: the name org.armvmd1, the manager at
 * /org/armvmd1 and an object for each VM, named by its uuid. Objects are not
 * held anywhere: a VM at rest costs the bus nothing, and a call finds it as
 * any call does. Every call, also one that reads a property, becomes a call of
 * the API's methods (api_call_outer()), which judge it.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_DBUS_API_H
#define DAEMON_DBUS_API_H

#include "daemon/dbus.h"
#include "daemon/manager.h"

struct dbus_api;

/* Joins `bus`, which must outlive it. */
int dbus_api_new(struct manager *m, struct dbus *bus, struct dbus_api **ret,
		 struct error *e) must_check;
/* After the API's server has ended. NULL is fine. */
struct dbus_api *dbus_api_free(struct dbus_api *a);

/* Signals of an event, which is durable. NULL is fine. */
void dbus_api_event(struct dbus_api *a, json_object *event);
/* Signals of a job's begin or end, in their turn among the events. NULL is
 * fine. dbus_api_note() is what api_handlers.note calls. */
void dbus_api_job(struct dbus_api *a, const struct store_job *job, bool ended);
void dbus_api_note(struct dbus_api *a, json_object *note);

#endif
