#include "daemon/machine.h"

#include <ctype.h>
#include <stdio.h>

#include "daemon/nic_host.h"
#include "daemon/supervisor_link.h"
#include "lib/base/log.h"
#include "lib/base/parse.h"

#define MACHINED	   "org.freedesktop.machine1"
#define MACHINED_PATH	   "/org/freedesktop/machine1"
#define MACHINED_INTERFACE "org.freedesktop.machine1.Manager"
#define MACHINE_EXISTS	   "org.freedesktop.machine1.MachineExists"
#define NO_MACHINE	   "org.freedesktop.machine1.NoMachineForPID"
#define NO_UNIT		   "org.freedesktop.systemd1.NoSuchUnit"
#define NAME_SIZE	   (VM_NAME_MAX + 1)

struct machines {
	struct manager *manager;
	struct dbus_user user;
	struct registration *list;
	bool absent; /* machined is not installed: told once */
};

/*
 * One VM being registered; one at a time for each, as machined stops the unit
 * of a machine that it fails to register, and it fails for a unit that is one.
 */
struct registration {
	struct machines *machines;
	struct registration *next;
	sd_bus_slot *slot; /* of the call under way */
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

/* The VM, if it still is the one that was asked for. */
static struct vm *vm_of(const struct registration *r)
{
	struct vm *vm = vm_in_memory(r->machines->manager, r->vm_id);

	return vm && vm->supervisor && vm->supervisor->pid == r->pid ? vm
								     : NULL;
}

static void registration_free(struct registration *r)
{
	struct registration **at = &r->machines->list;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	sd_bus_slot_unref(r->slot);
	free(r);
}

static bool is_absent(const sd_bus_error *error)
{
	return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	       sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
	       sd_bus_error_has_name(error, NO_UNIT);
}

static void failed(struct registration *r, const sd_bus_error *error)
{
	struct machines *s = r->machines;
	struct vm *vm = vm_of(r);

	if (is_absent(error) && !s->absent)
		log_info("systemd-machined is not there: machinectl does not "
			 "list the VMs");
	else if (!is_absent(error) && vm)
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "machinectl does not list it: %s",
		       error->message ? error->message : error->name);
	s->absent |= is_absent(error);
	registration_free(r);
}

static void cannot_ask(struct registration *r, int n)
{
	struct vm *vm = vm_of(r);

	if (vm)
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "machinectl does not list it: %s", strerror(-n));
	registration_free(r);
}

static void ask(struct registration *r);

static int on_registered(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct registration *r = cookie;

	r->slot = sd_bus_slot_unref(r->slot);
	if (error && sd_bus_error_has_name(error, MACHINE_EXISTS) &&
	    !r->second) {
		r->second = true;
		ask(r);
	} else if (error) {
		failed(r, error);
	} else {
		r->machines->absent = false;
		registration_free(r);
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

/* Names that differ for us, or a container's: then the uuid decides. */
static void name_of(const struct vm *vm, bool second, char *ret)
{
	char name[NAME_SIZE];

	if (second)
		snprintf(name, sizeof(name), "%.55s-%.8s", vm->config.name,
			 vm->config.uuid);
	machine_name(second ? name : vm->config.name, ret);
}

/* org.freedesktop.machine1(5), RegisterMachineWithNetwork(): the machine is the
 * unit its leader is in. */
static void add_machine(struct registration *r)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	sd_bus *sd = dbus_connection(r->machines->manager->dbus);
	struct vm *vm = vm_of(r);
	char name[NAME_SIZE];
	uint8_t id[16] = {0};
	int taps[VM_NICS_MAX], n;
	size_t n_taps;

	if (!vm || !sd) {
		registration_free(r);
		return;
	}
	n_taps = nic_host_interfaces(vm, taps);
	name_of(vm, r->second, name);
	uuid_bytes(vm->config.uuid, id);
	n = sd_bus_message_new_method_call(sd, &m, MACHINED, MACHINED_PATH,
					   MACHINED_INTERFACE,
					   "RegisterMachineWithNetwork");
	if (n >= 0)
		n = sd_bus_message_append(m, "s", name);
	if (n >= 0)
		n = sd_bus_message_append_array(m, 'y', id, sizeof(id));
	if (n >= 0)
		n = sd_bus_message_append(m, "ssus", "armvmd", "vm",
					  (uint32_t)r->pid, "");
	if (n >= 0)
		n = sd_bus_message_append_array(m, 'i', taps,
						n_taps * sizeof(*taps));
	if (n >= 0)
		n = sd_bus_call_async(sd, &r->slot, m, on_registered, r, 0);
	if (n < 0)
		cannot_ask(r, n);
}

/* One that is registered already, by this daemon or the last, is left alone. */
static int on_known(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct registration *r = cookie;

	r->slot = sd_bus_slot_unref(r->slot);
	if (!error)
		registration_free(r);
	else if (sd_bus_error_has_name(error, NO_MACHINE))
		add_machine(r);
	else
		failed(r, error);
	return 0;
}

static void ask(struct registration *r)
{
	sd_bus *sd = dbus_connection(r->machines->manager->dbus);
	int n = sd ? sd_bus_call_method_async(sd, &r->slot, MACHINED,
					      MACHINED_PATH, MACHINED_INTERFACE,
					      "GetMachineByPID", on_known, r,
					      "u", (uint32_t)r->pid)
		   : -ENOTCONN;

	if (n < 0)
		cannot_ask(r, n);
}

void machines_add(struct machines *s, struct vm *vm)
{
	struct registration *r = s->list;

	while (r && !(r->vm_id == vm->id && r->pid == vm->supervisor->pid))
		r = r->next;
	if (r)
		return;
	r = calloc(1, sizeof(*r));
	if (!r)
		return;
	*r = (struct registration){.machines = s,
				   .next = s->list,
				   .vm_id = vm->id,
				   .pid = vm->supervisor->pid};
	s->list = r;
	ask(r);
	dbus_wake(s->manager->dbus);
}

/* It has been started, perhaps anew: it may not know what ran before. */
static int on_owner(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	const char *name, *before, *now;
	struct machines *s = cookie;

	if (sd_bus_message_read(m, "sss", &name, &before, &now) < 0 || !*now)
		return 0;
	for (struct vm *vm = s->manager->vms; vm; vm = vm->next)
		if (vm->scoped && vm->supervisor)
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

static void on_disconnected(void *cookie)
{
	struct machines *s = cookie;

	while (s->list)
		registration_free(s->list);
}

int machines_new(struct manager *m, struct machines **ret, struct error *e)
{
	struct machines *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	s->manager = m;
	s->user = (struct dbus_user){.connected = on_connected,
				     .disconnected = on_disconnected,
				     .cookie = s};
	dbus_join(m->dbus, &s->user);
	*ret = s;
	return 0;
}

struct machines *machines_free(struct machines *s)
{
	on_disconnected(s);
	free(s);
	return NULL;
}
