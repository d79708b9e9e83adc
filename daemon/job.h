/*
 * Jobs: calls that are journalled, can be left alone and asked after, and are
 * known by a key when they are made again.
 *
 * A job is a row from the turn in which it was asked for; what it changes in
 * that turn is committed together with the row. In memory it exists while it
 * runs. A job that a daemon's end cut off is settled by the next one
 * (job_startup): resumed where that is safe, else undone, and it says which.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_JOB_H
#define DAEMON_JOB_H

#include "daemon/manager.h"

struct job;
struct vm;

struct jobs; /* of the daemon */
int jobs_new(struct manager *m, const struct api_handlers *inner,
	     struct jobs **ret, struct error *e) must_check;
/* The daemon begins to end: what fails now is no job's end. */
void jobs_stop(struct jobs *j);
/* Calls that still wait are told that the daemon ends. NULL is fine. */
struct jobs *jobs_free(struct jobs *j);

/* Run the method of `call` as a job; it is answered with the method's result,
 * or, when it asked for that, with the job at once. */
void job_run(struct manager *m, struct api_call *call);

/* Settle what an earlier daemon left; after running VMs were taken over. */
void job_startup(struct manager *m);

/* The VM a call turned out to be about, if that is a job: one that does not
 * name it. */
void job_about(struct manager *m, const struct api_call *call,
	       const struct vm *vm);

/* How far the start, the saving or the restoring of a VM is, if a job does it.
 */
void job_step(struct vm *vm, const char *step, int progress);

/* The VM has another state: jobs that wait for one look at it. */
void job_vm_changed(struct vm *vm);

/* job.get, .list, .wait, .cancel; cookie is the manager. */
void rpc_job_get(void *cookie, struct api_call *c);
void rpc_job_list(void *cookie, struct api_call *c);
void rpc_job_wait(void *cookie, struct api_call *c);
void rpc_job_cancel(void *cookie, struct api_call *c);

#endif
