#include "daemon/vm_save.h"

#include <stdio.h>
#include <sys/socket.h>

#include "api/api.h"
#include "daemon/job.h"
#include "daemon/save_file.h"
#include "daemon/supervisor_link.h"
#include "daemon/vm_live.h"
#include "daemon/vm_run.h"
#include "daemon/vm_wait.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define REQUEST_TIMEOUT_MS 10000
#define FREEZE_TIMEOUT_MS  45000
/* The job's own deadline is what ends a slow one. */
#define SAVE_TIMEOUT_MS (24ull * 60 * 60 * 1000)

struct save_op {
	struct vm *vm;
	struct api_call *call;
	bool stop, freeze, compress;
	bool was_paused, frozen, cancelled, streaming;
	struct save_file *file;
	bool file_ended, replied;
	/* What went wrong, as either end has it; err 0: nothing. */
	struct error why, file_why;
};

static void ignore_cb(struct vm *vm, void *cookie, json_object *reply, int *fds,
		      size_t n_fds, const struct error *e)
{
	if (e)
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "after its snapshot: %s", e->message);
}

static void ask_agent(struct save_op *op, const char *command,
		      link_done_fn done)
{
	json_object *body = json_object_new_object();

	json_object_object_add(body, "command",
			       json_object_new_string(command));
	link_request(op->vm->supervisor, "agent", body, NULL, 0,
		     FREEZE_TIMEOUT_MS, done, op);
}

static void op_free(struct save_op *op)
{
	struct vm *vm = op->vm;

	vm->save = NULL;
	vm->pins--;
	vm_may_rest(vm);
	save_file_free(op->file);
	free(op);
}

static json_object *result_of(const struct save_op *op)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "name",
			       json_object_new_string(op->vm->config.name));
	save_file_describe(op->file, o);
	return o;
}

static void stopped_cb(struct vm *vm, void *cookie, const struct error *e)
{
	if (e)
		log_vm(LOG_LEVEL_WARNING, vm->config.name, "%s", e->message);
}

/* The file is there: the caller may have it, and the VM its end. */
static void succeed(struct save_op *op)
{
	struct vm *vm = op->vm;
	struct api_call *call = op->call;
	json_object *result = result_of(op), *fields = result_of(op);
	bool stop = op->stop;

	(void)!manager_event(vm->manager, vm, "saved", fields);
	if (op->frozen && !stop && vm->supervisor)
		ask_agent(op, "thaw", ignore_cb);
	op_free(op);
	if (stop)
		vm_stop(vm, stopped_cb, NULL);
	/* A stop is awaited, so that the disks are free when this is told. */
	if (stop)
		vm_wait_end_with(vm, call, result);
	else
		api_call_reply(call, result, -1);
}

static void give_up(struct save_op *op)
{
	struct api_call *call = op->call;
	struct vm *vm = op->vm;
	struct error e = op->why;

	/* One that cannot write down what it is sent knows better why than the
	 * one who sent it, and the other way round. */
	if (op->file_why.err && (op->file_why.err != EIO || !e.err))
		e = op->file_why;
	if (op->cancelled)
		error_set(&e, -ECANCELED, "%s goes on as it was",
			  vm->config.name);
	/* Saved for a stop that does not come. */
	if (op->stop && !op->was_paused && vm->supervisor &&
	    vm->state == VM_PAUSED)
		link_request(vm->supervisor, "resume", NULL, NULL, 0,
			     REQUEST_TIMEOUT_MS, ignore_cb, NULL);
	if (op->frozen && vm->supervisor)
		ask_agent(op, "thaw", ignore_cb);
	op_free(op);
	api_call_fail(call, &e);
}

/* Both ends have to be done. */
static void maybe_finish(struct save_op *op)
{
	bool failed = op->why.err || op->file_why.err || op->cancelled;

	if (!op->replied || !op->file_ended)
		return;
	if (!failed)
		failed = save_file_publish(op->file, &op->why) < 0;
	if (failed)
		give_up(op);
	else
		succeed(op);
}

static void file_ended(void *cookie, const struct error *e)
{
	struct save_op *op = cookie;

	op->file_ended = true;
	if (e)
		op->file_why = *e;
	maybe_finish(op);
}

static void saved_cb(struct vm *vm, void *cookie, json_object *reply, int *fds,
		     size_t n_fds, const struct error *e)
{
	struct save_op *op = cookie;
	json_object *resumed = NULL;

	op->replied = true;
	if (!e) {
		/* Its own word of that may come a moment later, and the caller
		 * is to see it now. */
		json_object_object_get_ex(reply, "resumed", &resumed);
		if (json_object_get_boolean(resumed) && vm->state == VM_PAUSED)
			vm_set_state(vm, VM_RUNNING, "");
		maybe_finish(op);
		return;
	}
	op->why = *e;
	/* Nothing more comes. */
	if (!op->file_ended)
		save_file_stop(op->file);
	else
		maybe_finish(op);
}

/* `config` is what runs. */
static void send_save(struct save_op *op, struct vm_config *config,
		      bool differs)
{
	json_object *body = json_object_new_object();
	struct save_file_params params = {
		.paused = op->was_paused,
		.frozen = op->frozen,
		.compressed = op->compress,
		.config = config,
		.differs = differs,
		.ended = file_ended,
		.cookie = op,
	};
	struct error e = ERROR_INIT;
	int pair[2];

	json_object_object_add(body, "compress",
			       json_object_new_boolean(op->compress));
	json_object_object_add(body, "hold", json_object_new_boolean(op->stop));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		error_set(&e, -errno, "cannot make a socket pair: %m");
		json_object_put(body);
		op->why = e;
		give_up(op);
		return;
	}
	op->streaming = true;
	params.sock = pair[0];
	save_file_begin(op->file, &params);
	link_request(op->vm->supervisor, "save", body, &pair[1], 1,
		     SAVE_TIMEOUT_MS, saved_cb, op);
	fd_close(pair[1]);
}

static void devices_cb(struct vm *vm, void *cookie, json_object *reply,
		       int *fds, size_t n_fds, const struct error *e)
{
	_cleanup_vm_config_ struct vm_config config = {0};
	struct save_op *op = cookie;
	struct error why = ERROR_INIT;
	json_object *devices = NULL;
	bool differs = false;

	if (e)
		why = *e;
	else
		json_object_object_get_ex(reply, "devices", &devices);
	if (!e)
		(void)!vm_live_config(vm, devices, &config, &differs, &why);
	if (why.err || op->cancelled) {
		op->why = why;
		give_up(op);
		return;
	}
	job_step(vm, "memory", 5);
	send_save(op, &config, differs);
}

static void ask_devices(struct save_op *op)
{
	link_request(op->vm->supervisor, "devices", NULL, NULL, 0,
		     REQUEST_TIMEOUT_MS, devices_cb, op);
}

static void frozen_cb(struct vm *vm, void *cookie, json_object *reply, int *fds,
		      size_t n_fds, const struct error *e)
{
	struct save_op *op = cookie;

	op->frozen = !e;
	if (!e && !op->cancelled) {
		ask_devices(op);
		return;
	}
	if (e)
		op->why = *e;
	give_up(op);
}

static int check(const struct vm *vm, struct error *e)
{
	if (vm->save)
		return error_set(e, -EBUSY,
				 "a snapshot of %s is being saved already",
				 vm->config.name);
	if (vm->device_ops)
		return error_set(e, -EBUSY,
				 "a device of %s is being added or removed; a "
				 "snapshot is possible when that has ended",
				 vm->config.name);
	return 0;
}

void vm_save(struct vm *vm, const struct save_request *q, struct api_call *call)
{
	struct save_op *op = NULL;
	struct error e = ERROR_INIT;
	int r = check(vm, &e);

	if (r == 0 && vm->hypervisor == VM_HYPERVISOR_XEN)
		r = error_set(
			&e, -EOPNOTSUPP,
			"%s cannot be saved: Xen on ARM neither saves nor "
			"restores domains",
			vm->config.name);
	if (r == 0)
		op = calloc(1, sizeof(*op));
	if (r == 0)
		r = op ? save_file_new(vm, q->path, q->overwrite, &op->file, &e)
		       : error_set(&e, -ENOMEM, "out of memory");
	if (r < 0) {
		free(op);
		api_call_fail(call, &e);
		return;
	}
	op->vm = vm;
	op->call = call;
	op->stop = q->stop;
	op->freeze = q->freeze;
	op->compress = q->compress;
	op->was_paused = vm->state == VM_PAUSED;
	vm->save = op;
	vm->pins++;
	if (op->freeze) {
		job_step(vm, "freeze", 2);
		ask_agent(op, "freeze", frozen_cb);
	} else {
		ask_devices(op);
	}
}

bool vm_save_cancel(struct vm *vm)
{
	struct save_op *op = vm->save;

	if (!op || (op->replied && op->file_ended))
		return false;
	op->cancelled = true;
	if (op->streaming)
		save_file_stop(op->file);
	return true;
}

void vm_save_message(struct vm *vm, json_object *message)
{
	json_object *done = NULL, *total = NULL;
	uint64_t of;

	json_object_object_get_ex(message, "done", &done);
	json_object_object_get_ex(message, "total", &total);
	of = json_object_get_uint64(total);
	if (vm->save && of)
		job_step(vm, "memory",
			 5 + (int)(MIN(json_object_get_uint64(done), of) /
				   (of / 90 + 1)));
}

void vm_save_abandon(struct vm *vm)
{
	struct save_op *op = vm->save;

	if (!op)
		return;
	op->cancelled = true;
	if (op->streaming)
		save_file_abandon(op->file);
}
