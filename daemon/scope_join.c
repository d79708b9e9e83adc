/* What serves a VM, moved into its scope. */
#include "daemon/scope_internal.h"

#include "daemon/supervisor_link.h"
#include "daemon/vm_processes.h"
#include "lib/base/log.h"

static int on_joined(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);

	if (error)
		log_warning("what serves a VM stays outside of its scope: %s",
			    error->message ? error->message : error->name);
	return 0;
}

/* AttachProcessesToUnit(s name, s subcgroup, au pids) */
void scopes_join(struct vm *vm)
{
	sd_bus *sd = dbus_connection(vm->manager->dbus);
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	_Static_assert(sizeof(pid_t) == sizeof(uint32_t), "an array of them");
	pid_t pids[VM_PROCESSES_MAX];
	char unit[SCOPE_UNIT_SIZE];
	size_t n;
	int r;

	if (!sd || !vm->scoped || !vm->supervisor)
		return;
	n = vm_processes(vm, pids);
	if (n == 0)
		return;
	scope_unit_name(vm, unit);
	r = sd_bus_message_new_method_call(sd, &m, SYSTEMD, SYSTEMD_PATH,
					   SYSTEMD_INTERFACE,
					   "AttachProcessesToUnit");
	if (r >= 0)
		r = sd_bus_message_append(m, "ss", unit, "");
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'u', pids,
						n * sizeof(*pids));
	if (r >= 0)
		r = sd_bus_call_async(sd, NULL, m, on_joined, NULL, 0);
	if (r < 0)
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "what serves it stays outside of its scope: %s",
		       strerror(-r));
	dbus_wake(vm->manager->dbus);
}
