/*
 * Asking after jobs.
 */
#include "daemon/job_internal.h"

#define LIST_DEFAULT 100

json_object *job_row_to_json(const struct store_job *row)
{
	json_object *o = json_object_new_object(), *result = NULL, *error;

	json_object_object_add(o, "id", json_object_new_int64(row->id));
	json_object_object_add(o, "method",
			       json_object_new_string(row->method));
	json_object_object_add(o, "vm", json_object_new_string(row->vm));
	json_object_object_add(o, "state", json_object_new_string(row->state));
	json_object_object_add(o, "step", json_object_new_string(row->step));
	json_object_object_add(o, "progress",
			       json_object_new_int64(row->progress));
	json_object_object_add(o, "created_ms",
			       json_object_new_int64(row->created_ms));
	json_object_object_add(o, "deadline_ms",
			       json_object_new_int64(row->deadline_ms));
	json_object_object_add(o, "finished_ms",
			       json_object_new_int64(row->finished_ms));
	if (row->result && *row->result &&
	    json_parse(row->result, strlen(row->result), &result, NULL) == 0)
		json_object_object_add(o, "result", result);
	if (row->error && *row->error) {
		error = json_object_new_object();
		json_object_object_add(error, "code",
				       json_object_new_string(row->error));
		json_object_object_add(error, "message",
				       json_object_new_string(row->message));
		json_object_object_add(o, "error", error);
	}
	return o;
}

json_object *job_to_json(const struct job *job)
{
	struct store_job row = {
		.id = job->id,
		.method = api_methods[job->method].name,
		.vm = job->vm,
		.state = "running",
		.step = job->step,
		.progress = job->progress,
		.created_ms = job->created_ms,
		.deadline_ms = job->deadline_ms,
	};

	return job_row_to_json(&row);
}

static int take_row(void *cookie, const struct store_job *row)
{
	*(json_object **)cookie = job_row_to_json(row);
	return 1;
}

/* One that has ended; answers when there is none. NULL then. */
static json_object *stored_job(struct manager *m, struct api_call *c,
			       int64_t id)
{
	json_object *o = NULL;
	struct error e = ERROR_INIT;
	bool found = false;
	int r = store_job_get(m->store, id, take_row, &o, &found, &e);

	if (r == 0 && !found)
		error_set(&e, -ENOENT,
			  "no job %lld; jobs are kept for 24 hours (see: "
			  "armvmctl job list)",
			  (long long)id);
	if (!o)
		api_call_fail(c, &e);
	return o;
}

void rpc_job_get(void *cookie, struct api_call *c)
{
	const struct api_job_params *p = api_call_params(c);
	struct manager *m = cookie;
	struct job *job = job_find(m->jobs, p->id);
	json_object *o = job ? job_to_json(job) : stored_job(m, c, p->id);

	if (o)
		api_call_reply(c, o, -1);
}

static int add_row(void *cookie, const struct store_job *row)
{
	json_object_array_add(cookie, job_row_to_json(row));
	return 0;
}

void rpc_job_list(void *cookie, struct api_call *c)
{
	const struct api_job_list_params *p = api_call_params(c);
	struct manager *m = cookie;
	json_object *result = json_object_new_object();
	json_object *list = json_object_new_array();
	struct error e = ERROR_INIT;
	int r = store_job_each(
		m->store, p->running, p->before ? p->before : INT64_MAX,
		p->limit ? p->limit : LIST_DEFAULT, add_row, list, &e);

	json_object_object_add(result, "jobs", list);
	if (r == 0) {
		api_call_reply(c, result, -1);
		return;
	}
	json_object_put(result);
	api_call_fail(c, &e);
}

void rpc_job_wait(void *cookie, struct api_call *c)
{
	const struct api_job_params *p = api_call_params(c);
	struct manager *m = cookie;
	struct job *job = job_find(m->jobs, p->id);
	struct error e = ERROR_INIT;
	json_object *o;

	if (!job) {
		o = stored_job(m, c, p->id);
		if (o)
			api_call_reply(c, o, -1);
	} else if (job_add_waiter(job, c, true, p->timeout_ms) < 0) {
		error_set(&e, -ENOMEM, "out of memory");
		api_call_fail(c, &e);
	}
}

/* Answered when the job has ended, which cancelling makes it. */
void rpc_job_cancel(void *cookie, struct api_call *c)
{
	const struct api_job_params *p = api_call_params(c);
	struct manager *m = cookie;
	struct job *job = job_find(m->jobs, p->id);
	struct error e = ERROR_INIT;
	json_object *o;

	if (!job) {
		o = stored_job(m, c, p->id);
		if (!o)
			return;
		json_object_put(o);
		error_set_code(&e, ERROR_STATE, "job %lld has ended already",
			       (long long)p->id);
		api_call_fail(c, &e);
		return;
	}
	if (job_add_waiter(job, c, true, 0) < 0) {
		error_set(&e, -ENOMEM, "out of memory");
		api_call_fail(c, &e);
	} else if (job_cancel(job, ERROR_CANCELLED, &e) < 0) {
		struct job_waiter *w = job->waiters;

		/* The one just added. */
		job->waiters = w->next;
		free(w);
		api_call_fail(c, &e);
	}
}
