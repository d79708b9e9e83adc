#include <stdio.h>

#include "api/api.h"
#include "daemon/job.h"
#include "daemon/vm_run.h"
#include "daemon/vm_wait.h"

struct vm_waiter {
	struct vm_waiter *next;
	struct api_call *call;
	/* Of a shutdown or reboot: by the loop's clock, and what was asked
	 * for. */
	uint64_t deadline, timeout_ms;
	bool reboot, then_force;
	json_object *result; /* NULL: the VM */
};

/* NULL, with the call failed, when memory is short. */
static struct vm_waiter *waiter_add(struct vm *vm, struct api_call *call,
				    json_object *result)
{
	struct vm_waiter *w = calloc(1, sizeof(*w));
	struct error e = ERROR_INIT;

	if (!w) {
		error_set(&e, -ENOMEM, "out of memory");
		json_object_put(result);
		api_call_fail(call, &e);
		return NULL;
	}
	w->call = call;
	w->result = result;
	w->next = vm->waiters;
	vm->waiters = w;
	return w;
}

void vm_wait_end(struct vm *vm, struct api_call *call)
{
	if (vm_state_active(vm->state))
		waiter_add(vm, call, NULL);
	else
		api_call_reply(call, vm_to_json(vm, false), -1);
}

void vm_wait_end_with(struct vm *vm, struct api_call *call, json_object *result)
{
	if (vm_state_active(vm->state))
		waiter_add(vm, call, result);
	else
		api_call_reply(call, result, -1);
}

static void waiter_fail(struct vm_waiter **at, const struct error *e)
{
	struct vm_waiter *w = *at;

	*at = w->next;
	api_call_fail(w->call, e);
	json_object_put(w->result);
	free(w);
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

static const struct vm_waiter *next_deadline(const struct vm *vm)
{
	const struct vm_waiter *w = vm->waiters, *next = NULL;

	for (; w; w = w->next)
		if (w->deadline && (!next || w->deadline < next->deadline))
			next = w;
	return next;
}

static void deadline_cb(uv_timer_t *timer);

/* For the next of them; without one nobody waits for the guest any more. */
static void set_timer(struct vm *vm)
{
	const struct vm_waiter *next = next_deadline(vm);
	uint64_t now = uv_now(vm->manager->loop);

	if (next)
		uv_timer_start(&vm->shutdown_timer, deadline_cb,
			       next->deadline > now ? next->deadline - now : 0,
			       0);
	else
		uv_timer_stop(&vm->shutdown_timer);
}

/* It is ended by request, so this is no error; the VM's end answers all. */
static void overdue_cb(struct vm *vm, void *cookie, const struct error *e)
{
}

void vm_shutdown_overdue(struct vm *vm, uint64_t timeout_ms)
{
	char why[96];

	snprintf(why, sizeof(why),
		 "the guest did not shut down within %g s and was stopped",
		 (double)timeout_ms / 1000);
	job_step(vm, "stopping", 75);
	vm_stop_because(vm, why, overdue_cb, NULL);
}

static void fail_overdue(struct vm *vm, struct vm_waiter **at)
{
	struct error e = ERROR_INIT;

	error_set(&e, -ETIMEDOUT,
		  "%s did not power off within %g s: %s; it is still running. "
		  "End it at once with: armvmctl stop %s",
		  vm->config.name, (double)(*at)->timeout_ms / 1000, lacked(vm),
		  vm->config.name);
	waiter_fail(at, &e);
}

static void reset_cb(struct vm *vm, void *cookie, const struct error *e)
{
	struct vm_waiter **at = &vm->waiters;

	if (!e)
		return;
	vm->reset_requested = false;
	while (*at)
		if ((*at)->reboot)
			waiter_fail(at, e);
		else
			at = &(*at)->next;
}

static void reboot_overdue(struct vm *vm, struct vm_waiter **at)
{
	struct vm_waiter *w = *at;
	struct error e = ERROR_INIT;

	if (w->then_force) {
		w->deadline = 0; /* its reset answers */
		job_step(vm, "resetting", 75);
		vm->reset_requested = true;
		vm_simple(vm, "reset", reset_cb, NULL);
		return;
	}
	error_set(&e, -ETIMEDOUT,
		  "%s did not reboot within %g s: %s; it is still running. "
		  "Without asking: armvmctl reset %s",
		  vm->config.name, (double)w->timeout_ms / 1000,
		  vm->agent_heard
			  ? "its agent was asked, and the guest is busy or "
			    "refuses"
			  : "the guest is busy, or does not follow xenstore",
		  vm->config.name);
	waiter_fail(at, &e);
}

static void deadline_cb(uv_timer_t *timer)
{
	struct vm *vm = timer->data;
	uint64_t now = uv_now(timer->loop);
	struct vm_waiter **at = &vm->waiters;

	while (*at) {
		struct vm_waiter *w = *at;

		if (!w->deadline || w->deadline > now) {
			at = &w->next;
		} else if (w->reboot) {
			reboot_overdue(vm, at);
			/* A reset that fails at once fails others, too. */
			at = &vm->waiters;
		} else if (w->then_force) {
			w->deadline = 0; /* its end is certain now */
			at = &w->next;
			if (vm->state != VM_STOPPING)
				vm_shutdown_overdue(vm, w->timeout_ms);
		} else {
			fail_overdue(vm, at);
		}
	}
	if (!next_deadline(vm) && vm->state == VM_SHUTTING_DOWN)
		vm_set_state(vm, VM_RUNNING,
			     "the guest did not answer the power button");
	set_timer(vm);
}

static struct vm_waiter *wait_for_guest(struct vm *vm, struct api_call *call,
					uint64_t timeout_ms, bool then_force)
{
	struct vm_waiter *w;

	if (!vm_state_active(vm->state)) {
		api_call_reply(call, vm_to_json(vm, false), -1);
		return NULL;
	}
	w = waiter_add(vm, call, NULL);
	if (!w)
		return NULL;
	w->deadline = uv_now(vm->manager->loop) + timeout_ms;
	w->timeout_ms = timeout_ms;
	w->then_force = then_force;
	set_timer(vm);
	return w;
}

void vm_wait_shutdown(struct vm *vm, struct api_call *call, uint64_t timeout_ms,
		      bool then_stop)
{
	wait_for_guest(vm, call, timeout_ms, then_stop);
}

void vm_wait_reboot(struct vm *vm, struct api_call *call, uint64_t timeout_ms,
		    bool then_reset)
{
	struct vm_waiter *w = wait_for_guest(vm, call, timeout_ms, then_reset);

	if (w)
		w->reboot = true;
}

static void answer(struct vm *vm, struct vm_waiter **at)
{
	struct vm_waiter *w = *at;

	*at = w->next;
	api_call_reply(w->call, w->result ? w->result : vm_to_json(vm, false),
		       -1);
	free(w);
}

void vm_wait_rebooted(struct vm *vm)
{
	struct vm_waiter **at = &vm->waiters;

	/* Its end answers. */
	if (vm->state == VM_STOPPING)
		return;
	while (*at)
		if ((*at)->reboot)
			answer(vm, at);
		else
			at = &(*at)->next;
	set_timer(vm);
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
	struct vm_waiter **at = &vm->waiters;
	struct error e = ERROR_INIT;

	while (*at && (*at)->call != call)
		at = &(*at)->next;
	if (!*at)
		return;
	error_set(&e, -ECANCELED, "%s is still running", vm->config.name);
	waiter_fail(at, &e);
	if (!next_deadline(vm) && vm->state == VM_SHUTTING_DOWN)
		vm_set_state(vm, VM_RUNNING,
			     "its shutdown is no longer waited for");
	set_timer(vm);
}

void vm_wait_ended(struct vm *vm)
{
	uv_timer_stop(&vm->shutdown_timer);
	while (vm->waiters)
		answer(vm, &vm->waiters);
}

void vm_wait_cancel(struct vm *vm)
{
	struct error e = ERROR_INIT;

	error_set(&e, -ECANCELED, "armvmd is stopping; %s goes on running",
		  vm->config.name);
	while (vm->waiters)
		waiter_fail(&vm->waiters, &e);
}
