#include <inttypes.h>
#include <stdio.h>

#include "api/api.h"
#include "daemon/device_op.h"
#include "daemon/scope.h"
#include "daemon/supervisor_link.h"
#include "daemon/vm_device_config.h"
#include "daemon/vm_live.h"
#include "lib/base/log.h"

#define REQUEST_TIMEOUT_MS 10000
/* The supervisor keeps the deadline; this is for one that does not answer. */
#define GRACE_MS 10000

const char *device_text(json_object *message, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(message, key, &value);
	return value ? json_object_get_string(value) : "";
}

static void op_free_cb(uv_handle_t *handle)
{
	struct device_op *op = handle->data;

	json_object_put(op->config);
	json_object_put(op->last);
	json_object_put(op->body);
	free(op);
}

static struct device_op *op_find(struct vm *vm, const char *id)
{
	struct device_op *op = vm->device_ops;

	while (op && !streq(op->id, id))
		op = op->next;
	return op;
}

static void op_end(struct device_op *op)
{
	struct device_op **at = &op->vm->device_ops;

	while (*at != op)
		at = &(*at)->next;
	*at = op->next;
	nic_host_done(&op->host);
	uv_close((uv_handle_t *)&op->timer, op_free_cb);
}

static void add_text(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

void device_op_event(struct device_op *op, enum vm_device_state state,
		     const char *detail)
{
	json_object *fields = json_object_new_object();

	add_text(fields, "device", op->id);
	add_text(fields, "type", vm_device_kind_name(op->kind));
	add_text(fields, "state", vm_device_state_name(state));
	add_text(fields, "detail", detail);
	(void)!manager_event(op->vm->manager, op->vm, "device", fields);
}

static void op_fail(struct device_op *op, const struct error *e)
{
	api_call_fail(op->call, e);
	op_end(op);
}

static void copy_field(json_object *to, json_object *from, const char *key)
{
	json_object *value = NULL;

	if (from && json_object_object_get_ex(from, key, &value))
		json_object_object_add(to, key, json_object_get(value));
}

/* The device as it now is: its configuration and where it is. */
static json_object *op_result(struct device_op *op)
{
	json_object *result = json_object_new_object();

	if (op->config) {
		json_object_object_foreach (op->config, key, value)
			json_object_object_add(result, key,
					       json_object_get(value));
	}
	add_text(result, "id", op->id);
	copy_field(result, op->last, "state");
	copy_field(result, op->last, "slot");
	copy_field(result, op->last, "address");
	copy_field(result, op->last, "driver");
	json_object_object_add(result, "persistent",
			       json_object_new_boolean(device_config_has(
				       op->vm, op->kind, op->id)));
	return result;
}

static int store_added(struct device_op *op, struct error *e)
{
	_cleanup_vm_config_ struct vm_config next = {0};
	json_object *slot = NULL;
	int r;

	/* Where it is now, unless the definition has another one there. */
	json_object_object_del(op->config, "slot");
	json_object_object_get_ex(op->last, "slot", &slot);
	if (!vm_config_slot_used(&op->vm->config,
				 (uint32_t)json_object_get_int(slot)))
		copy_field(op->config, op->last, "slot");
	r = device_config_with(op->vm, op->kind, op->config, &next, e);
	return r ? r : device_config_store(op->vm, &next, e);
}

static int store_removed(struct device_op *op, struct error *e)
{
	_cleanup_vm_config_ struct vm_config next = {0};
	int r;

	if (!device_config_has(op->vm, op->kind, op->id))
		return 0;
	r = device_config_without(op->vm, op->kind, op->id, &next, e);
	return r ? r : device_config_store(op->vm, &next, e);
}

/* What runs, when that is not the definition. */
static int note_live(struct device_op *op, struct error *e)
{
	if (!op->add)
		return vm_live_remove(op->vm, op->kind, op->id, e);
	if (!op->live)
		return 0;
	return vm_live_add(op->vm, op->kind, op->config, e);
}

static void op_succeed(struct device_op *op)
{
	struct error e = ERROR_INIT;
	int r = note_live(op, &e);

	if (r == 0 && !op->live)
		r = op->add ? store_added(op, &e) : store_removed(op, &e);
	if (r < 0) {
		error_prefix(&e, r,
			     "%s: %s \"%s\" is %s, but that could not be "
			     "stored",
			     op->vm->config.name, vm_device_kind_name(op->kind),
			     op->id, op->add ? "attached" : "detached");
		op_fail(op, &e);
		return;
	}
	api_call_reply(op->call, op_result(op), -1);
	op_end(op);
}

/* The guest did not follow in time. */
static void op_refused(struct device_op *op, const char *why)
{
	const char *name = op->vm->config.name;
	const char *kind = vm_device_kind_name(op->kind);
	double seconds = (double)op->timeout_ms / 1000;
	struct error e = ERROR_INIT;

	if (op->add)
		error_set(&e, -ETIMEDOUT,
			  "%s: the guest did not take %s \"%s\" within %g s "
			  "(%s). It is not attached",
			  name, kind, op->id, seconds, why);
	else
		error_set(&e, -ETIMEDOUT,
			  "%s: the guest did not release %s \"%s\" within %g s "
			  "(%s). The %s is still attached; use --force to take "
			  "it away at once",
			  name, kind, op->id, seconds, why, kind);
	op_fail(op, &e);
}

static void silent_cb(uv_timer_t *timer)
{
	struct device_op *op = timer->data;

	op_refused(op, "its supervisor does not answer");
}

/* Only what this message has in the catalogue becomes an event. */
static void message_event(struct vm *vm, json_object *message)
{
	static const char *const fields[] = {"state", "slot", "address",
					     "driver", "detail"};
	json_object *event = json_object_new_object();

	add_text(event, "device", device_text(message, "id"));
	add_text(event, "type", device_text(message, "kind"));
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		copy_field(event, message, fields[i]);
	(void)!manager_event(vm->manager, vm, "device", event);
}

/* Texts of a supervisor are shown to people: printable ASCII, and short. */
static bool text_fits(json_object *message, const char *key, size_t max)
{
	const char *text = device_text(message, key);
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return n <= max;
}

void vm_device_message(struct vm *vm, json_object *message)
{
	const char *id = device_text(message, "id");
	struct device_op *op = op_find(vm, id);
	enum vm_device_kind kind;
	enum vm_device_state state;

	if (!text_fits(message, "id", VM_DEVICE_ID_MAX) ||
	    !text_fits(message, "address", VM_DEVICE_ADDRESS_MAX) ||
	    !text_fits(message, "driver", VM_DEVICE_ADDRESS_MAX) ||
	    !text_fits(message, "detail", ERROR_MESSAGE_MAX) ||
	    vm_device_state_by_name(device_text(message, "state"), &state) <
		    0 ||
	    vm_device_kind_by_name(device_text(message, "kind"), &kind) < 0) {
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "its supervisor sent a malformed device message");
		return;
	}
	message_event(vm, message);
	if (!op)
		return;
	json_object_put(op->last);
	op->last = json_object_get(message);
	if (state == VM_DEVICE_FAILED)
		op_refused(op, device_text(message, "detail"));
	else if (state == (op->add ? VM_DEVICE_ACTIVE : VM_DEVICE_RELEASED))
		op_succeed(op);
}

void vm_devices_end(struct vm *vm, const struct error *why)
{
	while (vm->device_ops)
		op_fail(vm->device_ops, why);
}

/* The supervisor took the request or refused it; the rest are messages. */
static void requested_cb(struct vm *vm, void *cookie, json_object *reply,
			 int *fds, size_t n_fds, const struct error *e)
{
	_cleanup_free_ char *id = cookie;
	struct device_op *op = id ? op_find(vm, id) : NULL;
	struct error stored = ERROR_INIT;

	if (!op || !e)
		return;
	/* Taken from the running guest earlier; what is left is to forget it.
	 */
	if (!op->add && !op->live && e->code == ERROR_NOT_FOUND &&
	    device_config_has(vm, op->kind, id)) {
		if (store_removed(op, &stored) < 0)
			op_fail(op, &stored);
		else
			op_succeed(op);
		return;
	}
	if (op->add)
		device_op_event(op, VM_DEVICE_FAILED, e->message);
	op_fail(op, e);
}

int device_op_new(struct vm *vm, enum vm_device_kind kind, const char *id,
		  bool force, struct api_call *call, struct device_op **ret,
		  struct error *e)
{
	struct device_op *op = op_find(vm, id);
	struct error forced = ERROR_INIT;

	if (op && !force)
		return error_set(e, -EBUSY,
				 "%s: %s \"%s\" is being added or removed "
				 "already",
				 vm->config.name, vm_device_kind_name(kind),
				 id);
	if (op) {
		error_set_code(&forced, ERROR_CANCELLED,
			       "%s: %s \"%s\" was removed by force meanwhile",
			       vm->config.name, vm_device_kind_name(kind), id);
		op_fail(op, &forced);
	}
	op = calloc(1, sizeof(*op));
	if (!op)
		return error_set(e, -ENOMEM, "out of memory");
	op->vm = vm;
	op->kind = kind;
	op->call = call;
	snprintf(op->id, sizeof(op->id), "%s", id);
	uv_timer_init(vm->manager->loop, &op->timer);
	op->timer.data = op;
	op->next = vm->device_ops;
	vm->device_ops = op;
	*ret = op;
	return 0;
}

static void send_request(struct device_op *op, const char *type)
{
	uv_timer_start(&op->timer, silent_cb, op->timeout_ms + GRACE_MS, 0);
	link_request(op->vm->supervisor, type, TAKE_PTR(op->body),
		     op->host.fds.fds, op->host.fds.n, REQUEST_TIMEOUT_MS,
		     requested_cb, strdup(op->id));
	nic_host_done(&op->host);
}

static void served_cb(void *cookie, const struct error *why)
{
	struct device_op *op = cookie;

	if (!why) {
		scopes_join(op->vm);
		send_request(op, "attach");
		return;
	}
	device_op_event(op, VM_DEVICE_FAILED, why->message);
	op_fail(op, why);
}

void device_op_request(struct device_op *op, const char *type,
		       json_object *body)
{
	op->body = body;
	json_object_object_add(body, "timeout_ms",
			       json_object_new_uint64(op->timeout_ms));
	if (op->host.passt)
		passt_then(op->host.passt, served_cb, op);
	else
		send_request(op, type);
}
