/*
 * Shared by job.c (a job's life), job_resume.c (jobs an earlier daemon left)
 * and rpc_job.c (asking after them).
 */
#ifndef DAEMON_JOB_INTERNAL_H
#define DAEMON_JOB_INTERNAL_H

#include "daemon/job.h"
#include "daemon/vm.h"

struct job_waiter {
	struct job_waiter *next;
	struct api_call *call;
	bool wants_job;	   /* else it is answered as the method would */
	uv_timer_t *timer; /* job.wait's; NULL: none */
};

struct job {
	struct jobs *jobs;
	struct job *next;
	int64_t id, created_ms, deadline_ms;
	enum api_method_id method;
	json_object *params;
	char *vm; /* as it was asked for; "" when it names none */
	char step[32];
	int progress;
	int64_t vm_id;		/* 0 until known */
	struct api_call *inner; /* while a handler has it */
	uv_timer_t timer;	/* of the deadline */
	struct job_waiter *waiters;
	uint64_t told_ms; /* its last event, by the loop's clock */
	bool resumed;	  /* an earlier daemon's: its VM's state decides */
	/* Of a resumed shutdown: the VM is stopped at the job's deadline. */
	uint64_t then_stop_ms;
	bool cancelled; /* by request, or by its deadline */
	enum error_code why_cancelled;
};

struct jobs {
	struct manager *manager;
	struct api_handlers inner; /* the methods themselves */
	struct job *list;	   /* running */
	unsigned added;
	bool stopping; /* the daemon ends: nothing is settled any more */
};

int64_t job_now_ms(void);
/* job_event.c: event "job" with what job.get shows; `state` is its end's. */
void job_event_begun(struct job *job);
void job_event_step(struct job *job);
void job_event_ended(struct job *job, const char *state, const struct error *e);
struct job *job_find(struct jobs *j, int64_t id);
/* In memory; `params` is borrowed. NULL: no memory. */
struct job *job_new(struct jobs *j, int64_t id, enum api_method_id method,
		    const char *vm, json_object *params, uint64_t deadline_ms);
/* It has ended: stored, waiters answered, freed. result is consumed. */
void job_finish(struct job *job, json_object *result, const struct error *e);
/* -EPROTO when it can no longer be. Its end follows, perhaps at once. */
int job_cancel(struct job *job, enum error_code why, struct error *e);
/* job_key.c: a call with a key, answered when *ret_found. *ret_key is what its
 * job is to be stored with; owned by the caller. */
int job_answer_known(struct manager *m, struct api_call *call, char **ret_key,
		     bool *ret_found, struct error *e) must_check;
json_object *job_to_json(const struct job *job);
json_object *job_row_to_json(const struct store_job *row);
int job_add_waiter(struct job *job, struct api_call *call, bool wants_job,
		   uint64_t timeout_ms);

#endif
