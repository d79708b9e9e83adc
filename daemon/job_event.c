/* A job's life as events of its VM. */
#include "daemon/job_internal.h"

/* A job that changes its step more often is told of once in that time; its
 * beginning and its end always are. */
#define STEP_EVENT_MS 500

static void put(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void tell(struct job *job, const char *state, const struct error *e)
{
	struct manager *m = job->jobs->manager;
	const struct vm *vm = job->vm_id ? vm_by_id(m, job->vm_id, NULL) : NULL;
	json_object *fields = json_object_new_object();

	json_object_object_add(fields, "job", json_object_new_int64(job->id));
	put(fields, "method", api_methods[job->method].name);
	put(fields, "state", state);
	put(fields, "step", job->step);
	json_object_object_add(fields, "progress",
			       json_object_new_int(job->progress));
	if (e) {
		put(fields, "code", error_code_name(e->code));
		put(fields, "reason", e->message);
	}
	/* Of a VM that is not there, or not any more, by the name asked for. */
	put(fields, "name", job->vm);
	job->told_ms = uv_now(m->loop);
	(void)!manager_event(m, vm, "job", fields);
}

void job_event_begun(struct job *job)
{
	tell(job, "running", NULL);
}

void job_event_step(struct job *job)
{
	if (uv_now(job->jobs->manager->loop) - job->told_ms >= STEP_EVENT_MS)
		tell(job, "running", NULL);
}

void job_event_ended(struct job *job, const char *state, const struct error *e)
{
	if (!e)
		job->progress = 100;
	tell(job, state, e);
}
