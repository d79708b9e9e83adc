#include "api/api.h"
#include "daemon/vm_wait.h"

struct vm_waiter {
	struct vm_waiter *next;
	struct api_call *call;
	bool shutdown;	     /* subject to the deadline */
	json_object *result; /* NULL: the VM */
};

static void waiter_add(struct vm *vm, struct api_call *call, bool shutdown,
		       json_object *result)
{
	struct vm_waiter *w = calloc(1, sizeof(*w));
	struct error e = ERROR_INIT;

	if (!w) {
		error_set(&e, -ENOMEM, "out of memory");
		json_object_put(result);
		api_call_fail(call, &e);
		return;
	}
	w->call = call;
	w->shutdown = shutdown;
	w->result = result;
	w->next = vm->waiters;
	vm->waiters = w;
}

void vm_wait_end(struct vm *vm, struct api_call *call)
{
	if (vm_state_active(vm->state))
		waiter_add(vm, call, false, NULL);
	else
		api_call_reply(call, vm_to_json(vm, false), -1);
}

void vm_wait_end_with(struct vm *vm, struct api_call *call, json_object *result)
{
	if (vm_state_active(vm->state))
		waiter_add(vm, call, false, result);
	else
		api_call_reply(call, result, -1);
}

static void fail_waiters(struct vm *vm, bool shutdowns_only,
			 const struct error *e)
{
	struct vm_waiter **at = &vm->waiters;

	while (*at) {
		struct vm_waiter *w = *at;

		if (shutdowns_only && !w->shutdown) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		api_call_fail(w->call, e);
		json_object_put(w->result);
		free(w);
	}
}

/* What the guest had no use of, as far as it can be seen from outside. */
static const char *lacked(const struct vm *vm)
{
	if (vm->agent_heard)
		return "its agent was asked, and the guest is busy or refuses";
	if (vm->button_heard)
		return "it has a driver for the power button, but nothing that "
		       "follows it, or is busy, and no qemu-guest-agent "
		       "answers";
	return "the guest has no driver for the power button (gpio-keys), and "
	       "no qemu-guest-agent answers";
}

static void deadline_cb(uv_timer_t *timer)
{
	struct vm *vm = timer->data;
	struct error e = ERROR_INIT;

	error_set(&e, -ETIMEDOUT,
		  "%s did not power off within %g s: %s; it is still running. "
		  "End it at once with: armvmctl stop %s",
		  vm->config.name, (double)vm->shutdown_timeout_ms / 1000,
		  lacked(vm), vm->config.name);
	if (vm->state == VM_SHUTTING_DOWN)
		vm_set_state(vm, VM_RUNNING,
			     "the guest did not answer the power button");
	fail_waiters(vm, true, &e);
}

void vm_wait_shutdown(struct vm *vm, struct api_call *call, uint64_t timeout_ms)
{
	if (!vm_state_active(vm->state)) {
		api_call_reply(call, vm_to_json(vm, false), -1);
		return;
	}
	vm->shutdown_timeout_ms = timeout_ms;
	uv_timer_start(&vm->shutdown_timer, deadline_cb, timeout_ms, 0);
	waiter_add(vm, call, true, NULL);
}

bool vm_waits(const struct vm *vm, const struct api_call *call)
{
	const struct vm_waiter *w = vm->waiters;

	while (w && w->call != call)
		w = w->next;
	return w;
}

void vm_wait_give_up(struct vm *vm, const struct api_call *call)
{
	struct vm_waiter **at = &vm->waiters, *w;
	struct error e = ERROR_INIT;

	while (*at && (*at)->call != call)
		at = &(*at)->next;
	w = *at;
	if (!w)
		return;
	*at = w->next;
	if (vm->state == VM_SHUTTING_DOWN)
		vm_set_state(vm, VM_RUNNING,
			     "its shutdown is no longer waited for");
	error_set(&e, -ECANCELED, "%s is still running", vm->config.name);
	api_call_fail(w->call, &e);
	free(w);
}

void vm_wait_ended(struct vm *vm)
{
	uv_timer_stop(&vm->shutdown_timer);
	while (vm->waiters) {
		struct vm_waiter *w = vm->waiters;

		vm->waiters = w->next;
		api_call_reply(w->call,
			       w->result ? w->result : vm_to_json(vm, false),
			       -1);
		free(w);
	}
}

void vm_wait_cancel(struct vm *vm)
{
	struct error e = ERROR_INIT;

	error_set(&e, -ECANCELED, "armvmd is stopping; %s goes on running",
		  vm->config.name);
	fail_waiters(vm, false, &e);
}
