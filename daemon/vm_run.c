#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api.h"
#include "api/events.h"
#include "daemon/supervisor_link.h"
#include "daemon/turn.h"
#include "daemon/vm_console.h"
#include "daemon/vm_devices.h"
#include "daemon/vm_nvram.h"
#include "daemon/vm_policy.h"
#include "daemon/vm_fs.h"
#include "daemon/vm_save.h"
#include "daemon/vm_run.h"
#include "daemon/vm_wait.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/wire/messages.h"

#define REQUEST_TIMEOUT_MS 10000
#define NVRAM_RETRY_MS	   1000

struct simple_op {
	vm_done_fn done;
	void *cookie;
};

static void simple_cb(struct vm *vm, void *cookie, json_object *reply, int *fds,
		      size_t n_fds, const struct error *e)
{
	struct simple_op *op = cookie;

	op->done(vm, op->cookie, e);
	free(op);
}

static void request_simple(struct vm *vm, const char *type,
			   link_done_fn replied, vm_done_fn done, void *cookie)
{
	struct simple_op *op = calloc(1, sizeof(*op));
	struct error e = ERROR_INIT;

	if (!op || !vm->supervisor) {
		free(op);
		error_set(&e, -EPROTO, "%s is not running", vm->config.name);
		done(vm, cookie, &e);
		return;
	}
	op->done = done;
	op->cookie = cookie;
	link_request(vm->supervisor, type, NULL, NULL, 0, REQUEST_TIMEOUT_MS,
		     replied, op);
}

void vm_simple(struct vm *vm, const char *type, vm_done_fn done, void *cookie)
{
	request_simple(vm, type, simple_cb, done, cookie);
}

static void shutdown_cb(struct vm *vm, void *cookie, json_object *reply,
			int *fds, size_t n_fds, const struct error *e)
{
	json_object *button = NULL, *agent = NULL;

	json_object_object_get_ex(reply, "button", &button);
	json_object_object_get_ex(reply, "agent", &agent);
	vm->button_heard = json_object_get_boolean(button);
	vm->agent_heard = json_object_get_boolean(agent);
	simple_cb(vm, cookie, reply, fds, n_fds, e);
}

void vm_shutdown(struct vm *vm, vm_done_fn done, void *cookie)
{
	request_simple(vm, "shutdown", shutdown_cb, done, cookie);
}

void vm_reboot(struct vm *vm, vm_done_fn done, void *cookie)
{
	request_simple(vm, "reboot", shutdown_cb, done, cookie);
}

static void stopped_cb(struct vm *vm, void *cookie, json_object *reply,
		       int *fds, size_t n_fds, const struct error *e)
{
	struct simple_op *op = cookie;

	/* A supervisor that cannot answer can still be ended. */
	if (e && vm->supervisor)
		link_kill(vm->supervisor);
	op->done(vm, op->cookie, NULL);
	free(op);
}

void vm_stop(struct vm *vm, vm_done_fn done, void *cookie)
{
	vm_stop_because(vm, "", done, cookie);
}

void vm_stop_because(struct vm *vm, const char *why, vm_done_fn done,
		     void *cookie)
{
	struct simple_op *op = calloc(1, sizeof(*op));
	struct error e = ERROR_INIT;

	if (!op || !vm->supervisor) {
		free(op);
		error_set(&e, -EPROTO, "%s is not running", vm->config.name);
		done(vm, cookie, &e);
		return;
	}
	op->done = done;
	op->cookie = cookie;
	vm->stop_requested = true;
	vm_set_state(vm, VM_STOPPING, why);
	link_request(vm->supervisor, "stop", NULL, NULL, 0, REQUEST_TIMEOUT_MS,
		     stopped_cb, op);
}

static void handle_state(struct vm *vm, json_object *message)
{
	json_object *state = NULL, *reason = NULL;
	enum vm_state next;

	json_object_object_get_ex(message, "state", &state);
	json_object_object_get_ex(message, "reason", &reason);
	if (vm_state_by_name(state ? json_object_get_string(state) : "",
			     &next) < 0)
		return;
	/* Its end is only believed when its process has ended; until then the
	 * reason is kept for that moment. */
	if (!vm_state_active(next)) {
		vm->end_told = true;
		if (vm->panicked || vm->reaping)
			return; /* why is known better here */
		snprintf(vm->end_reason, sizeof(vm->end_reason), "%s",
			 reason ? json_object_get_string(reason) : "");
		vm->ended_well = next == VM_STOPPED;
		return;
	}
	/* From now on it knows what its machine does: it takes requests. */
	if (vm->supervisor && vm->supervisor->holds && !vm->reaping &&
	    (next == VM_RUNNING || next == VM_PAUSED))
		link_let_go(vm->supervisor);
	if (vm->state == VM_STOPPING || vm->reaping)
		return;
	/* The guest goes on running while it shuts down. */
	if (vm->state == VM_SHUTTING_DOWN && next == VM_RUNNING)
		return;
	/* Why it is paused, or what cannot be done with it any more. */
	vm_set_state(vm, next,
		     (next == VM_PAUSED || next == VM_RUNNING) && reason
			     ? json_object_get_string(reason)
			     : "");
	/* One that was saved may be restored paused. */
	if (next == VM_RUNNING || next == VM_PAUSED)
		vm_start_running(vm);
}

static void handle_event(struct vm *vm, json_object *message)
{
	json_object *kind = NULL, *detail = NULL;
	const struct api_event_kind *known;
	const char *text;

	json_object_object_get_ex(message, "kind", &kind);
	json_object_object_get_ex(message, "detail", &detail);
	text = kind ? json_object_get_string(kind) : "";
	/* Only the kinds we know; a supervisor does not invent events. */
	known = api_event_kind_by_name(text);
	if (known && known->of_guest)
		vm_event(vm, text,
			 detail ? json_object_get_string(detail) : "");
	if (streq(text, "reset") && vm->state == VM_SHUTTING_DOWN)
		vm_set_state(vm, VM_RUNNING, "the guest rebooted instead");
	if (streq(text, "reset")) {
		vm_policy_reset(vm);
		vm_wait_rebooted(vm);
	} else if (streq(text, "panic")) {
		vm_policy_panic(vm);
	}
}

static void nvram_try_commit(struct vm *vm);

static void nvram_retry_cb(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;

	if (s->channel && s->nvram_seq)
		nvram_try_commit(s->vm);
}

/* The guest waits: nothing is acknowledged that is not stored, and it goes on
 * by itself when the cause is gone. */
static void nvram_stalled(struct vm *vm, const struct error *why)
{
	struct supervisor *s = vm->supervisor;

	if (!s->nvram_failing)
		vm_event(vm, "nvram-stalled", why->message);
	s->nvram_failing = true;
	uv_timer_start(&s->retry, nvram_retry_cb, NVRAM_RETRY_MS, 0);
}

/* The commit is on disk, or is not: now the guest may be told. */
static void nvram_stored_cb(struct manager *m, const struct turn_note *note,
			    const struct error *why)
{
	struct vm *vm = vm_in_memory(m, note->vm_id);
	struct supervisor *s = vm ? vm->supervisor : NULL;
	json_object *ack;

	if (!s || s->nvram_seq != note->number)
		return; /* it went away; the spill file has it */
	if (why) {
		nvram_stalled(vm, why);
		return;
	}
	s->nvram_failing = false;
	ack = json_object_new_object();
	json_object_object_add(ack, "seq", json_object_new_int64(s->nvram_seq));
	s->nvram_seq = 0;
	link_notify(s, "nvram-ack", ack);
}

static void nvram_try_commit(struct vm *vm)
{
	struct supervisor *s = vm->supervisor;
	struct turn_note note = {.vm_id = vm->id, .number = s->nvram_seq};
	struct error e = ERROR_INIT;
	int r = 0;

	/* What was spilled is older: it goes first, or nothing does. */
	if (s->replay_due) {
		r = vm_nvram_replay(vm, &e);
		s->replay_due = r < 0;
	}
	if (r == 0)
		r = vm_nvram_commit(vm, s->nvram_fd, s->nvram_offset,
				    s->nvram_size, &e);
	if (r < 0)
		nvram_stalled(vm, &e);
	else
		turn_after(vm->manager, nvram_stored_cb, &note);
}

static void handle_nvram(struct vm *vm, json_object *message)
{
	struct supervisor *s = vm->supervisor;
	json_object *seq = NULL, *offset = NULL, *size = NULL;

	json_object_object_get_ex(message, "seq", &seq);
	json_object_object_get_ex(message, "offset", &offset);
	json_object_object_get_ex(message, "size", &size);
	s->nvram_seq = json_object_get_int64(seq);
	s->nvram_offset = (uint64_t)json_object_get_int64(offset);
	s->nvram_size = (uint64_t)json_object_get_int64(size);
	nvram_try_commit(vm);
}

void vm_supervisor_message(struct vm *vm, json_object *message, int *fds,
			   size_t n_fds)
{
	static const struct {
		enum wire_message type;
		void (*handle)(struct vm *vm, json_object *message);
	} handlers[] = {
		{WIRE_STATE, handle_state},
		{WIRE_EVENT, handle_event},
		{WIRE_NVRAM, handle_nvram},
		{WIRE_DEVICE, vm_device_message},
		{WIRE_FILESYSTEM_LOST, vm_fs_lost},
		{WIRE_SAVING, vm_save_message},
		{WIRE_CONSOLE_WRITER, vm_console_message},
	};
	json_object *type = NULL;
	enum wire_message which;

	json_object_object_get_ex(message, "type", &type);
	which = wire_message_by_text(type ? json_object_get_string(type) : "");
	for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
		if (handlers[i].type == which) {
			handlers[i].handle(vm, message);
			return;
		}
	log_vm(LOG_LEVEL_WARNING, vm->config.name,
	       "its supervisor sent an unknown message; ignored");
}

/* What an adopted VM runs on; VM_HYPERVISOR_AUTO when it is not said. */
static int hypervisor_said(json_object *reply)
{
	json_object *name = NULL;

	json_object_object_get_ex(reply, "hypervisor", &name);
	for (int i = 0; name && vm_hypervisor_names[i]; i++)
		if (streq(vm_hypervisor_names[i], json_object_get_string(name)))
			return i;
	return VM_HYPERVISOR_AUTO;
}

static bool says_paused(json_object *reply)
{
	json_object *state = NULL;

	json_object_object_get_ex(reply, "state", &state);
	return state &&
	       streq(json_object_get_string(state), vm_state_name(VM_PAUSED));
}

static void adopted_cb(struct vm *vm, void *cookie, json_object *reply,
		       int *fds, size_t n_fds, const struct error *e)
{
	struct supervisor *s = vm->supervisor;
	struct error why = ERROR_INIT;
	json_object *version = NULL, *configured = NULL;

	if (e) {
		log_vm(LOG_LEVEL_WARNING, vm->config.name, "%s", e->message);
		return;
	}
	json_object_object_get_ex(reply, "version", &version);
	json_object_object_get_ex(reply, "configured", &configured);
	if (json_object_get_int(version) != WIRE_VERSION) {
		log_vm(LOG_LEVEL_ERROR, vm->config.name,
		       "its supervisor speaks wire version %d, this armvmd "
		       "speaks %d: left alone until it is stopped",
		       json_object_get_int(version), WIRE_VERSION);
		return;
	}
	if (!json_object_get_boolean(configured)) {
		/* Its start was cut off half-way; or its taking over of a
		 * machine, which the next one does. */
		vm->stop_requested = vm->state == VM_STARTING ||
				     vm->hypervisor != VM_HYPERVISOR_XEN;
		link_kill(s);
		return;
	}
	/* Or its clearing up was: what it found had not been started yet. */
	if (vm->hypervisor == VM_HYPERVISOR_XEN && vm->state == VM_STARTING &&
	    says_paused(reply)) {
		vm->stop_requested = true;
		link_kill(s);
		return;
	}
	if (s->nvram_fd < 0 && n_fds == 1 && vm_nvram_fd_valid(fds[0]))
		s->nvram_fd = TAKE_FD(fds[0]);
	/* Its stop was cut off by the daemon's end. */
	if (vm->state == VM_STOPPING) {
		vm->stop_requested = true;
		link_kill(s);
		return;
	}
	vm->hypervisor = hypervisor_said(reply);
	/* Before any later commit: the order of updates is theirs. */
	s->replay_due = vm_nvram_replay(vm, &why) < 0;
	if (s->replay_due)
		vm_event(vm, "nvram-stalled", why.message);
	handle_state(vm, reply);
}

void vm_supervisor_connected(struct vm *vm)
{
	json_object *body = json_object_new_object();

	json_object_object_add(body, "version",
			       json_object_new_int(WIRE_VERSION));
	link_request(vm->supervisor, "hello", body, NULL, 0, REQUEST_TIMEOUT_MS,
		     adopted_cb, NULL);
}

void vm_supervisor_ended(struct vm *vm, const char *how)
{
	_cleanup_free_ char *path = manager_socket_path(vm->manager,
							vm->config.uuid);
	bool well = (vm->ended_well || vm->stop_requested) && !vm->panicked;
	bool was_starting = vm->starting;
	/* Taken over before it was configured: it gives up by itself. */
	bool cut_off = vm->state == VM_STARTING && !vm->starting;
	/* It was asked to end, and nothing says that it did otherwise. */
	bool asked = (vm->state == VM_STOPPING && !vm->panicked) ||
		     (vm->adopted && vm->state == VM_SHUTTING_DOWN);
	enum error_code code = vm->end_code;
	struct error e = ERROR_INIT;
	char reason[sizeof(vm->end_reason)];

	if (path)
		unlink(path);
	vm_fs_ended(vm);
	if (vm_nvram_replay(vm, &e) < 0)
		log_vm(LOG_LEVEL_ERROR, vm->config.name, "%s", e.message);
	if (vm_adopt(vm, how)) {
		error_set_code(&e, ERROR_CANCELLED, "%s: %s", vm->config.name,
			       how);
		vm_devices_end(vm, &e);
		return;
	}
	snprintf(reason, sizeof(reason), "%s",
		 vm->state == VM_STOPPING && vm->reason[0] ? vm->reason
		 : vm->end_reason[0]			   ? vm->end_reason
		 : cut_off ? "armvmd ended while it was being started"
		 : vm->stop_requested ? "stopped by request"
				      : how);
	vm->end_reason[0] = '\0';
	vm->end_code = ERROR_INTERNAL;
	vm->ended_well = false;
	vm->stop_requested = vm->panicked = vm->reset_requested = false;
	vm->reaping = vm->end_told = false;
	well |= cut_off || asked;
	vm->adopted = false;
	vm_set_state(vm, well ? VM_STOPPED : VM_CRASHED, reason);
	log_vm(well ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, vm->config.name, "%s",
	       reason);
	vm_start_ended(vm, code, reason);
	error_set_code(&e, ERROR_CANCELLED, "%s: %s", vm->config.name, reason);
	vm_devices_end(vm, &e);
	vm_wait_ended(vm);
	vm_policy_ended(vm, !well && !was_starting);
}
