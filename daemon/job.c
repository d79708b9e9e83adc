#include "daemon/job_internal.h"

#include <stdio.h>
#include <time.h>

#include "daemon/dbus_api.h"
#include "lib/base/log.h"

#define PRUNE_EVERY 64

int64_t job_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct job *job_find(struct jobs *j, int64_t id)
{
	struct job *job = j->list;

	while (job && job->id != id)
		job = job->next;
	return job;
}

static void deadline_cb(uv_timer_t *timer)
{
	struct job *job = timer->data;
	struct error e = ERROR_INIT;

	if (job_cancel(job, ERROR_TIMEOUT, &e) < 0)
		log_job(LOG_LEVEL_WARNING, *job->vm ? job->vm : NULL, job->id,
			"job %lld is past its deadline: %s", (long long)job->id,
			e.message);
}

struct job *job_new(struct jobs *j, int64_t id, enum api_method_id method,
		    const char *vm, json_object *params, uint64_t deadline_ms)
{
	struct job *job = calloc(1, sizeof(*job));
	char *name = strdup(vm);

	if (!job || !name) {
		free(job);
		free(name);
		return NULL;
	}
	job->jobs = j;
	job->id = id;
	job->method = method;
	job->vm = name;
	job->params = json_object_get(params);
	job->created_ms = job_now_ms();
	job->next = j->list;
	j->list = job;
	uv_timer_init(j->manager->loop, &job->timer);
	job->timer.data = job;
	if (deadline_ms) {
		job->deadline_ms = job->created_ms + (int64_t)deadline_ms;
		uv_timer_start(&job->timer, deadline_cb, deadline_ms, 0);
	}
	return job;
}

static void free_cb(uv_handle_t *handle)
{
	struct job *job = handle->data;

	json_object_put(job->params);
	free(job->vm);
	free(job);
}

static void timer_free_cb(uv_handle_t *handle)
{
	free(handle);
}

static void answer_waiters(struct job *job, json_object *result,
			   const struct error *e, json_object *as_job)
{
	while (job->waiters) {
		struct job_waiter *w = job->waiters;

		job->waiters = w->next;
		if (w->timer)
			uv_close((uv_handle_t *)w->timer, timer_free_cb);
		if (w->wants_job)
			api_call_reply(w->call, json_object_get(as_job), -1);
		else if (e)
			api_call_fail(w->call, e);
		else
			api_call_reply(w->call, json_object_get(result), -1);
		free(w);
	}
}

static void leave(struct job *job)
{
	struct job **at = &job->jobs->list;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
}

void job_finish(struct job *job, json_object *result, const struct error *e)
{
	struct store *store = job->jobs->manager->store;
	_cleanup_json_ json_object *as_job = NULL;
	struct error why = ERROR_INIT, failed = ERROR_INIT;
	struct store_job row = {.id = job->id, .finished_ms = job_now_ms()};

	if (e && job->cancelled)
		error_set_code(&why, job->why_cancelled, "job %lld (%s) %s: %s",
			       (long long)job->id,
			       api_methods[job->method].name,
			       job->why_cancelled == ERROR_CANCELLED
				       ? "was cancelled"
				       : "was not done in time",
			       e->message);
	else if (e)
		why = *e;
	row.state = !e ? "done"
		    : job->cancelled && job->why_cancelled == ERROR_CANCELLED
			    ? "cancelled"
			    : "failed";
	row.result = result ? json_text(result) : "";
	row.error = e ? error_code_name(why.code) : "";
	row.message = why.message;
	/* A daemon that is stopping leaves the rest to the next one. */
	if (!job->jobs->stopping && store_job_finish(store, &row, &failed) < 0)
		log_job(LOG_LEVEL_ERROR, NULL, job->id,
			"the end of job %lld: %s", (long long)job->id,
			failed.message);
	row.method = api_methods[job->method].name;
	row.vm = job->vm;
	row.step = job->step;
	row.progress = e ? job->progress : 100;
	row.created_ms = job->created_ms;
	row.deadline_ms = job->deadline_ms;
	as_job = job_row_to_json(&row);
	if (!job->jobs->stopping) {
		dbus_api_job(job->jobs->manager->dbus_api, &row, true);
		job_event_ended(job, row.state, e ? &why : NULL);
	}
	leave(job);
	answer_waiters(job, result, e ? &why : NULL, as_job);
	json_object_put(result);
	uv_close((uv_handle_t *)&job->timer, free_cb);
}

static void inner_done(void *cookie, json_object *result, const struct error *e)
{
	struct job *job = cookie;

	job->inner = NULL;
	job_finish(job, result, e);
}

struct wait_timer {
	uv_timer_t timer; /* first: freed as what it is */
	struct job *job;
	struct job_waiter *waiter;
};

/* Not over yet: the job as it is. */
static void wait_timer_cb(uv_timer_t *timer)
{
	struct wait_timer *wt = timer->data;
	struct job_waiter **at = &wt->job->waiters;
	struct job_waiter *w = wt->waiter;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	api_call_reply(w->call, job_to_json(wt->job), -1);
	free(w);
	uv_close((uv_handle_t *)timer, timer_free_cb);
}

int job_add_waiter(struct job *job, struct api_call *call, bool wants_job,
		   uint64_t timeout_ms)
{
	struct job_waiter *w = calloc(1, sizeof(*w));
	struct wait_timer *wt = timeout_ms ? calloc(1, sizeof(*wt)) : NULL;

	if (!w || (timeout_ms && !wt)) {
		free(w);
		free(wt);
		return -ENOMEM;
	}
	w->call = call;
	w->wants_job = wants_job;
	if (wt) {
		wt->job = job;
		wt->waiter = w;
		uv_timer_init(job->jobs->manager->loop, &wt->timer);
		wt->timer.data = wt;
		uv_timer_start(&wt->timer, wait_timer_cb, timeout_ms, 0);
		w->timer = &wt->timer;
	}
	w->next = job->waiters;
	job->waiters = w;
	return 0;
}

/* What a call names, for people: its "name", or the one in a definition. */
static const char *vm_of(json_object *params)
{
	json_object *name = NULL, *config = NULL;

	if (json_object_object_get_ex(params, "config", &config) &&
	    json_object_is_type(config, json_type_object))
		params = config;
	json_object_object_get_ex(params, "name", &name);
	return json_object_is_type(name, json_type_string)
		       ? json_object_get_string(name)
		       : "";
}

/* Viewing needs no job; what answers with a descriptor cannot have one. */
static int check_method(enum api_method_id method, struct error *e)
{
	const struct api_method *a = &api_methods[method];

	if (a->role > API_ROLE_VIEWER && !a->returns_fd &&
	    method != API_JOB_CANCEL)
		return 0;
	return error_set(e, -EINVAL,
			 "%s is no job: it takes no async, idempotency_key or "
			 "deadline_ms",
			 a->name);
}

static int begin(struct manager *m, struct api_call *call,
		 const struct api_options *options, const char *key,
		 struct job **ret, struct error *e)
{
	struct jobs *j = m->jobs;
	json_object *params = api_call_given(call);
	enum api_method_id method = api_call_method(call);
	int64_t now = job_now_ms(), id;
	struct store_job row = {
		.method = api_methods[method].name,
		.vm = vm_of(params),
		.params = json_text(params),
		.created_ms = now,
		.key = key,
	};
	int r = 0;

	if (options->deadline_ms)
		row.deadline_ms = now + (int64_t)options->deadline_ms;
	if (j->added++ % PRUNE_EVERY == 0)
		r = store_job_prune(m->store, now - STORE_JOB_KEEP_MS, e);
	if (r == 0)
		r = store_job_add(m->store, &row, &id, e);
	if (r < 0)
		return r;
	row.id = id;
	dbus_api_job(m->dbus_api, &row, false);
	*ret = job_new(j, id, method, row.vm, params, options->deadline_ms);
	if (!*ret)
		return error_set(e, -ENOMEM, "out of memory");
	(*ret)->created_ms = now;
	/* A VM that is being defined has none yet. */
	if (store_vm_id(m->store, row.vm, &(*ret)->vm_id, NULL) < 0)
		(*ret)->vm_id = 0;
	job_event_begun(*ret);
	return 0;
}

/* A mistyped name, or the beginning of one, is nothing to be journalled. */
static bool names_nobody(struct manager *m, struct api_call *call,
			 struct error *e)
{
	json_object *name = NULL;

	json_object_object_get_ex(api_call_given(call), "name", &name);
	return json_object_is_type(name, json_type_string) &&
	       !vm_find(m, json_object_get_string(name), e) &&
	       e->code == ERROR_NOT_FOUND;
}

void job_run(struct manager *m, struct api_call *call)
{
	static const struct api_options none;
	const struct api_options *options = api_call_options(call);
	_cleanup_free_ char *key = NULL;
	struct jobs *j = m->jobs;
	struct job *job = NULL;
	struct error e = ERROR_INIT;
	bool found = false;
	int r = check_method(api_call_method(call), &e);

	if (r == 0 && options && options->idempotency_key)
		r = job_answer_known(m, call, &key, &found, &e);
	if (found)
		return;
	if (!options)
		options = &none;
	if (r == 0 && !key && !options->async && names_nobody(m, call, &e))
		r = -e.err;
	if (r == 0)
		r = begin(m, call, options, key, &job, &e);
	if (r == 0 && !options->async &&
	    job_add_waiter(job, call, false, 0) < 0)
		r = error_set(&e, -ENOMEM, "out of memory");
	if (r < 0) {
		api_call_fail(call, &e);
		if (job)
			job_finish(job, NULL, &e);
		return;
	}
	if (options->async)
		api_call_reply(call, job_to_json(job), -1);
	api_call_inner(&j->inner, job->method, json_object_get(job->params),
		       inner_done, job, &job->inner);
}

/* The job a line about a VM belongs to: the newest that is under way on it. */
static long long job_of_line(void *cookie, const char *vm)
{
	const struct jobs *j = cookie;
	const struct job *job = j->list;
	const struct vm *known;

	for (; job; job = job->next) {
		known = vm_in_memory(j->manager, job->vm_id);
		if (streq(job->vm, vm) ||
		    (known && streq(known->config.name, vm)))
			return job->id;
	}
	return 0;
}

int jobs_new(struct manager *m, const struct api_handlers *inner,
	     struct jobs **ret, struct error *e)
{
	struct jobs *j = calloc(1, sizeof(*j));

	if (!j)
		return error_set(e, -ENOMEM, "out of memory");
	j->manager = m;
	j->inner = *inner;
	log_jobs(job_of_line, j);
	*ret = j;
	return 0;
}

void jobs_stop(struct jobs *j)
{
	if (j)
		j->stopping = true;
}

struct jobs *jobs_free(struct jobs *j)
{
	struct error e = ERROR_INIT;

	if (!j)
		return NULL;
	log_jobs(NULL, NULL);
	error_set(&e, -ECANCELED,
		  "armvmd is stopping; the job is settled when it is back");
	while (j->list) {
		struct job *job = j->list;

		leave(job);
		answer_waiters(job, NULL, &e, NULL);
		uv_close((uv_handle_t *)&job->timer, free_cb);
	}
	free(j);
	return NULL;
}
