/*
 * What the bus is told by itself. Who may receive it is the bus's affair, by
 * its policy (units/org.armvmd1.conf).
 */
#include "daemon/dbus_api_internal.h"

#include "daemon/vm.h"
#include "lib/base/log.h"

/* Messages that may wait for a bus that does not take them. */
#define QUEUE_MAX 4096

static const char *text_of(json_object *o, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(o, key, &value);
	return value ? json_object_get_string(value) : "";
}

/* `m` is consumed; r < 0: it could not be made. */
static void emit(sd_bus *sd, int r, sd_bus_message *m)
{
	if (r >= 0)
		r = sd_bus_send(sd, m, NULL);
	sd_bus_message_unref(m);
	if (r < 0)
		log_debug("a signal was not sent: %s", strerror(-r));
}

static void vm_added(sd_bus *sd, const char *name, const char *path,
		     json_object *vm)
{
	sd_bus_message *m = NULL;
	int r = sd_bus_emit_signal(sd, DBUS_ROOT, DBUS_MANAGER_INTERFACE,
				   "VMAdded", "so", name, path);

	if (r >= 0)
		r = sd_bus_message_new_signal(sd, &m, DBUS_ROOT,
					      DBUS_OBJECT_MANAGER,
					      "InterfacesAdded");
	if (r >= 0)
		r = sd_bus_message_append(m, "o", path);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{sa{sv}}");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'e', "sa{sv}");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", DBUS_VM_INTERFACE);
	if (r >= 0)
		r = dbus_properties_append(m, DBUS_VM, vm);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	emit(sd, r, m);
}

static void vm_removed(sd_bus *sd, const char *name, const char *path)
{
	int r = sd_bus_emit_signal(sd, DBUS_ROOT, DBUS_MANAGER_INTERFACE,
				   "VMRemoved", "so", name, path);

	if (r >= 0)
		r = sd_bus_emit_signal(sd, DBUS_ROOT, DBUS_OBJECT_MANAGER,
				       "InterfacesRemoved", "oas", path, 1,
				       DBUS_VM_INTERFACE);
	if (r < 0)
		log_debug("a signal was not sent: %s", strerror(-r));
}

/* Those of `values` (members named as vm.get names them) have changed; what
 * follows from the state, or with `definition` from that, is read again. */
static void changed(sd_bus *sd, const char *path, json_object *values,
		    bool definition)
{
	const struct dbus_property *p = dbus_properties(DBUS_VM);
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_signal(sd, &m, path, DBUS_PROPERTIES,
					  "PropertiesChanged");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", DBUS_VM_INTERFACE);
	if (r >= 0)
		r = dbus_properties_append(m, DBUS_VM, values);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "s");
	for (; r >= 0 && p->name; p++)
		if (streq(p->emits, "invalidates") &&
		    streq(p->key, "config") == definition)
			r = sd_bus_message_append(m, "s", p->name);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	emit(sd, r, m);
}

static void state_changed(sd_bus *sd, const char *path, json_object *event)
{
	_cleanup_json_ json_object *values = json_object_new_object();
	const char *state = text_of(event, "state");
	const char *reason = text_of(event, "reason");
	int r = sd_bus_emit_signal(sd, path, DBUS_VM_INTERFACE, "StateChanged",
				   "sss", state, text_of(event, "previous"),
				   reason);

	if (r < 0)
		return;
	json_object_object_add(values, "state", json_object_new_string(state));
	json_object_object_add(values, "reason",
			       json_object_new_string(reason));
	changed(sd, path, values, false);
}

/* Events that leave the definition, and with it properties, as they were. */
static bool keeps_definition(const char *kind)
{
	return !streq(kind, "defined") && !streq(kind, "updated") &&
	       !streq(kind, "renamed") && !streq(kind, "device");
}

static void of_vm(struct dbus_api *a, sd_bus *sd, json_object *event)
{
	const char *kind = text_of(event, "kind"), *uuid = text_of(event, "vm");
	const char *name = text_of(event, "name");
	_cleanup_json_ json_object *json = NULL;
	char path[DBUS_PATH_MAX];
	struct vm *vm;

	if (!uuid_valid(uuid))
		return;
	dbus_vm_path(uuid, path);
	if (streq(kind, "deleted"))
		vm_removed(sd, name, path);
	else if (streq(kind, "state"))
		state_changed(sd, path, event);
	if (keeps_definition(kind))
		return;
	/* As it is by now; it may have gone again. */
	vm = vm_find(a->manager, uuid, NULL);
	json = vm ? vm_to_json(vm, false) : NULL;
	if (json && streq(kind, "defined"))
		vm_added(sd, name, path, json);
	else if (json)
		changed(sd, path, json, true);
}

void dbus_signals_lost(struct dbus_api *a)
{
	sd_bus *sd = dbus_connection(a->bus);

	if (!a->lost_last || !sd)
		return;
	(void)!sd_bus_emit_signal(sd, DBUS_ROOT, DBUS_MANAGER_INTERFACE,
				  "EventsLost", "tt", (uint64_t)a->lost_first,
				  (uint64_t)a->lost_last);
	a->lost_first = a->lost_last = 0;
}

/* A bus that takes nothing costs no more memory than this. */
static bool can_take(sd_bus *sd)
{
	uint64_t queued = 0;

	return sd && sd_bus_get_n_queued_write(sd, &queued) >= 0 &&
	       queued < QUEUE_MAX;
}

void dbus_api_event(struct dbus_api *a, json_object *event)
{
	json_object *number = NULL;
	sd_bus *sd = a ? dbus_connection(a->bus) : NULL;
	int64_t seq;

	if (!a)
		return;
	json_object_object_get_ex(event, "seq", &number);
	seq = json_object_get_int64(number);
	if (!can_take(sd)) {
		a->lost_last = seq;
		if (!a->lost_first)
			a->lost_first = seq;
		return;
	}
	dbus_signals_lost(a);
	(void)!sd_bus_emit_signal(sd, DBUS_ROOT, DBUS_MANAGER_INTERFACE,
				  "Event", "ts", (uint64_t)seq,
				  json_text(event));
	of_vm(a, sd, event);
	dbus_wake(a->bus);
}

void dbus_api_note(struct dbus_api *a, json_object *note)
{
	sd_bus *sd = a ? dbus_connection(a->bus) : NULL;
	const char *state = text_of(note, "state");
	json_object *number = NULL;
	int64_t id;

	if (!can_take(sd))
		return;
	json_object_object_get_ex(note, "id", &number);
	id = json_object_get_int64(number);
	if (*state)
		(void)!sd_bus_emit_signal(sd, DBUS_ROOT, DBUS_MANAGER_INTERFACE,
					  "JobRemoved", "xsss", id,
					  text_of(note, "method"),
					  text_of(note, "vm"), state);
	else
		(void)!sd_bus_emit_signal(
			sd, DBUS_ROOT, DBUS_MANAGER_INTERFACE, "JobNew", "xss",
			id, text_of(note, "method"), text_of(note, "vm"));
	dbus_wake(a->bus);
}

void dbus_api_job(struct dbus_api *a, const struct store_job *job, bool ended)
{
	_cleanup_json_ json_object *note = NULL;

	if (!a || !dbus_connection(a->bus) || !a->manager->server)
		return;
	note = json_object_new_object();
	json_object_object_add(note, "id", json_object_new_int64(job->id));
	json_object_object_add(note, "method",
			       json_object_new_string(job->method));
	json_object_object_add(note, "vm", json_object_new_string(job->vm));
	json_object_object_add(note, "state",
			       json_object_new_string(ended ? job->state : ""));
	api_server_note(a->manager->server, note);
}
