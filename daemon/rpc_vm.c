#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/resource.h"
#include "daemon/rpc.h"
#include "daemon/vm.h"
#include "daemon/vm_run.h"
#include "daemon/vm_wait.h"
#include "lib/base/log.h"

/* The VM a call names, if the request may be made of it now; else the call
 * has been answered and NULL returned. */
static struct vm *vm_of_call(struct manager *m, struct api_call *c,
			     enum vm_request request)
{
	const struct api_name_params *p = api_call_params(c);
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(m, p->name, &e);

	if (vm && vm_request_check(vm->config.name, vm->state, request, &e) < 0)
		vm = NULL;
	if (!vm)
		api_call_fail(c, &e);
	return vm;
}

static int define(struct manager *m, json_object *config, struct vm **ret,
		  struct error *e)
{
	_cleanup_vm_config_ struct vm_config parsed = {0};
	_cleanup_json_ json_object *canonical = NULL;
	struct store_vm row = {0};
	struct vm *vm;
	int r;

	r = vm_config_from_json(config, &parsed, e);
	if (r == 0)
		r = resources_check(&parsed, e);
	if (r < 0)
		return r;
	canonical = vm_config_to_json(&parsed);
	if (!canonical)
		return error_set(e, -ENOMEM, "out of memory");
	r = store_vm_add(m->store, parsed.uuid, parsed.name,
			 json_text(canonical), &row.id, e);
	if (r < 0)
		return r;
	r = store_vm_get(m->store, parsed.uuid, &row, e);
	if (r == 0)
		r = vm_load(m, &row, &vm, e);
	store_vm_done(&row);
	if (r == 0)
		*ret = vm;
	return r;
}

void rpc_vm_define(void *cookie, struct api_call *c)
{
	const struct api_define_params *p = api_call_params(c);
	struct manager *m = cookie;
	struct error e = ERROR_INIT;
	struct vm *vm;

	if (define(m, p->config, &vm, &e) < 0) {
		api_call_fail(c, &e);
		return;
	}
	manager_event(m, vm, "defined", NULL);
	api_call_reply(c, vm_to_json(vm, true), -1);
}

void rpc_vm_list(void *cookie, struct api_call *c)
{
	struct manager *m = cookie;
	json_object *result = json_object_new_object();
	json_object *list = json_object_new_array();

	for (struct vm *vm = m->vms; vm; vm = vm->next)
		json_object_array_add(list, vm_to_json(vm, false));
	json_object_object_add(result, "vms", list);
	api_call_reply(c, result, -1);
}

void rpc_vm_get(void *cookie, struct api_call *c)
{
	const struct api_name_params *p = api_call_params(c);
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(cookie, p->name, &e);

	if (vm)
		api_call_reply(c, vm_to_json(vm, true), -1);
	else
		api_call_fail(c, &e);
}

static void remove_files(struct vm *vm)
{
	_cleanup_free_ char *dir = manager_vm_dir(vm->manager, vm->config.uuid);
	_cleanup_free_ char *spill = NULL;

	if (!dir || asprintf(&spill, "%s/nvram.spill", dir) < 0)
		return;
	if ((unlink(spill) < 0 && errno != ENOENT) ||
	    (rmdir(dir) < 0 && errno != ENOENT))
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "cannot remove %s: %m", dir);
}

void rpc_vm_delete(void *cookie, struct api_call *c)
{
	struct manager *m = cookie;
	struct vm *vm = vm_of_call(m, c, VM_REQUEST_DELETE);
	struct error e = ERROR_INIT;

	if (!vm)
		return;
	if (store_vm_delete(m->store, vm->id, &e) < 0) {
		api_call_fail(c, &e);
		return;
	}
	remove_files(vm);
	manager_event(m, vm, "deleted", NULL);
	api_call_reply(c, vm_to_json(vm, false), -1);
	vm_unload(vm);
}

/* Answers a call with the VM as it now is. */
static void answer_cb(struct vm *vm, void *cookie, const struct error *e)
{
	if (e)
		api_call_fail(cookie, e);
	else
		api_call_reply(cookie, vm_to_json(vm, false), -1);
}

void rpc_vm_start(void *cookie, struct api_call *c)
{
	struct vm *vm = vm_of_call(cookie, c, VM_REQUEST_START);

	if (vm)
		vm_start(vm, answer_cb, c);
}

struct shutdown_op {
	struct api_call *call;
	uint64_t timeout_ms;
};

static void pressed_cb(struct vm *vm, void *cookie, const struct error *e)
{
	struct shutdown_op *op = cookie;

	if (e) {
		api_call_fail(op->call, e);
	} else {
		if (vm->state == VM_RUNNING)
			vm_set_state(vm, VM_SHUTTING_DOWN, "");
		if (op->timeout_ms)
			vm_wait_shutdown(vm, op->call, op->timeout_ms);
		else
			answer_cb(vm, op->call, NULL);
	}
	free(op);
}

void rpc_vm_shutdown(void *cookie, struct api_call *c)
{
	const struct api_shutdown_params *p = api_call_params(c);
	struct vm *vm = vm_of_call(cookie, c, VM_REQUEST_SHUTDOWN);
	struct shutdown_op *op = vm ? calloc(1, sizeof(*op)) : NULL;

	if (!op)
		return;
	op->call = c;
	op->timeout_ms = p->timeout_ms;
	vm_shutdown(vm, pressed_cb, op);
}

static void stopping_cb(struct vm *vm, void *cookie, const struct error *e)
{
	if (e)
		api_call_fail(cookie, e);
	else
		vm_wait_end(vm, cookie);
}

void rpc_vm_stop(void *cookie, struct api_call *c)
{
	struct vm *vm = vm_of_call(cookie, c, VM_REQUEST_STOP);

	if (vm)
		vm_stop(vm, stopping_cb, c);
}

static void simple(void *cookie, struct api_call *c, enum vm_request request,
		   const char *type)
{
	struct vm *vm = vm_of_call(cookie, c, request);

	if (vm)
		vm_simple(vm, type, answer_cb, c);
}

void rpc_vm_reset(void *cookie, struct api_call *c)
{
	simple(cookie, c, VM_REQUEST_RESET, "reset");
}

void rpc_vm_pause(void *cookie, struct api_call *c)
{
	simple(cookie, c, VM_REQUEST_PAUSE, "pause");
}

void rpc_vm_resume(void *cookie, struct api_call *c)
{
	simple(cookie, c, VM_REQUEST_RESUME, "resume");
}

void rpc_vm_console(void *cookie, struct api_call *c)
{
	struct vm *vm = vm_of_call(cookie, c, VM_REQUEST_CONSOLE);
	struct error e = ERROR_INIT;
	int fd;

	if (!vm)
		return;
	if (vm_console(vm, &fd, &e) < 0)
		api_call_fail(c, &e);
	else
		api_call_reply(c, vm_to_json(vm, false), fd);
}
