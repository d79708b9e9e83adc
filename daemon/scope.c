#include "daemon/scope_internal.h"

#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "daemon/machine.h"
#include "daemon/supervisor_link.h"
#include "daemon/vm_processes.h"
#include "lib/base/log.h"

/* Page tables and rings grow with the guest, code and stacks do not. */
#define OVERHEAD_FIXED	  MIB(128)
#define OVERHEAD_FRACTION 32
/* What a virtiofsd or a passt takes of its own. */
#define OVERHEAD_SERVER MIB(64)
#define CPU_SECOND_USEC 1000000
/* systemd.resource-control(5): the default of CPUWeight=. */
#define CPU_WEIGHT_DEFAULT 100

/* One that systemd was asked for, until the process is in it. */
struct pending {
	struct pending *next;
	struct scopes *scopes;
	int64_t vm_id;
	pid_t pid;
	sd_bus_slot *slot; /* of the request */
	char unit[SCOPE_UNIT_SIZE];
};

struct scopes {
	struct manager *manager;
	struct dbus_user user;
	struct machines *machines;
	struct scope_left *left;
	struct pending *pending;
	/* The end of systemd's jobs; only while something is pending, as they
	 * are everyone's. */
	sd_bus_slot *match;
};

uint64_t scope_memory_max(const struct vm_config *c)
{
	uint64_t servers = c->n_filesystems;

	for (size_t i = 0; i < c->n_nics; i++)
		servers += c->nics[i].user;
	return c->memory_bytes + c->memory_bytes / OVERHEAD_FRACTION +
	       OVERHEAD_FIXED + servers * OVERHEAD_SERVER;
}

uint64_t scope_cpu_quota(const struct vm_config *c)
{
	return (c->vcpus + 1ull) * CPU_SECOND_USEC;
}

static void pending_free(struct pending *p)
{
	struct scopes *s = p->scopes;
	struct pending **at = &s->pending;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	sd_bus_slot_unref(p->slot);
	free(p);
	if (!s->pending)
		s->match = sd_bus_slot_unref(s->match);
}

static struct vm *vm_of(const struct pending *p)
{
	struct vm *vm = vm_in_memory(p->scopes->manager, p->vm_id);

	return vm && vm->supervisor && vm->supervisor->pid == p->pid ? vm
								     : NULL;
}

static void scope_done(struct pending *p, const char *why)
{
	struct vm *vm = vm_of(p);

	if (vm && why) {
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "it runs without a scope of its own: %s", why);
	} else if (vm) {
		vm->scoped = true;
		if (vm_is_served(&vm->config))
			scopes_join(vm);
		machines_add(p->scopes->machines, vm);
	}
	pending_free(p);
}

static struct pending *find(struct scopes *s, const char *unit)
{
	struct pending *p = s->pending;

	while (p && !streq(p->unit, unit))
		p = p->next;
	return p;
}

/* JobRemoved(u id, o job, s unit, s result) */
static int on_job(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	struct scopes *s = cookie;
	const char *job, *unit, *result;
	struct pending *p;
	uint32_t id;

	if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) < 0)
		return 0;
	p = find(s, unit);
	if (p)
		scope_done(p, streq(result, "done") ? NULL : result);
	return 0;
}

/* Accepted; its end is a job's. One that exists is an earlier daemon's. */
static int on_answer(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct scopes *s = cookie;
	struct pending *p = s->pending;

	/* The job may even have ended, and with it what was pending. */
	while (p &&
	       p->slot != sd_bus_get_current_slot(sd_bus_message_get_bus(m)))
		p = p->next;
	if (!p || !error)
		return 0;
	if (sd_bus_error_has_name(error, "org.freedesktop.systemd1.UnitExists"))
		scope_done(p, NULL);
	else
		scope_done(p, error->message ? error->message : error->name);
	return 0;
}

static int append_weight(sd_bus_message *m, const struct vm_config *c)
{
	uint64_t weight = c->cpu_weight ? c->cpu_weight : CPU_WEIGHT_DEFAULT;

	return sd_bus_message_append(m, "(sv)", "CPUWeight", "t", weight);
}

/* org.freedesktop.systemd1(5), StartTransientUnit(): "(sv)" for each. */
static int append_properties(sd_bus_message *m, const struct vm *vm, pid_t pid)
{
	const struct vm_config *c = &vm->config;
	char text[VM_NAME_MAX + 32];
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	snprintf(text, sizeof(text), "Virtual machine %s", c->name);
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "Description", "s", text);
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "Slice", "s",
					  "armvm.slice");
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "PIDs", "au", 1,
					  (uint32_t)pid);
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "MemoryMax", "t",
					  scope_memory_max(c));
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "CPUQuotaPerSecUSec", "t",
					  scope_cpu_quota(c));
	if (r >= 0)
		r = append_weight(m, c);
	/* Or no process could be moved into it later (scopes_join). */
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "Delegate", "b", 1);
	/* A scope whose process failed is not kept: the daemon keeps why. */
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "CollectMode", "s",
					  "inactive-or-failed");
	return r < 0 ? r : sd_bus_message_close_container(m);
}

void scope_unit_name(const struct vm *vm, char ret[SCOPE_UNIT_SIZE])
{
	snprintf(ret, SCOPE_UNIT_SIZE, "armvm-%s-%d.scope", vm->config.uuid,
		 (int)vm->supervisor->pid);
}

static int send_request(struct scopes *s, sd_bus *sd, const struct vm *vm,
			struct pending *p)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(sd, &m, SYSTEMD, SYSTEMD_PATH,
					       SYSTEMD_INTERFACE,
					       "StartTransientUnit");

	if (r >= 0 && !s->match)
		r = sd_bus_match_signal_async(sd, &s->match, SYSTEMD,
					      SYSTEMD_PATH, SYSTEMD_INTERFACE,
					      "JobRemoved", on_job, NULL, s);
	if (r >= 0)
		r = sd_bus_message_append(m, "ss", p->unit, "fail");
	if (r >= 0)
		r = append_properties(m, vm, p->pid);
	if (r >= 0)
		r = sd_bus_message_append(m, "a(sa(sv))", 0);
	return r < 0 ? r : sd_bus_call_async(sd, &p->slot, m, on_answer, s, 0);
}

void scopes_add(struct scopes *s, struct vm *vm)
{
	sd_bus *sd = s ? dbus_connection(s->manager->dbus) : NULL;
	struct pending *p;
	int r;

	vm->scoped = false;
	/* Without the bus now: on_connected() comes back to it. */
	if (!sd)
		return;
	p = calloc(1, sizeof(*p));
	if (!p) {
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "it runs without a scope of its own: out of memory");
		return;
	}
	*p = (struct pending){.next = s->pending,
			      .scopes = s,
			      .vm_id = vm->id,
			      .pid = vm->supervisor->pid};
	scope_unit_name(vm, p->unit);
	s->pending = p;
	r = send_request(s, sd, vm, p);
	if (r < 0)
		scope_done(p, strerror(-r));
	dbus_wake(s->manager->dbus);
}

static int on_updated(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);

	if (error)
		log_warning("the scope of a VM was not changed: %s",
			    error->message ? error->message : error->name);
	return 0;
}

/* SetUnitProperties(s name, b runtime, a(sv) properties) */
void scopes_update(struct scopes *s, struct vm *vm)
{
	sd_bus *sd = s ? dbus_connection(s->manager->dbus) : NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	char unit[SCOPE_UNIT_SIZE];
	int r;

	if (!sd || !vm->scoped || !vm->supervisor)
		return;
	scope_unit_name(vm, unit);
	r = sd_bus_message_new_method_call(sd, &m, SYSTEMD, SYSTEMD_PATH,
					   SYSTEMD_INTERFACE,
					   "SetUnitProperties");
	if (r >= 0)
		r = sd_bus_message_append(m, "sb", unit, 1);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sv)");
	if (r >= 0)
		r = append_weight(m, &vm->config);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_call_async(sd, NULL, m, on_updated, NULL, 0);
	if (r < 0)
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "its scope was not changed: %s", strerror(-r));
	dbus_wake(s->manager->dbus);
}

static void on_connected(void *cookie, sd_bus *sd)
{
	struct scopes *s = cookie;

	for (struct vm *vm = s->manager->vms; vm; vm = vm->next)
		if (vm->supervisor)
			scopes_add(s, vm);
}

/* It is asked for again. */
static void on_disconnected(void *cookie)
{
	struct scopes *s = cookie;

	while (s->pending)
		pending_free(s->pending);
}

int scopes_new(struct manager *m, struct scopes **ret, struct error *e)
{
	struct scopes *s;
	int r;

	*ret = NULL;
	if (sd_booted() <= 0)
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	s->manager = m;
	s->user = (struct dbus_user){.connected = on_connected,
				     .disconnected = on_disconnected,
				     .cookie = s};
	r = machines_new(m, &s->machines, e);
	if (r < 0) {
		free(s);
		return r;
	}
	r = scope_left_new(m, &s->left, e);
	if (r < 0) {
		machines_free(s->machines);
		free(s);
		return r;
	}
	dbus_join(m->dbus, &s->user);
	*ret = s;
	return 0;
}

struct scopes *scopes_free(struct scopes *s)
{
	if (!s)
		return NULL;
	on_disconnected(s);
	machines_free(s->machines);
	scope_left_free(s->left);
	free(s);
	return NULL;
}
