/*
 * Jobs under way: how far one is, and giving one up.
 */
#include <stdio.h>

#include "daemon/job_internal.h"
#include "daemon/supervisor_link.h"
#include "daemon/vm_save.h"
#include "daemon/vm_wait.h"
#include "lib/base/log.h"

static bool has_steps(enum api_method_id method)
{
	return method == API_VM_START || method == API_VM_SHUTDOWN ||
	       method == API_VM_REBOOT || method == API_SNAPSHOT_SAVE ||
	       method == API_SNAPSHOT_RESTORE;
}

void job_about(struct manager *m, const struct api_call *call,
	       const struct vm *vm)
{
	for (struct job *job = m->jobs->list; job; job = job->next)
		if (job->inner == call)
			job->vm_id = vm->id;
}

void job_step(struct vm *vm, const char *step, int progress)
{
	struct jobs *j = vm->manager->jobs;
	struct job *job;
	struct error e = ERROR_INIT;

	for (job = j ? j->list : NULL; job; job = job->next)
		if (job->vm_id == vm->id && has_steps(job->method))
			break;
	if (!job)
		return;
	snprintf(job->step, sizeof(job->step), "%s", step);
	job->progress = progress;
	if (store_job_step(vm->manager->store, job->id, step, progress, &e) < 0)
		log_vm(LOG_LEVEL_WARNING, vm->config.name, "%s", e.message);
	job_event_step(job);
}

/* A start ends with its process, a wait for the guest is only a wait. */
int job_cancel(struct job *job, enum error_code why, struct error *e)
{
	struct vm *vm = vm_in_memory(job->jobs->manager, job->vm_id);
	struct error end = ERROR_INIT;

	if (job->cancelled)
		return 0;
	if (job->method == API_SNAPSHOT_SAVE && vm && vm_save_cancel(vm)) {
		job->cancelled = true;
		job->why_cancelled = why;
		return 0;
	}
	if ((job->method == API_VM_START ||
	     job->method == API_SNAPSHOT_RESTORE) &&
	    vm && vm->supervisor && vm->state == VM_STARTING) {
		job->cancelled = true;
		job->why_cancelled = why;
		vm->stop_requested = true;
		link_kill(vm->supervisor);
		return 0;
	}
	if ((job->method == API_VM_SHUTDOWN || job->method == API_VM_REBOOT) &&
	    vm && job->inner && vm->state != VM_STOPPING &&
	    vm_waits(vm, job->inner)) {
		job->cancelled = true;
		job->why_cancelled = why;
		vm_wait_give_up(vm, job->inner);
		return 0;
	}
	if (job->method == API_VM_SHUTDOWN && job->resumed &&
	    !(vm && vm->state == VM_STOPPING)) {
		if (vm && why == ERROR_TIMEOUT && job->then_stop_ms) {
			vm_shutdown_overdue(vm, job->then_stop_ms);
			return 0;
		}
		error_set_code(&end, why, "%s is still running", job->vm);
		job_finish(job, NULL, &end);
		return 0;
	}
	return error_set_code(e, ERROR_STATE,
			      "job %lld (%s) can no longer be cancelled; it "
			      "ends by itself",
			      (long long)job->id,
			      api_methods[job->method].name);
}
