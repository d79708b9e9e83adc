/*
 * Scopes whose process was dead when systemd moved it. The kernel lets a
 * process that has exited, and that nobody has reaped yet, be written to a
 * control group without becoming part of it; so that group never becomes empty,
 * systemd (252) is told of no end, and the scope stays "running" for good. Each
 * VM's end ends its scope therefore, and what a daemon that was killed could
 * not end the next one does.
 */
#include "daemon/scope_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/supervisor_link.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define NO_UNIT "org.freedesktop.systemd1.NoSuchUnit"
/* The bus may forward a dead daemon's last request after the first look. */
#define LOOK_AGAIN_MS 10000

struct scope_left {
	struct manager *manager;
	struct dbus_user user;
	uv_timer_t again;
	sd_bus_slot *slot; /* of the question under way */
};

static int on_stopped(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);

	if (error && !sd_bus_error_has_name(error, NO_UNIT))
		log_warning("the scope of a VM that has ended stays: %s",
			    error->message ? error->message : error->name);
	return 0;
}

/* StopUnit(s name, s mode); "replace": also when it is about to start. */
static void stop_unit(sd_bus *sd, const char *unit)
{
	int r = sd_bus_call_method_async(
		sd, NULL, SYSTEMD, SYSTEMD_PATH, SYSTEMD_INTERFACE, "StopUnit",
		on_stopped, NULL, "ss", unit, "replace");

	if (r < 0)
		log_warning("%s stays: %s", unit, strerror(-r));
}

void scopes_end(struct scopes *s, const struct vm *vm)
{
	struct dbus *dbus = vm->manager->dbus;
	sd_bus *sd = s ? dbus_connection(dbus) : NULL;
	char unit[SCOPE_UNIT_SIZE];

	if (!sd)
		return;
	scope_unit_name(vm, unit);
	stop_unit(sd, unit);
	dbus_wake(dbus);
}

static bool is_of_a_run(const struct manager *m, const char *unit)
{
	int pid;

	if (sscanf(unit, "armvm-%*36[0-9a-f-]-%d.scope", &pid) != 1)
		return true; /* none of ours */
	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		if (vm->supervisor && vm->supervisor->pid == pid)
			return true;
	return false;
}

/* By what the kernel says (cgroups(7)); also of another daemon's, which is
 * left alone as long as anybody is in there. */
static bool is_empty(const char *unit)
{
	char path[128], text[128];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/fs/cgroup/armvm.slice/%s/%s", unit,
		 "cgroup.events");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return false;
	text[n] = '\0';
	return strstr(text, "populated 0\n");
}

/* a(ssssssouso), of which the name is the first. */
static int on_listed(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	struct scope_left *l = cookie;
	sd_bus *sd = sd_bus_message_get_bus(m);
	const char *unit;

	l->slot = sd_bus_slot_unref(l->slot);
	if (sd_bus_message_is_method_error(m, NULL) ||
	    sd_bus_message_enter_container(m, 'a', "(ssssssouso)") < 0)
		return 0;
	while (sd_bus_message_enter_container(m, 'r', "ssssssouso") > 0 &&
	       sd_bus_message_read(m, "s", &unit) > 0) {
		if (!is_of_a_run(l->manager, unit) && is_empty(unit)) {
			log_info("%s: its process had ended when systemd moved "
				 "it; stopped",
				 unit);
			stop_unit(sd, unit);
		}
		if (sd_bus_message_skip(m, "sssssouso") < 0 ||
		    sd_bus_message_exit_container(m) < 0)
			break;
	}
	return 0;
}

/* ListUnitsByPatterns(as states, as patterns). A scope is active once its
 * process was moved, so one that is about to start is not taken for empty. */
static void look(struct scope_left *l)
{
	sd_bus *sd = dbus_connection(l->manager->dbus);

	if (!sd || l->slot)
		return;
	if (sd_bus_call_method_async(sd, &l->slot, SYSTEMD, SYSTEMD_PATH,
				     SYSTEMD_INTERFACE, "ListUnitsByPatterns",
				     on_listed, l, "asas", 1, "active", 1,
				     "armvm-*.scope") < 0)
		log_warning("systemd is not asked for scopes left behind");
	dbus_wake(l->manager->dbus);
}

static void again_cb(uv_timer_t *timer)
{
	look(timer->data);
}

static void on_connected(void *cookie, sd_bus *sd)
{
	struct scope_left *l = cookie;

	look(l);
	uv_timer_start(&l->again, again_cb, LOOK_AGAIN_MS, 0);
}

static void on_disconnected(void *cookie)
{
	struct scope_left *l = cookie;

	l->slot = sd_bus_slot_unref(l->slot);
	uv_timer_stop(&l->again);
}

int scope_left_new(struct manager *m, struct scope_left **ret, struct error *e)
{
	struct scope_left *l = calloc(1, sizeof(*l));

	if (!l)
		return error_set(e, -ENOMEM, "out of memory");
	l->manager = m;
	l->user = (struct dbus_user){.connected = on_connected,
				     .disconnected = on_disconnected,
				     .cookie = l};
	uv_timer_init(m->loop, &l->again);
	l->again.data = l;
	dbus_join(m->dbus, &l->user);
	*ret = l;
	return 0;
}

static void free_cb(uv_handle_t *handle)
{
	free(handle->data);
}

void scope_left_free(struct scope_left *l)
{
	if (!l)
		return;
	on_disconnected(l);
	uv_close((uv_handle_t *)&l->again, free_cb);
}
