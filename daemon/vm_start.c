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
#include "lib/base/log.h"
#include "lib/wire/messages.h"

#define HELLO_TIMEOUT_MS     20000
#define CONFIGURE_TIMEOUT_MS 60000
/* A snapshot is read meanwhile, by the slowest disk. */
#define RESTORE_BYTES_PER_MS 20000
/* A machine whose supervisors die faster than that is not looked after. */
#define ADOPTIONS_MAX	    20
#define ADOPTIONS_WINDOW_MS 60000

struct start_op {
	struct vm *vm;
	int hypervisor; /* "auto" resolved */
	struct resources resources;
	size_t sent;   /* resources handed over so far */
	size_t served; /* passts that are waited for, or serve */
	bool paused, adopt;
	/* What it is started as; of a restored one its own. */
	const struct vm_config *config;
	struct vm_config restored;
	json_object *live; /* of an adopted one: what else it has */
	uint64_t configure_ms;
	vm_done_fn done;
	void *cookie;
};

/* Once the request is on its way, vm->starting names it until its end. */
static void start_finish(struct start_op *op, const struct error *e)
{
	struct vm *vm = op->vm;

	if (!op->adopt)
		vm->starting = NULL;
	else if (!e && vm->supervisor && vm->reaping)
		link_let_go(vm->supervisor);
	op->done(vm, op->cookie, e);
	resources_done(&op->resources);
	vm_config_done(&op->restored);
	json_object_put(op->live);
	free(op);
}

/* Told when the process is gone (vm_start_ended): a retry may follow at once.
 */
static void start_fail(struct start_op *op, const struct error *e)
{
	struct vm *vm = op->vm;

	if (!vm->supervisor || op->adopt) {
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
	struct start_op *op = cookie;

	if (e)
		start_fail(op, e);
	else if (op->adopt)
		start_finish(op, NULL);
}

static void start_guest(struct start_op *op)
{
	if (op->adopt && !op->vm->reaping) {
		start_finish(op, NULL);
		return;
	}
	job_step(op->vm, "guest", 80);
	/* Whoever serves it is there by now. */
	if (vm_is_served(&op->vm->config))
		scopes_join(op->vm);
	link_request_now(op->vm->supervisor, op->vm->reaping ? "stop" : "start",
			 NULL, NULL, 0, CONFIGURE_TIMEOUT_MS, started_cb, op);
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
	json_object_object_add(body, "adopt",
			       json_object_new_boolean(op->adopt));
	if (op->live)
		json_object_object_add(body, "live", json_object_get(op->live));
	json_object_object_add(
		body, "console_log_bytes",
		json_object_new_int64((int64_t)vm_log_part_bytes(op->vm)));
	json_object_object_add(body, "roles", roles);
	json_object_object_add(
		body, "more",
		json_object_new_boolean(op->sent < op->resources.count));
	link_request_now(op->vm->supervisor, "configure", body, fds, n,
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

static void say_hello(struct start_op *op)
{
	struct supervisor *s = op->vm->supervisor;
	json_object *body = json_object_new_object();

	s->nvram_fd = fcntl(resources_find(&op->resources, "nvram"),
			    F_DUPFD_CLOEXEC, 3);
	json_object_object_add(body, "version",
			       json_object_new_int(WIRE_VERSION));
	link_request_now(s, "hello", body, NULL, 0, HELLO_TIMEOUT_MS, hello_cb,
			 op);
}

static int open_resources(struct start_op *op, int snapshot_fd, struct error *e)
{
	struct vm *vm = op->vm;
	struct stat st;
	int fd, r;

	op->configure_ms = CONFIGURE_TIMEOUT_MS;
	r = resources_hypervisor(vm->manager, vm->config.hypervisor,
				 &op->hypervisor, e);
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
	vm->end_told = vm->reaping = false;
	r = open_resources(op, from->snapshot_fd, &e);
	vm->hypervisor = op->hypervisor;
	if (r == 0)
		r = link_spawn(vm, &e);
	if (r == 0 && from->config)
		r = vm_live_record(vm, op->config, &e);
	if (!vm->supervisor)
		vm->hypervisor = VM_HYPERVISOR_AUTO;
	if (vm->supervisor) {
		struct turn_note note = {.vm_id = vm->id,
					 .number = vm->supervisor->pid};

		vm->starting = op;
		vm_set_state(vm, VM_STARTING, "");
		job_step(vm, "supervisor", 20);
		turn_after(vm->manager, recorded_cb, &note);
	}
	if (r < 0) {
		start_fail(op, &e);
		return;
	}
	say_hello(op);
}

/* How that ended shows in the VM; all that is left to say is why it did not
 * work. A domain that is gone is an end, of which nothing is left. */
static void adopted_cb(struct vm *vm, void *cookie, const struct error *e)
{
	if (!e)
		return;
	vm->end_told |= e->code == ERROR_NOT_FOUND;
	if (!vm->reaping)
		snprintf(vm->end_reason, sizeof(vm->end_reason),
			 "its supervisor ended, and %.400s", e->message);
	if (vm->supervisor)
		link_kill(vm->supervisor);
}

/* Whether that may be tried once more. */
static bool may_adopt(struct vm *vm)
{
	uint64_t now = uv_now(vm->manager->loop);

	if (now - vm->adoptions_since > ADOPTIONS_WINDOW_MS)
		vm->adoptions = 0;
	if (vm->adoptions++ == 0)
		vm->adoptions_since = now;
	return vm->adoptions <= ADOPTIONS_MAX;
}

static int begin_adoption(struct start_op *op, struct error *e)
{
	struct vm *vm = op->vm;
	struct turn_note note = {.vm_id = vm->id};
	int r;

	r = vm_live_noted(vm, &op->live, e);
	if (r == 0 || r == -ENOENT)
		r = resources_reopen(vm, op->hypervisor, &op->resources, e);
	if (r == 0)
		r = link_spawn(vm, e);
	if (vm->supervisor) {
		note.number = vm->supervisor->pid;
		turn_after(vm->manager, recorded_cb, &note);
	}
	return r;
}

bool vm_adopt(struct vm *vm, const char *how)
{
	struct error e = ERROR_INIT;
	struct start_op *op;

	if (vm->hypervisor != VM_HYPERVISOR_XEN || vm->end_told ||
	    !may_adopt(vm))
		return false;
	op = calloc(1, sizeof(*op));
	if (!op)
		return false;
	vm->reaping = vm->state == VM_STARTING || vm->state == VM_STOPPING ||
		      vm->stop_requested || vm->panicked;
	log_vm(LOG_LEVEL_WARNING, vm->config.name, "%s; another one %s", how,
	       vm->reaping ? "clears up" : "takes its domain over");
	op->vm = vm;
	op->adopt = true;
	op->config = &vm->config;
	op->hypervisor = vm->hypervisor;
	op->configure_ms = CONFIGURE_TIMEOUT_MS;
	op->done = adopted_cb;
	if (begin_adoption(op, &e) == 0) {
		vm->supervisor->holds = true;
		say_hello(op);
		return true;
	}
	start_finish(op, &e);
	return vm->supervisor;
}
