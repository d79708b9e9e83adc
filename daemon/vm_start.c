/* Starting a VM, in the order the steps run. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/job.h"
#include "daemon/resource.h"
#include "daemon/scope.h"
#include "daemon/supervisor_link.h"
#include "daemon/turn.h"
#include "daemon/vm_live.h"
#include "daemon/vm_log.h"
#include "daemon/vm_processes.h"
#include "daemon/vm_run.h"
#include "lib/wire/messages.h"

#define HELLO_TIMEOUT_MS     20000
#define CONFIGURE_TIMEOUT_MS 60000
/* A snapshot is read meanwhile, by the slowest disk. */
#define RESTORE_BYTES_PER_MS 20000

struct start_op {
	struct vm *vm;
	int hypervisor; /* "auto" resolved */
	struct resources resources;
	size_t sent;   /* resources handed over so far */
	size_t served; /* passts that are waited for, or serve */
	bool paused;
	/* What it is started as; of a restored one its own. */
	const struct vm_config *config;
	struct vm_config restored;
	uint64_t configure_ms;
	vm_done_fn done;
	void *cookie;
};

/* Once the request is on its way, vm->starting names it until its end. */
static void start_finish(struct start_op *op, const struct error *e)
{
	struct vm *vm = op->vm;

	vm->starting = NULL;
	op->done(vm, op->cookie, e);
	resources_done(&op->resources);
	vm_config_done(&op->restored);
	free(op);
}

/* Told when the process is gone (vm_start_ended): a retry may follow at once.
 */
static void start_fail(struct start_op *op, const struct error *e)
{
	struct vm *vm = op->vm;

	if (!vm->supervisor) {
		start_finish(op, e);
		return;
	}
	vm->stop_requested = true;
	snprintf(vm->end_reason, sizeof(vm->end_reason), "%s", e->message);
	vm->end_code = e->code;
	link_kill(vm->supervisor);
}

void vm_start_running(struct vm *vm)
{
	if (vm->starting && (vm->state == VM_PAUSED || !vm->starting->paused))
		start_finish(vm->starting, NULL);
}

void vm_start_ended(struct vm *vm, enum error_code code, const char *reason)
{
	struct error e = ERROR_INIT;

	if (!vm->starting)
		return;
	error_set_code(&e, code, "%s", reason);
	start_finish(vm->starting, &e);
}

/* Success is told by the state, when the first instruction runs. */
static void started_cb(struct vm *vm, void *cookie, json_object *reply,
		       int *fds, size_t n_fds, const struct error *e)
{
	if (e)
		start_fail(cookie, e);
}

static void start_guest(struct start_op *op)
{
	job_step(op->vm, "guest", 80);
	/* Whoever serves it is there by now. */
	if (vm_is_served(&op->vm->config))
		scopes_join(op->vm);
	link_request(op->vm->supervisor, "start", NULL, NULL, 0,
		     CONFIGURE_TIMEOUT_MS, started_cb, op);
}

static void serve_users(struct start_op *op);

static void served_cb(void *cookie, const struct error *why)
{
	if (why)
		start_fail(cookie, why);
	else
		serve_users(cookie);
}

/* A guest is started when those that are to serve it do. */
static void serve_users(struct start_op *op)
{
	struct resources *r = &op->resources;

	if (op->served == r->n_passts)
		start_guest(op);
	else
		passt_then(r->passts[op->served++], served_cb, op);
}

static void configure_next(struct start_op *op);

static void configured_cb(struct vm *vm, void *cookie, json_object *reply,
			  int *fds, size_t n_fds, const struct error *e)
{
	struct start_op *op = cookie;

	if (e)
		start_fail(op, e);
	else if (op->sent < op->resources.count)
		configure_next(op);
	else
		serve_users(op);
}

/* The definition as this run has it: "auto" resolved; the stored one keeps
 * "auto". */
static json_object *run_config(const struct start_op *op)
{
	struct vm_config resolved = *op->config; /* borrows its strings */

	resolved.hypervisor = op->hypervisor;
	return vm_config_to_json(&resolved);
}

/* A datagram carries FD_PASS_MAX descriptors; the last one says so. */
static void configure_next(struct start_op *op)
{
	size_t n = MIN(op->resources.count - op->sent, FD_PASS_MAX);
	json_object *body = json_object_new_object();
	json_object *roles = json_object_new_array();
	int fds[FD_PASS_MAX];

	for (size_t i = 0; i < n; i++) {
		const struct resource *r = &op->resources.list[op->sent + i];

		json_object_array_add(roles, json_object_new_string(r->role));
		fds[i] = r->fd;
	}
	op->sent += n;
	json_object_object_add(body, "config", run_config(op));
	json_object_object_add(body, "nvram_size",
			       json_object_new_int64(VARSTORE_SIZE));
	json_object_object_add(body, "paused",
			       json_object_new_boolean(op->paused));
	json_object_object_add(
		body, "console_log_bytes",
		json_object_new_int64((int64_t)vm_log_part_bytes(op->vm)));
	json_object_object_add(body, "roles", roles);
	json_object_object_add(
		body, "more",
		json_object_new_boolean(op->sent < op->resources.count));
	link_request(op->vm->supervisor, "configure", body, fds, n,
		     op->configure_ms, configured_cb, op);
}

static void hello_cb(struct vm *vm, void *cookie, json_object *reply, int *fds,
		     size_t n_fds, const struct error *e)
{
	struct start_op *op = cookie;

	if (e) {
		start_fail(op, e);
		return;
	}
	job_step(vm, "configure", 40);
	configure_next(op);
}

/* Without a durable record of the run the next daemon would not know of it. */
static void recorded_cb(struct manager *m, const struct turn_note *note,
			const struct error *why)
{
	struct vm *vm = vm_in_memory(m, note->vm_id);

	if (!why || !vm || !vm->supervisor ||
	    vm->supervisor->pid != note->number)
		return;
	if (vm->starting)
		start_fail(vm->starting, why);
	else
		link_kill(vm->supervisor);
}

static int open_resources(struct start_op *op, int snapshot_fd, struct error *e)
{
	struct vm *vm = op->vm;
	struct stat st;
	int fd, r;

	op->configure_ms = CONFIGURE_TIMEOUT_MS;
	r = resources_hypervisor(vm->config.hypervisor, &op->hypervisor, e);
	if (r == 0)
		r = resources_open(vm, op->config, op->hypervisor,
				   &op->resources, e);
	if (r < 0 || snapshot_fd < 0)
		return r;
	fd = fcntl(snapshot_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return error_set(e, -errno, "cannot hand over a snapshot: %m");
	if (fstat(fd, &st) == 0)
		op->configure_ms += (uint64_t)st.st_size / RESTORE_BYTES_PER_MS;
	resources_add(&op->resources, "snapshot", "", fd);
	return 0;
}

void vm_start(struct vm *vm, vm_done_fn done, void *cookie)
{
	const struct vm_start_from power_on = {.snapshot_fd = -1};

	vm_start_from(vm, &power_on, done, cookie);
}

void vm_start_from(struct vm *vm, const struct vm_start_from *from,
		   vm_done_fn done, void *cookie)
{
	struct start_op *op = calloc(1, sizeof(*op));
	struct error e = ERROR_INIT;
	json_object *body;
	int r = 0;

	if (!op) {
		error_set(&e, -ENOMEM, "out of memory");
		done(vm, cookie, &e);
		return;
	}
	op->vm = vm;
	op->done = done;
	op->cookie = cookie;
	op->paused = from->paused;
	op->config = &vm->config;
	if (from->config) {
		op->restored = *from->config;
		*from->config = (struct vm_config){0};
		op->config = &op->restored;
	}
	vm->stop_requested = false;
	r = open_resources(op, from->snapshot_fd, &e);
	if (r == 0)
		r = link_spawn(vm, &e);
	if (r == 0 && from->config)
		r = vm_live_record(vm, op->config, &e);
	if (vm->supervisor) {
		struct turn_note note = {.vm_id = vm->id,
					 .number = vm->supervisor->pid};

		vm->starting = op;
		vm->hypervisor = op->hypervisor;
		vm_set_state(vm, VM_STARTING, "");
		job_step(vm, "supervisor", 20);
		turn_after(vm->manager, recorded_cb, &note);
	}
	if (r < 0) {
		start_fail(op, &e);
		return;
	}
	vm->supervisor->nvram_fd = fcntl(
		resources_find(&op->resources, "nvram"), F_DUPFD_CLOEXEC, 3);
	body = json_object_new_object();
	json_object_object_add(body, "version",
			       json_object_new_int(WIRE_VERSION));
	link_request(vm->supervisor, "hello", body, NULL, 0, HELLO_TIMEOUT_MS,
		     hello_cb, op);
}
