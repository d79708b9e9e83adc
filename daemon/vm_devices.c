/* Adding, removing and listing: at rest in the definition, else by an op. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "daemon/device_op.h"
#include "daemon/nic_host.h"
#include "daemon/resource.h"
#include "daemon/supervisor_link.h"
#include "daemon/vm_device_config.h"
#include "lib/base/fd.h"

#define LIST_TIMEOUT_MS 10000

static void add_text(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

/* What the guest needs of the host, and is judged before anything changes. */
static int device_open(struct vm *vm, const struct vm_config *next,
		       enum vm_device_kind kind, bool use, struct nic_host *ret,
		       struct error *e)
{
	int r;

	if (kind != VM_DEVICE_DISK)
		return use && vm->hypervisor != VM_HYPERVISOR_XEN
			       ? nic_host_open(&next->nics[next->n_nics - 1],
					       vm, ret, e)
			       : 0;
	r = resources_disk_open(&next->disks[next->n_disks - 1], use,
				&ret->fds.fds[0], e);
	ret->fds.n = r == 0;
	return r;
}

static int check_slotted(const struct vm_config *next, enum vm_device_kind kind,
			 struct error *e)
{
	int bus = kind == VM_DEVICE_DISK ? next->disks[next->n_disks - 1].bus
					 : next->nics[next->n_nics - 1].bus;

	return bus == VM_DEVICE_BUS_PCIE
		       ? 0
		       : error_set(e, -EOPNOTSUPP,
				   "bus: only devices on pcie can be added "
				   "while %s runs",
				   next->name);
}

static int add_live(struct vm *vm, const struct device_add *p,
		    struct vm_config *next, struct api_call *call,
		    struct error *e)
{
	_cleanup_json_ json_object *config = device_config_last(next, p->kind);
	const char *id = device_text(config, "id");
	_cleanup_nic_host_ struct nic_host host = {0};
	json_object *body;
	struct device_op *op;
	int r;

	r = vm_request_check(vm->config.name, vm->state, VM_REQUEST_HOTPLUG, e);
	if (r == 0)
		r = check_slotted(next, p->kind, e);
	if (r == 0)
		r = device_open(vm, next, p->kind, true, &host, e);
	if (r == 0)
		r = device_op_new(vm, p->kind, id, false, call, &op, e);
	if (r < 0)
		return r;
	op->add = true;
	op->live = p->live;
	op->timeout_ms = p->timeout_ms ? p->timeout_ms : DEVICE_ADD_TIMEOUT_MS;
	op->config = json_object_get(config);
	op->host = host;
	host = (struct nic_host){0};
	device_op_event(op, VM_DEVICE_REQUESTED, "");
	body = json_object_new_object();
	add_text(body, "kind", vm_device_kind_name(p->kind));
	json_object_object_add(body, "config", json_object_get(config));
	device_op_request(op, "attach", body);
	return 0;
}

static json_object *defined_result(json_object *config, bool persistent)
{
	json_object *result = json_object_get(config);

	add_text(result, "state", persistent ? "defined" : "released");
	add_text(result, "address", "");
	add_text(result, "driver", "");
	json_object_object_add(result, "persistent",
			       json_object_new_boolean(persistent));
	return result;
}

static int live_only_at_rest(struct vm *vm, struct error *e)
{
	return error_set_code(e, ERROR_STATE,
			      "%s is %s: there is no running guest to change; "
			      "leave out --live to change the definition",
			      vm->config.name, vm_state_name(vm->state));
}

static int add_at_rest(struct vm *vm, const struct device_add *p,
		       struct vm_config *next, struct api_call *call,
		       struct error *e)
{
	_cleanup_json_ json_object *config = device_config_last(next, p->kind);
	_cleanup_nic_host_ struct nic_host host = {0};
	int r = p->live ? live_only_at_rest(vm, e)
			: device_open(vm, next, p->kind, false, &host, e);

	if (r == 0)
		r = resources_check(vm->manager, next, e);
	if (r == 0)
		r = device_config_store(vm, next, e);
	if (r == 0)
		api_call_reply(call, defined_result(config, true), -1);
	return r;
}

void vm_device_add(struct vm *vm, const struct device_add *p,
		   struct api_call *call)
{
	_cleanup_vm_config_ struct vm_config next = {0};
	struct error e = ERROR_INIT;
	int r = device_config_with(vm, p->kind, p->config, &next, &e);

	if (r == 0)
		r = vm_state_active(vm->state)
			    ? add_live(vm, p, &next, call, &e)
			    : add_at_rest(vm, p, &next, call, &e);
	if (r < 0)
		api_call_fail(call, &e);
}

static int remove_live(struct vm *vm, const struct device_remove *p,
		       struct api_call *call, struct error *e)
{
	struct device_op *op;
	json_object *body;
	int r;

	r = vm_request_check(vm->config.name, vm->state, VM_REQUEST_HOTPLUG, e);
	if (r == 0)
		r = device_op_new(vm, p->kind, p->id, p->force, call, &op, e);
	if (r < 0)
		return r;
	op->live = p->live;
	op->timeout_ms = p->timeout_ms ? p->timeout_ms
				       : DEVICE_REMOVE_TIMEOUT_MS;
	body = json_object_new_object();
	add_text(body, "kind", vm_device_kind_name(p->kind));
	add_text(body, "device", p->id);
	json_object_object_add(body, "force",
			       json_object_new_boolean(p->force));
	device_op_request(op, "detach", body);
	return 0;
}

static int remove_at_rest(struct vm *vm, const struct device_remove *p,
			  struct api_call *call, struct error *e)
{
	_cleanup_vm_config_ struct vm_config next = {0};
	_cleanup_json_ json_object *gone = json_object_new_object();
	int r = p->live ? live_only_at_rest(vm, e)
			: device_config_without(vm, p->kind, p->id, &next, e);

	if (r == 0)
		r = device_config_store(vm, &next, e);
	if (r < 0)
		return r;
	add_text(gone, "id", p->id);
	api_call_reply(call, defined_result(gone, false), -1);
	return 0;
}

void vm_device_remove(struct vm *vm, const struct device_remove *p,
		      struct api_call *call)
{
	struct error e = ERROR_INIT;
	int r = vm_state_active(vm->state) ? remove_live(vm, p, call, &e)
					   : remove_at_rest(vm, p, call, &e);

	if (r < 0)
		api_call_fail(call, &e);
}

struct list_op {
	enum vm_device_kind kind;
	char id[VM_DEVICE_ID_MAX + 1]; /* that one alone; "": all */
	struct api_call *call;
};

static void answer_one(struct vm *vm, const struct list_op *op,
		       json_object *list)
{
	struct error e = ERROR_INIT;
	size_t at;

	if (device_config_find(vm, op->kind, list, op->id, &at, &e) < 0)
		api_call_fail(op->call, &e);
	else
		api_call_reply(
			op->call,
			json_object_get(json_object_array_get_idx(list, at)),
			-1);
	json_object_put(list);
}

/* `list` is consumed. */
static void list_answer(struct vm *vm, const struct list_op *op,
			json_object *list)
{
	json_object *result;

	if (*op->id) {
		answer_one(vm, op, list);
		return;
	}
	result = json_object_new_object();
	json_object_object_add(
		result, op->kind == VM_DEVICE_DISK ? "disks" : "nics", list);
	api_call_reply(op->call, result, -1);
}

/* What a supervisor says of a device, judged: its definition is decoded by the
 * same table as a user's. NULL when it makes no sense. */
static json_object *listed(struct vm *vm, json_object *device,
			   enum vm_device_kind kind)
{
	const struct json_field *fields = kind == VM_DEVICE_DISK
						  ? vm_disk_fields
						  : vm_nic_fields;
	union {
		struct disk_config disk;
		struct nic_config nic;
	} part = {0};
	json_object *config = NULL, *slot = NULL, *result = NULL;
	enum vm_device_state state;

	json_object_object_get_ex(device, "config", &config);
	json_object_object_get_ex(device, "slot", &slot);
	if (vm_device_state_by_name(device_text(device, "state"), &state) < 0)
		return NULL;
	if (json_decode(config, fields, &part, "", NULL) == 0)
		result = json_encode(fields, &part);
	json_release(fields, &part);
	if (!result)
		return NULL;
	add_text(result, "state", vm_device_state_name(state));
	json_object_object_add(result, "slot",
			       json_object_new_int(json_object_get_int(slot)));
	add_text(result, "address", device_text(device, "address"));
	add_text(result, "driver", device_text(device, "driver"));
	json_object_object_add(result, "persistent",
			       json_object_new_boolean(device_config_has(
				       vm, kind, device_text(result, "id"))));
	return result;
}

static bool has_id(json_object *list, const char *id)
{
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (streq(device_text(json_object_array_get_idx(list, i), "id"),
			  id))
			return true;
	return false;
}

/* Those of the definition that the list does not have yet. */
static void list_defined(struct vm *vm, enum vm_device_kind kind,
			 json_object *list)
{
	_cleanup_json_ json_object *defined = device_config_list(vm, kind);

	for (size_t i = 0; i < json_object_array_length(defined); i++) {
		json_object *d = json_object_array_get_idx(defined, i);

		if (!has_id(list, device_text(d, "id")))
			json_object_array_add(list, defined_result(d, true));
	}
}

static void listed_cb(struct vm *vm, void *cookie, json_object *reply, int *fds,
		      size_t n_fds, const struct error *e)
{
	_cleanup_free_ struct list_op *op = cookie;
	json_object *devices = NULL, *list;

	if (e) {
		api_call_fail(op->call, e);
		return;
	}
	list = json_object_new_array();
	json_object_object_get_ex(reply, "devices", &devices);
	for (size_t i = 0; json_object_is_type(devices, json_type_array) &&
			   i < json_object_array_length(devices);
	     i++) {
		json_object *d = json_object_array_get_idx(devices, i), *item;

		if (!streq(device_text(d, "kind"),
			   vm_device_kind_name(op->kind)))
			continue;
		item = listed(vm, d, op->kind);
		if (item)
			json_object_array_add(list, item);
	}
	list_defined(vm, op->kind, list);
	list_answer(vm, op, list);
}

static void look(struct vm *vm, const struct list_op *what)
{
	struct list_op *op;
	struct error e = ERROR_INIT;
	json_object *list;

	if (!vm->supervisor) {
		list = json_object_new_array();
		list_defined(vm, what->kind, list);
		list_answer(vm, what, list);
		return;
	}
	op = malloc(sizeof(*op));
	if (!op) {
		error_set(&e, -ENOMEM, "out of memory");
		api_call_fail(what->call, &e);
		return;
	}
	*op = *what;
	link_request(vm->supervisor, "devices", NULL, NULL, 0, LIST_TIMEOUT_MS,
		     listed_cb, op);
}

void vm_device_list(struct vm *vm, enum vm_device_kind kind,
		    struct api_call *call)
{
	const struct list_op op = {.kind = kind, .call = call};

	look(vm, &op);
}

void vm_device_get(struct vm *vm, enum vm_device_kind kind, const char *id,
		   struct api_call *call)
{
	struct list_op op = {.kind = kind, .call = call};

	snprintf(op.id, sizeof(op.id), "%s", id);
	look(vm, &op);
}
