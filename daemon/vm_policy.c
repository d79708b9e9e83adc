#include "daemon/vm_policy.h"

#include <stdio.h>

#include "daemon/vm_files.h"
#include "daemon/vm_run.h"
#include "lib/base/log.h"

struct vm_restarts {
	struct vm *vm;
	uv_timer_t timer; /* until the next one; the VM is pinned meanwhile */
	bool pending;
	uint64_t at_ms[VM_RESTARTS_MAX]; /* of the loop's clock; the latest */
	unsigned count;
};

static void restart(struct vm *vm);

static void restarted_cb(struct vm *vm, void *cookie, const struct error *e)
{
	if (!e)
		return;
	vm_event(vm, "restart-failed", e->message);
	restart(vm);
}

static void timer_cb(uv_timer_t *timer)
{
	struct vm_restarts *rs = timer->data;
	struct vm *vm = rs->vm;

	rs->pending = false;
	vm->pins--;
	vm_may_rest(vm);
	if (vm_state_active(vm->state))
		return; /* somebody was faster */
	vm_event(vm, "restarting", "after its crash");
	vm_start(vm, restarted_cb, NULL);
}

static struct vm_restarts *restarts_of(struct vm *vm)
{
	struct vm_restarts *rs = vm->restarts;

	if (!rs) {
		rs = vm->restarts = calloc(1, sizeof(*rs));
		if (!rs)
			return NULL;
		rs->vm = vm;
		uv_timer_init(vm->manager->loop, &rs->timer);
		rs->timer.data = rs;
	}
	return rs;
}

/* The next delay, or -1 when it was enough. */
static int64_t next_delay_ms(struct vm_restarts *rs, uint64_t now)
{
	static const int64_t delays[VM_RESTARTS_MAX] = {100, 1000, 2000, 4000,
							8000};
	unsigned recent = 0;

	for (unsigned i = 0; i < MIN(rs->count, VM_RESTARTS_MAX); i++)
		recent += now - rs->at_ms[i] < VM_RESTARTS_WINDOW_MS;
	if (recent == VM_RESTARTS_MAX)
		return -1;
	rs->at_ms[rs->count++ % VM_RESTARTS_MAX] = now;
	return delays[recent];
}

static void restart(struct vm *vm)
{
	struct vm_restarts *rs = restarts_of(vm);
	int64_t delay;

	if (!rs || rs->pending)
		return;
	delay = next_delay_ms(rs, uv_now(vm->manager->loop));
	if (delay < 0) {
		vm_event(vm, "restart-limit",
			 "it crashed 5 times in 10 minutes and is left as it "
			 "is; start it by hand once the cause is gone");
		return;
	}
	rs->pending = true;
	vm->pins++;
	uv_timer_start(&rs->timer, timer_cb, (uint64_t)delay, 0);
}

static void end_transient(struct vm *vm)
{
	struct error e = ERROR_INIT;

	if (store_vm_delete(vm->manager->store, vm->id, &e) < 0) {
		log_vm(LOG_LEVEL_ERROR, vm->config.name, "%s", e.message);
		return;
	}
	vm_files_remove(vm);
	(void)!manager_event(vm->manager, vm, "deleted", NULL);
}

void vm_policy_ended(struct vm *vm, bool crashed)
{
	if (crashed && vm->config.on_crash == VM_ON_CRASH_RESTART)
		restart(vm);
	else if (vm->config.transient)
		end_transient(vm);
}

static void obeyed_cb(struct vm *vm, void *cookie, const struct error *e)
{
	if (e)
		log_vm(LOG_LEVEL_WARNING, vm->config.name, "%s: %s",
		       (const char *)cookie, e->message);
	else if (streq(cookie, "pause"))
		vm_event(vm, "preserved", "paused as its definition says");
}

static void pause_it(struct vm *vm)
{
	vm_simple(vm, "pause", obeyed_cb, (void *)"pause");
}

void vm_policy_reset(struct vm *vm)
{
	/* An operator's reset is not the guest's. */
	if (vm->reset_requested) {
		vm->reset_requested = false;
		return;
	}
	if (vm->config.on_reboot == VM_ON_REBOOT_STOP)
		vm_stop(vm, obeyed_cb, (void *)"stop");
	else if (vm->config.on_reboot == VM_ON_REBOOT_PRESERVE)
		pause_it(vm);
}

void vm_policy_panic(struct vm *vm)
{
	if (vm->config.on_crash == VM_ON_CRASH_PRESERVE) {
		pause_it(vm);
		return;
	}
	/* Its end is then a crash, with all that follows from one. */
	snprintf(vm->end_reason, sizeof(vm->end_reason), "the guest panicked");
	vm->panicked = true;
	vm_stop(vm, obeyed_cb, (void *)"stop");
}

static void restarts_free_cb(uv_handle_t *handle)
{
	free(container_of(handle, struct vm_restarts, timer));
}

void vm_policy_forget(struct vm *vm)
{
	if (vm->restarts)
		uv_close((uv_handle_t *)&vm->restarts->timer, restarts_free_cb);
	vm->restarts = NULL;
}
