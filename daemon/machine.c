#include "daemon/machine.h"

#include <ctype.h>
#include <stdio.h>

#include "daemon/supervisor_link.h"
#include "lib/base/log.h"
#include "lib/base/parse.h"

#define MACHINED	   "org.freedesktop.machine1"
#define MACHINED_PATH	   "/org/freedesktop/machine1"
#define MACHINED_INTERFACE "org.freedesktop.machine1.Manager"
#define MACHINE_EXISTS	   "org.freedesktop.machine1.MachineExists"
#define NAME_SIZE	   (VM_NAME_MAX + 1)

struct machines {
	struct manager *manager;
	struct dbus_user user;
	bool absent; /* machined is not installed: told once */
};

/* One VM being registered. */
struct registration {
	struct machines *machines;
	int64_t vm_id;
	pid_t pid;
	bool second; /* its name was another machine's */
};

void machine_name(const char *vm, char *ret)
{
	size_t n = 0;

	for (const char *p = vm; *p && n < VM_NAME_MAX; p++) {
		bool inside = n > 0 && isalnum((unsigned char)ret[n - 1]) &&
			      isalnum((unsigned char)p[1]);

		if (isalnum((unsigned char)*p) || (*p == '.' && inside))
			ret[n++] = *p;
		else
			ret[n++] = '-';
	}
	while (n > 0 && ret[n - 1] == '-')
		n--;
	ret[n] = '\0';
}

static void add_machine(struct machines *s, const struct registration *r);

/* The VM, if it still is the one that was asked for. */
static struct vm *vm_of(const struct registration *r)
{
	struct vm *vm = vm_in_memory(r->machines->manager, r->vm_id);

	return vm && vm->supervisor && vm->supervisor->pid == r->pid ? vm
								     : NULL;
}

static int call(struct machines *s, sd_bus_message *m,
		sd_bus_message_handler_t handler, const struct registration *r)
{
	struct registration *copy = malloc(sizeof(*copy));
	sd_bus_slot *slot = NULL;
	int n = -ENOMEM;

	if (copy) {
		*copy = *r;
		n = sd_bus_call_async(sd_bus_message_get_bus(m), &slot, m,
				      handler, copy, 0);
	}
	if (n < 0) {
		free(copy);
		return n;
	}
	sd_bus_slot_set_destroy_callback(slot, free);
	sd_bus_slot_set_floating(slot, 1);
	sd_bus_slot_unref(slot);
	dbus_wake(s->manager->dbus);
	return 0;
}

static void failed(const struct registration *r, const sd_bus_error *error)
{
	struct vm *vm = vm_of(r);
	bool absent =
		sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
		sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
		sd_bus_error_has_name(error,
				      "org.freedesktop.systemd1.NoSuchUnit");

	if (absent && !r->machines->absent)
		log_info("systemd-machined is not there: machinectl does not "
			 "list the VMs");
	r->machines->absent |= absent;
	if (!absent && vm)
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "machinectl does not list it: %s",
		       error->message ? error->message : error->name);
}

static int on_registered(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct registration *r = cookie;

	if (error && sd_bus_error_has_name(error, MACHINE_EXISTS) &&
	    !r->second) {
		r->second = true;
		add_machine(r->machines, r);
	} else if (error) {
		failed(r, error);
	} else {
		r->machines->absent = false;
	}
	return 0;
}

/* Of the text form, which is valid. */
static void uuid_bytes(const char *text, uint8_t ret[16])
{
	unsigned byte;

	for (size_t i = 0; i < 16; i++) {
		text += *text == '-';
		if (sscanf(text, "%2x", &byte) == 1)
			ret[i] = (uint8_t)byte;
		text += 2;
	}
}

/* org.freedesktop.machine1(5), RegisterMachine(): the machine is the unit its
 * leader is in. */
static void add_machine(struct machines *s, const struct registration *r)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	sd_bus *sd = dbus_connection(s->manager->dbus);
	char name[NAME_SIZE + 16];
	struct vm *vm = vm_of(r);
	uint8_t id[16] = {0};
	int n;

	if (!vm || !sd)
		return;
	machine_name(vm->config.name, name);
	/* Names that differ for us, or a container's: the uuid decides. */
	if (r->second)
		snprintf(name, sizeof(name), "%.55s-%.8s", vm->config.name,
			 vm->config.uuid);
	if (r->second)
		machine_name(name, name);
	uuid_bytes(vm->config.uuid, id);
	n = sd_bus_message_new_method_call(sd, &m, MACHINED, MACHINED_PATH,
					   MACHINED_INTERFACE,
					   "RegisterMachine");
	if (n >= 0)
		n = sd_bus_message_append(m, "s", name);
	if (n >= 0)
		n = sd_bus_message_append_array(m, 'y', id, sizeof(id));
	if (n >= 0)
		n = sd_bus_message_append(m, "ssus", "armvmd", "vm",
					  (uint32_t)r->pid, "");
	if (n >= 0)
		n = call(s, m, on_registered, r);
	if (n < 0)
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "machinectl does not list it: %s", strerror(-n));
}

/* One that is registered already, by this daemon or the last, is left alone. */
static int on_known(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct registration *r = cookie;

	if (!error)
		return 0;
	if (sd_bus_error_has_name(error,
				  "org.freedesktop.machine1.NoMachineForPID"))
		add_machine(r->machines, r);
	else
		failed(r, error);
	return 0;
}

static void ask(struct machines *s, const struct registration *r)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	sd_bus *sd = dbus_connection(s->manager->dbus);
	int n = sd ? sd_bus_message_new_method_call(
			     sd, &m, MACHINED, MACHINED_PATH,
			     MACHINED_INTERFACE, "GetMachineByPID")
		   : -ENOTCONN;

	if (n >= 0)
		n = sd_bus_message_append(m, "u", (uint32_t)r->pid);
	if (n >= 0)
		n = call(s, m, on_known, r);
	if (n < 0)
		log_debug("systemd-machined cannot be asked: %s", strerror(-n));
}

void machines_add(struct machines *s, struct vm *vm)
{
	struct registration r = {.machines = s, .vm_id = vm->id};

	if (!s || !vm->supervisor)
		return;
	r.pid = vm->supervisor->pid;
	ask(s, &r);
}

/* It has been started, perhaps anew: it may not know what ran before. */
static int on_owner(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	const char *name, *before, *now;
	struct machines *s = cookie;

	if (sd_bus_message_read(m, "sss", &name, &before, &now) < 0 || !*now)
		return 0;
	for (struct vm *vm = s->manager->vms; vm; vm = vm->next)
		if (vm->scoped)
			machines_add(s, vm);
	return 0;
}

static void on_connected(void *cookie, sd_bus *sd)
{
	struct machines *s = cookie;

	s->absent = false;
	(void)!sd_bus_add_match_async(
		sd, NULL,
		"type='signal',sender='org.freedesktop.DBus',"
		"interface='org.freedesktop.DBus',member='NameOwnerChanged',"
		"arg0='" MACHINED "'",
		on_owner, NULL, s);
}

int machines_new(struct manager *m, struct machines **ret, struct error *e)
{
	struct machines *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	s->manager = m;
	s->user = (struct dbus_user){.connected = on_connected, .cookie = s};
	dbus_join(m->dbus, &s->user);
	*ret = s;
	return 0;
}

struct machines *machines_free(struct machines *s)
{
	free(s);
	return NULL;
}
