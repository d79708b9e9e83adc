#include <stdio.h>
#include <time.h>

#include "daemon/supervisor_link.h"
#include "daemon/vm.h"

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int vm_load(struct manager *m, const struct store_vm *row, struct vm **ret,
	    struct error *e)
{
	_cleanup_json_ json_object *config = NULL;
	struct vm *vm, **tail;
	int r;

	r = json_parse(row->config, strlen(row->config), &config, e);
	if (r < 0)
		return r;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return error_set(e, -ENOMEM, "out of memory");
	r = vm_config_from_json(config, &vm->config, e);
	if (r < 0) {
		free(vm);
		return r;
	}
	vm->manager = m;
	vm->id = row->id;
	vm->revision = row->revision;
	vm->state = VM_STOPPED;
	uv_timer_init(m->loop, &vm->shutdown_timer);
	vm->shutdown_timer.data = vm;
	for (tail = &m->vms; *tail;)
		tail = &(*tail)->next;
	*tail = vm;
	*ret = vm;
	return 0;
}

static void vm_free_cb(uv_handle_t *handle)
{
	struct vm *vm = handle->data;

	vm_config_done(&vm->config);
	free(vm);
}

void vm_unload(struct vm *vm)
{
	struct vm **at = &vm->manager->vms;

	while (*at != vm)
		at = &(*at)->next;
	*at = vm->next;
	uv_close((uv_handle_t *)&vm->shutdown_timer, vm_free_cb);
}

static const char *closest_name(struct manager *m, const char *name)
{
	const char *found, **names;
	size_t n = 0;

	for (struct vm *vm = m->vms; vm; vm = vm->next)
		n++;
	names = calloc(n + 1, sizeof(*names));
	if (!names)
		return NULL;
	n = 0;
	for (struct vm *vm = m->vms; vm; vm = vm->next)
		names[n++] = vm->config.name;
	found = parse_closest(name, names);
	free(names);
	return found;
}

struct vm *vm_find(struct manager *m, const char *name, struct error *e)
{
	const char *near;

	for (struct vm *vm = m->vms; vm; vm = vm->next)
		if (streq(vm->config.name, name) ||
		    streq(vm->config.uuid, name))
			return vm;
	near = closest_name(m, name);
	if (near)
		error_set(e, -ENOENT,
			  "no VM named \"%s\"; did you mean \"%s\"?", name,
			  near);
	else
		error_set(e, -ENOENT, "no VM named \"%s\"; see: armvmctl list",
			  name);
	return NULL;
}

void vm_set_state(struct vm *vm, enum vm_state state, const char *reason)
{
	enum vm_state previous = vm->state;
	json_object *fields;

	if (previous == state && streq(vm->reason, reason))
		return;
	vm->state = state;
	snprintf(vm->reason, sizeof(vm->reason), "%s", reason);
	if (!vm_state_active(state))
		vm->started_ms = 0;
	else if (!vm_state_active(previous))
		vm->started_ms = now_ms();
	fields = json_object_new_object();
	json_object_object_add(fields, "state",
			       json_object_new_string(vm_state_name(state)));
	json_object_object_add(fields, "previous",
			       json_object_new_string(vm_state_name(previous)));
	json_object_object_add(fields, "reason",
			       json_object_new_string(vm->reason));
	manager_event(vm->manager, vm, "state", fields);
}

void vm_event(struct vm *vm, const char *kind, const char *detail)
{
	json_object *fields = json_object_new_object();

	json_object_object_add(fields, "detail",
			       json_object_new_string(detail));
	manager_event(vm->manager, vm, kind, fields);
}

static void add_string(json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static void add_int(json_object *o, const char *key, int64_t value)
{
	json_object_object_add(o, key, json_object_new_int64(value));
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

json_object *vm_to_json(const struct vm *vm, bool whole)
{
	const struct vm_config *c = &vm->config;
	json_object *o = json_object_new_object();

	add_string(o, "name", c->name);
	add_string(o, "uuid", c->uuid);
	add_string(o, "state", vm_state_name(vm->state));
	add_string(o, "reason", vm->reason);
	add_string(o, "hypervisor", hypervisor_name(c->hypervisor));
	add_int(o, "vcpus", c->vcpus);
	add_int(o, "memory", (int64_t)c->memory_bytes);
	add_int(o, "disks", (int64_t)c->n_disks);
	add_int(o, "nics", (int64_t)c->n_nics);
	add_int(o, "pid", vm->supervisor ? vm->supervisor->pid : 0);
	add_int(o, "started_ms", vm->started_ms);
	add_int(o, "revision", vm->revision);
	if (whole)
		json_object_object_add(o, "config", vm_config_to_json(c));
	return o;
}
