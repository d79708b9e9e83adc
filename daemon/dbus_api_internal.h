/*
 * Shared by dbus_api.c (a call's way), dbus_objects.c (what the interfaces of
 * the D-Bus specification answer) and dbus_signal.c.
 */
#ifndef DAEMON_DBUS_API_INTERNAL_H
#define DAEMON_DBUS_API_INTERNAL_H

#include "daemon/dbus_api.h"
#include "daemon/dbus_auth.h"
#include "daemon/dbus_table.h"
#include "daemon/dbus_value.h"
#include "lib/base/parse.h"

/* Calls under way, of one sender and of all. */
#define DBUS_SENDER_CALLS_MAX 64
#define DBUS_CALLS_MAX	      1024
/* Objects that are listed at once; who has more uses ListVMs, in pages. */
#define DBUS_OBJECTS_MAX 10000
#define DBUS_PAGE	 500

#define DBUS_PROPERTIES	    "org.freedesktop.DBus.Properties"
#define DBUS_OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"
#define DBUS_INTROSPECTABLE "org.freedesktop.DBus.Introspectable"

struct dbus_api {
	struct manager *manager;
	struct dbus *bus;
	struct dbus_user user;
	struct dbus_table *table;
	struct dbus_auth *auth;
	struct dbus_call *calls;
	unsigned n_calls;
	/* Events nobody was told of, since the bus did not take them. */
	int64_t lost_first, lost_last;
};

enum dbus_target { DBUS_TARGET_MANAGER, DBUS_TARGET_VMS, DBUS_TARGET_VM };

struct dbus_call;

/* Answers with dbus_call_send() or dbus_call_fail(), or makes another call with
 * dbus_call_run(); `result` is borrowed, and so is fd. */
typedef void dbus_answer_fn(struct dbus_call *c, json_object *result, int fd);

/* One message on its way to its answer. */
struct dbus_call {
	struct dbus_api *api;
	struct dbus_call *next;
	sd_bus_message *message, *reply;
	enum dbus_target target;
	char uuid[UUID_TEXT_SIZE]; /* of the VM it is about, "" if none */
	enum api_method_id method;
	json_object *params;
	struct api_identity who;
	bool challenge;	  /* denied, and polkit would let who authenticates */
	bool asks_polkit; /* it may be asked */
	bool optional;	  /* without the right, there is a lesser answer */
	dbus_answer_fn *answer;
	enum dbus_result result;
	const struct dbus_property *property; /* of Get */
	/* Of what is listed by pages. */
	uv_timer_t *timer;
	json_object *page;
	size_t listed;
	FILE *xml;
	char *xml_text;
	size_t xml_size;
};

/* The method and its params are set: who calls is found out, then it runs. */
void dbus_call_begin(struct dbus_call *c);
/* Run it (again), in this turn. */
void dbus_call_run(struct dbus_call *c);
/* These end the call. `reply` is consumed; with r < 0 that is what went wrong
 * in making it. */
void dbus_call_send(struct dbus_call *c, int r, sd_bus_message *reply);
void dbus_call_fail(struct dbus_call *c, const struct error *e);
void dbus_call_fail_name(struct dbus_call *c, const char *name,
			 const char *message);
/* The methods of the specification's interfaces; false: it is none. */
bool dbus_objects_method(struct dbus_call *c, const char *interface,
			 const char *member);

/* dbus_signal.c: the bus is there (again). */
void dbus_signals_lost(struct dbus_api *a);

#endif
