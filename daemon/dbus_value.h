/*
 * Between what the bus carries and JSON. Messages are whatever a stranger
 * wrote, which sd-bus has only checked to be well-formed: depth and number of
 * values are bounded here.
 *
 * Errors: -EINVAL (of what a caller gave, with a sentence); -EIO and other
 * negative numbers of sd-bus when a message cannot be written.
 * Thread: no state.
 */
#ifndef DAEMON_DBUS_VALUE_H
#define DAEMON_DBUS_VALUE_H

#include <systemd/sd-bus.h>

#include "daemon/dbus_table.h"

#define DBUS_VALUES_MAX 16384
#define DBUS_TEXT_MAX	MIB(1)

/* The parameters of a call: *ret is an object, owned by the caller. `vm` is the
 * "name" of a method of the VM interface. */
int dbus_params_read(sd_bus_message *m, const struct dbus_method *method,
		     const char *vm, json_object **ret,
		     struct error *e) must_check;

/* The two arguments of Call: method and its parameters. */
int dbus_call_read(sd_bus_message *m, enum api_method_id *ret_method,
		   json_object **ret, struct error *e) must_check;

/* The answer's values; fd is dup'ed by sd-bus. */
int dbus_result_append(sd_bus_message *m, enum dbus_result kind,
		       json_object *result, int fd) must_check;

/* One property's variant, of the object that has its key. */
int dbus_property_append(sd_bus_message *m, const struct dbus_property *p,
			 json_object *object) must_check;
/* "a{sv}" of all whose key the object has. */
int dbus_properties_append(sd_bus_message *m, enum dbus_interface interface,
			   json_object *object) must_check;

#endif
