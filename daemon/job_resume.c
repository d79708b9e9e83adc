/*
 * Jobs that an earlier daemon's end cut off. What was done in one commit is
 * never found half-way; what remains are a VM's start and end.
 */
#include <stdio.h>

#include "daemon/job_internal.h"
#include "daemon/save_file.h"
#include "daemon/vm_restore.h"
#include "lib/base/log.h"

/* "resumed" and "undone" are for people; job.get shows them. */
static void settle_with(struct job *job, struct vm *vm, const char *how,
			json_object *result)
{
	const char *method = api_methods[job->method].name;
	struct error e = ERROR_INIT;
	char was[sizeof(job->step)];

	memcpy(was, job->step, sizeof(was));
	snprintf(job->step, sizeof(job->step), "%s", how);
	(void)!store_job_step(job->jobs->manager->store, job->id, how,
			      job->progress, NULL);
	log_job(LOG_LEVEL_WARNING, *job->vm ? job->vm : NULL, job->id,
		"job %lld (%s %s) was cut off by armvmd's end%s%s: %s",
		(long long)job->id, method, job->vm, *was ? " at step " : "",
		was, how);
	if (streq(how, "resumed")) {
		job_finish(job, result, NULL);
		return;
	}
	json_object_put(result);
	error_set_code(&e, ERROR_CANCELLED,
		       "armvmd ended while %s was under way%s%s; it was "
		       "undone: %s is %s",
		       method, *was ? ", at step " : "", was, job->vm,
		       vm ? vm_state_name(vm->state) : "gone");
	job_finish(job, NULL, &e);
}

static void settle(struct job *job, struct vm *vm, const char *how)
{
	settle_with(job, vm, how, vm ? vm_to_json(vm, false) : NULL);
}

static const char *param(const struct job *job, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(job->params, key, &value);
	return json_object_is_type(value, json_type_string)
		       ? json_object_get_string(value)
		       : "";
}

/* A file that has its name is whole. But one that was to be followed by the
 * VM's end, and was not, is of a guest that has gone on. */
static bool look_save(struct job *job, struct vm *vm, bool rests)
{
	json_object *stop = NULL, *result;
	bool keep;

	json_object_object_get_ex(job->params, "stop", &stop);
	if (vm && vm->state == VM_STOPPING)
		return false;
	keep = rests || !json_object_get_boolean(stop);
	result = save_file_settle(param(job, "path"), job->created_ms, !keep);
	if (result)
		json_object_object_add(result, "name",
				       json_object_new_string(job->vm));
	settle_with(job, vm, result && keep ? "resumed" : "undone", result);
	return true;
}

/* Whether the VM's state says how the job ends. */
static bool look(struct job *job, struct vm *vm)
{
	bool rests = !vm || !vm_state_active(vm->state);
	bool runs = vm && (vm->state == VM_RUNNING || vm->state == VM_PAUSED);

	if (job->method == API_SNAPSHOT_SAVE)
		return look_save(job, vm, rests);
	if (job->method == API_SNAPSHOT_RESTORE && rests) {
		vm_restore_undo(vm, job->created_ms);
		settle(job, vm, "undone");
	} else if ((job->method == API_VM_START ||
		    job->method == API_SNAPSHOT_RESTORE) &&
		   (rests || runs)) {
		settle(job, vm, runs ? "resumed" : "undone");
	} else if ((job->method == API_VM_STOP ||
		    job->method == API_VM_SHUTDOWN) &&
		   rests) {
		settle(job, vm, "resumed");
	} else if (job->method == API_VM_SHUTDOWN && runs) {
		settle(job, vm, "undone");
	} else if (job->method != API_VM_START && job->method != API_VM_STOP &&
		   job->method != API_VM_SHUTDOWN &&
		   job->method != API_SNAPSHOT_RESTORE) {
		settle(job, vm, "undone");
	} else {
		return false;
	}
	return true;
}

void job_vm_changed(struct vm *vm)
{
	struct jobs *j = vm->manager->jobs;
	struct job *job = j ? j->list : NULL, *next;

	for (; job; job = next) {
		next = job->next;
		if (job->resumed && job->vm_id == vm->id)
			look(job, vm);
	}
}

static int64_t number(json_object *params, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(params, key, &value);
	return json_object_get_int64(value);
}

/* A shutdown goes on being waited for as long as was asked, and what was to
 * follow then does: *ret_then_stop is after how long the VM is stopped, or 0.
 */
static uint64_t time_left(const struct store_job *row, json_object *params,
			  uint64_t *ret_then_stop)
{
	int64_t until = row->deadline_ms;
	int64_t timeout = number(params, "timeout_ms");
	json_object *fallback = NULL;

	*ret_then_stop = 0;
	if (timeout > 0 && (!until || row->created_ms + timeout < until)) {
		until = row->created_ms + timeout;
		json_object_object_get_ex(params, "fallback", &fallback);
		if (fallback && streq(json_object_get_string(fallback),
				      api_fallback_names[API_FALLBACK_FORCE]))
			*ret_then_stop = (uint64_t)timeout;
	}
	if (!until)
		return 0;
	return (uint64_t)MAX(until - job_now_ms(), 1);
}

static int resume_row(void *cookie, const struct store_job *row)
{
	struct jobs *j = cookie;
	_cleanup_json_ json_object *params = NULL;
	enum api_method_id method = api_method_by_name(row->method, NULL);
	uint64_t then_stop_ms, left_ms;
	struct job *job;

	if (method == API_METHOD_COUNT ||
	    json_parse(row->params, strlen(row->params), &params, NULL) < 0)
		return 0;
	left_ms = time_left(row, params, &then_stop_ms);
	job = job_new(j, row->id, method, row->vm, params, left_ms);
	if (!job)
		return 0;
	if (method == API_VM_SHUTDOWN)
		job->then_stop_ms = then_stop_ms;
	job->resumed = true;
	job->created_ms = row->created_ms;
	job->progress = (int)row->progress;
	snprintf(job->step, sizeof(job->step), "%s", row->step);
	return 0;
}

void job_startup(struct manager *m)
{
	struct job *job, *next;
	struct error e = ERROR_INIT;

	if (store_job_each(m->store, true, INT64_MAX, -1, resume_row, m->jobs,
			   &e) < 0)
		log_error("jobs cut off by armvmd's end: %s", e.message);
	for (job = m->jobs->list; job; job = next) {
		struct vm *vm = *job->vm ? vm_find(m, job->vm, NULL) : NULL;

		if (job->method == API_SNAPSHOT_RESTORE)
			vm = vm_restore_find(m, param(job, "path"));

		next = job->next;
		job->vm_id = vm ? vm->id : 0;
		look(job, vm);
	}
}
