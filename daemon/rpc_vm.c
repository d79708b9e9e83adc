#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/job.h"
#include "daemon/resource.h"
#include "daemon/rpc.h"
#include "daemon/vm.h"
#include "daemon/vm_run.h"
#include "daemon/vm_wait.h"
#include "lib/base/log.h"

struct vm *rpc_vm_of_call(struct manager *m, struct api_call *c,
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
	struct vm *vm = rpc_vm_of_call(cookie, c, VM_REQUEST_START);

	if (vm)
		vm_start(vm, answer_cb, c);
}

struct ask_op {
	struct api_call *call;
	uint64_t timeout_ms;
	bool reboot, then_force;
};

static void asked_cb(struct vm *vm, void *cookie, const struct error *e)
{
	struct ask_op *op = cookie;

	if (e) {
		api_call_fail(op->call, e);
		free(op);
		return;
	}
	if (!op->reboot && vm->state == VM_RUNNING)
		vm_set_state(vm, VM_SHUTTING_DOWN, "");
	/* Whether anyone in the guest listens is known by now. */
	if (vm->button_heard || vm->agent_heard)
		job_step(vm, "heard", 50);
	else
		job_step(vm, "asked", 25);
	if (!op->timeout_ms)
		answer_cb(vm, op->call, NULL);
	else if (op->reboot)
		vm_wait_reboot(vm, op->call, op->timeout_ms, op->then_force);
	else
		vm_wait_shutdown(vm, op->call, op->timeout_ms, op->then_force);
	free(op);
}

static void ask_guest(struct manager *m, struct api_call *c, bool reboot)
{
	const struct api_shutdown_params *p = api_call_params(c);
	bool then_force = p->fallback == API_FALLBACK_FORCE;
	struct error e = ERROR_INIT;
	struct ask_op *op;
	struct vm *vm;

	if (then_force && !p->timeout_ms) {
		error_set(&e, -EINVAL,
			  "fallback: %s takes a timeout_ms after which",
			  reboot ? "reset" : "stop");
		api_call_fail(c, &e);
		return;
	}
	vm = rpc_vm_of_call(m, c,
			    reboot ? VM_REQUEST_REBOOT : VM_REQUEST_SHUTDOWN);
	if (!vm)
		return;
	op = calloc(1, sizeof(*op));
	if (!op) {
		error_set(&e, -ENOMEM, "out of memory");
		api_call_fail(c, &e);
		return;
	}
	*op = (struct ask_op){c, p->timeout_ms, reboot, then_force};
	if (reboot)
		vm_reboot(vm, asked_cb, op);
	else
		vm_shutdown(vm, asked_cb, op);
}

void rpc_vm_shutdown(void *cookie, struct api_call *c)
{
	ask_guest(cookie, c, false);
}

void rpc_vm_reboot(void *cookie, struct api_call *c)
{
	ask_guest(cookie, c, true);
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
	struct vm *vm = rpc_vm_of_call(cookie, c, VM_REQUEST_STOP);

	if (vm)
		vm_stop(vm, stopping_cb, c);
}

/* The supervisor has done it; its own word of the new state may come a moment
 * after its reply, and the caller is to see it now. */
static void paused_cb(struct vm *vm, void *cookie, const struct error *e)
{
	if (!e && vm->state == VM_RUNNING)
		vm_set_state(vm, VM_PAUSED, "");
	answer_cb(vm, cookie, e);
}

static void resumed_cb(struct vm *vm, void *cookie, const struct error *e)
{
	if (!e && vm->state == VM_PAUSED)
		vm_set_state(vm, VM_RUNNING, "");
	answer_cb(vm, cookie, e);
}

void rpc_vm_reset(void *cookie, struct api_call *c)
{
	struct vm *vm = rpc_vm_of_call(cookie, c, VM_REQUEST_RESET);

	if (!vm)
		return;
	vm->reset_requested = true;
	vm_simple(vm, "reset", answer_cb, c);
}

void rpc_vm_pause(void *cookie, struct api_call *c)
{
	struct vm *vm = rpc_vm_of_call(cookie, c, VM_REQUEST_PAUSE);

	if (vm)
		vm_simple(vm, "pause", paused_cb, c);
}

void rpc_vm_resume(void *cookie, struct api_call *c)
{
	struct vm *vm = rpc_vm_of_call(cookie, c, VM_REQUEST_RESUME);

	if (vm)
		vm_simple(vm, "resume", resumed_cb, c);
}
