/*
 * A VM as the API shows it: api/api.h documents it.
 */
#include "daemon/supervisor_link.h"
#include "daemon/vm.h"

/* The keys are ours and new in the object: json-c need neither copy nor look
 * them up, which is most of the cost of a long list. */
#define KEY_FLAGS (JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_KEY_IS_CONSTANT)

static void add(json_object *o, const char *key, json_object *value)
{
	json_object_object_add_ex(o, key, value, KEY_FLAGS);
}

static void add_string(json_object *o, const char *key, const char *value)
{
	add(o, key, json_object_new_string(value));
}

static void add_int(json_object *o, const char *key, int64_t value)
{
	add(o, key, json_object_new_int64(value));
}

static const char *hypervisor_name(int hypervisor)
{
	static const char *const names[] = {
		[VM_HYPERVISOR_AUTO] = "auto",
		[VM_HYPERVISOR_KVM] = "kvm",
		[VM_HYPERVISOR_XEN] = "xen",
		[VM_HYPERVISOR_NULL] = "null",
	};

	return names[hypervisor];
}

/* The row an active VM would have; its strings are borrowed. */
static struct store_vm_row row_of(const struct vm *vm)
{
	const struct vm_config *c = &vm->config;

	return (struct store_vm_row){
		.id = vm->id,
		.revision = vm->revision,
		.started_ms = vm->started_ms,
		.uuid = c->uuid,
		.name = c->name,
		.state = vm_state_name(vm->state),
		.reason = vm->reason,
		.hypervisor = hypervisor_name(c->hypervisor),
		.vcpus = c->vcpus,
		.memory = (int64_t)c->memory_bytes,
		.disks = (int64_t)c->n_disks,
		.nics = (int64_t)c->n_nics,
		.autostart = c->autostart,
	};
}

/* `labels` is consumed. */
static json_object *to_json(const struct store_vm_row *row, pid_t pid,
			    json_object *labels)
{
	json_object *o = json_object_new_object();

	add_string(o, "name", row->name);
	add_string(o, "uuid", row->uuid);
	add_string(o, "state", row->state);
	add_string(o, "reason", row->reason);
	add_string(o, "hypervisor", row->hypervisor);
	add_int(o, "vcpus", row->vcpus);
	add_int(o, "memory", row->memory);
	add_int(o, "disks", row->disks);
	add_int(o, "nics", row->nics);
	add_int(o, "pid", pid);
	add_int(o, "started_ms", row->started_ms);
	add_int(o, "revision", row->revision);
	add(o, "labels", labels);
	add(o, "autostart", json_object_new_boolean(row->autostart));
	return o;
}

json_object *vm_to_json(const struct vm *vm, bool whole)
{
	struct store_vm_row row = row_of(vm);
	json_object *o = to_json(&row, vm->supervisor ? vm->supervisor->pid : 0,
				 vm->config.labels
					 ? json_object_get(vm->config.labels)
					 : json_object_new_object());

	if (whole)
		add(o, "config", vm_config_to_json(&vm->config));
	return o;
}

json_object *vm_row_to_json(struct manager *m, const struct store_vm_row *row)
{
	const struct vm *vm = vm_in_memory(m, row->id);
	json_object *labels = NULL;

	if (vm && vm_state_active(vm->state))
		return vm_to_json(vm, false);
	if (streq(row->labels, "{}") ||
	    json_parse(row->labels, strlen(row->labels), &labels, NULL) < 0)
		labels = json_object_new_object();
	return to_json(row, 0, labels);
}
