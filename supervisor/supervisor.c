#include <stdio.h>

#include "lib/base/log.h"
#include "lib/host/io_ring.h"
#include "supervisor/handlers.h"
#include "supervisor/handlers_internal.h"
#include "supervisor/signals.h"

json_object *supervisor_message(enum wire_message m)
{
	json_object *object = json_object_new_object();

	json_object_object_add(object, "type",
			       json_object_new_string(wire_message_text(m)));
	return object;
}

void supervisor_tell(struct supervisor *s, json_object *message)
{
	int r;

	if (!s->greeted) {
		json_object_put(message);
		return;
	}
	r = control_send(&s->control, message, -1);
	if (r < 0)
		log_vm(LOG_LEVEL_WARNING, s->name,
		       "a message to the daemon is lost: %s", strerror(-r));
}

void supervisor_leave(struct supervisor *s)
{
	if (s->ending)
		return;
	s->ending = true;
	if (s->vmm)
		s->ops->destroy(TAKE_PTR(s->vmm));
	save_ended(s);
	s->agent = agent_free(s->agent);
	devices_done(s);
	s->nvram = nvram_free(s->nvram);
	s->console_log = console_log_free(s->console_log);
	s->console = chardev_free(s->console);
	s->virtio_console = chardev_free(s->virtio_console);
	handover_done(&s->handover);
	control_done(&s->control);
	uv_close((uv_handle_t *)&s->timer, NULL);
	signals_end(s);
}

static void on_farewell(uv_timer_t *timer)
{
	supervisor_leave(timer->data);
}

void supervisor_told(struct supervisor *s)
{
	if (s->ending || s->told)
		return;
	s->told = true;
	uv_timer_start(&s->timer, on_farewell, SUPERVISOR_FAREWELL_MS, 0);
}

static void on_rest(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;

	if (s->vmm)
		s->ops->destroy(TAKE_PTR(s->vmm));
	save_ended(s);
	s->agent = agent_free(s->agent);
	devices_done(s);
	if (s->nvram)
		s->spilled_bytes = nvram_spilled_bytes(s->nvram);
	s->nvram = nvram_free(s->nvram);
	supervisor_set_state(s, s->final_state, s->reason);
	if (s->greeted)
		supervisor_told(s);
	else if (s->dismissed)
		supervisor_leave(s);
}

void supervisor_rest(struct supervisor *s, enum vm_state final_state,
		     const char *reason)
{
	if (s->at_rest)
		return;
	s->at_rest = true;
	s->state = VM_STOPPING;
	s->final_state = final_state;
	s->exit_status = final_state == VM_STOPPED ? EXIT_SUCCESS
						   : EXIT_FAILURE;
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
	uv_timer_start(&s->timer, on_rest, 0, 0);
}

void supervisor_set_state(struct supervisor *s, enum vm_state state,
			  const char *reason)
{
	json_object *message = supervisor_message(WIRE_STATE);

	s->state = state;
	if (reason != s->reason)
		snprintf(s->reason, sizeof(s->reason), "%s", reason);
	log_vm(LOG_LEVEL_INFO, s->name, "%s%s%s", vm_state_name(state),
	       s->reason[0] ? ": " : "", s->reason);
	json_object_object_add(message, "state",
			       json_object_new_string(vm_state_name(state)));
	json_object_object_add(message, "reason",
			       json_object_new_string(s->reason));
	supervisor_tell(s, message);
}

static void tell_event(struct supervisor *s, const char *kind,
		       const char *detail)
{
	json_object *message = supervisor_message(WIRE_EVENT);

	log_vm(LOG_LEVEL_INFO, s->name, "event %s%s%s", kind,
	       detail[0] ? ": " : "", detail);
	json_object_object_add(message, "kind", json_object_new_string(kind));
	json_object_object_add(message, "detail",
			       json_object_new_string(detail));
	supervisor_tell(s, message);
}

void supervisor_log_event(void *cookie, const char *detail)
{
	tell_event(cookie, "console-log", detail);
}

uint64_t supervisor_now_ms(void *cookie)
{
	struct supervisor *s = cookie;

	return uv_now(&s->loop);
}

/* By the definition, here: a daemon may be away. */
static void watchdog(struct supervisor *s)
{
	struct error e = ERROR_INIT;
	int r = 0;

	tell_event(s, "watchdog", "the guest let its watchdog expire");
	switch (s->config.on_watchdog) {
	case VM_ON_WATCHDOG_RESET:
		r = s->ops->reset(s->vmm, &e);
		break;
	case VM_ON_WATCHDOG_PAUSE:
		r = s->ops->pause(s->vmm, &e);
		break;
	case VM_ON_WATCHDOG_STOP:
		supervisor_rest(s, VM_STOPPED,
				"the guest let its watchdog expire");
		break;
	default:
		break;
	}
	if (r < 0)
		log_vm(LOG_LEVEL_WARNING, s->name, "watchdog: %s", e.message);
}

/* By a device's on_error: the guest stands still until somebody has seen to the
 * host, and resumes it. */
static void hold_guest(struct supervisor *s, const char *kind,
		       const char *detail)
{
	struct error e = ERROR_INIT;

	tell_event(s, kind, detail);
	if (s->state == VM_PAUSED)
		return;
	snprintf(s->pause_reason, sizeof(s->pause_reason), "%s", detail);
	if (s->ops->pause(s->vmm, &e) < 0)
		log_vm(LOG_LEVEL_WARNING, s->name, "%s: %s", kind, e.message);
}

static void on_vmm_event(void *cookie, enum vmm_event_kind kind,
			 const char *detail)
{
	struct supervisor *s = cookie;

	if (s->at_rest)
		return;
	switch (kind) {
	case VMM_EVENT_RUNNING:
	case VMM_EVENT_RESUMED:
		supervisor_set_state(s, VM_RUNNING, detail);
		break;
	case VMM_EVENT_PAUSED:
		supervisor_set_state(s, VM_PAUSED,
				     detail[0] ? detail : s->pause_reason);
		s->pause_reason[0] = '\0';
		break;
	case VMM_EVENT_RESET:
		if (s->console_log)
			console_log_boot(s->console_log);
		tell_event(s, "reset", detail);
		/* It answered the power button by starting over. */
		if (s->state == VM_SHUTTING_DOWN)
			supervisor_set_state(s, VM_RUNNING, "");
		break;
	case VMM_EVENT_PANIC:
		tell_event(s, "panic", detail);
		break;
	case VMM_EVENT_DEVICE_FAILED:
		tell_event(s, "device-failed", detail);
		break;
	case VMM_EVENT_WATCHDOG:
		watchdog(s);
		break;
	case VMM_EVENT_BALLOON:
		tell_event(s, "balloon", detail);
		break;
	case VMM_EVENT_IO_ERROR:
		tell_event(s, "io-error", detail);
		break;
	case VMM_EVENT_IO_HELD:
		hold_guest(s, "io-error", detail);
		break;
	case VMM_EVENT_POWEROFF:
		supervisor_rest(s, VM_STOPPED,
				detail[0] ? detail : "the guest powered off");
		break;
	case VMM_EVENT_DEGRADED:
		supervisor_set_state(s, s->state, detail);
		break;
	case VMM_EVENT_FATAL:
		supervisor_rest(s, VM_CRASHED, detail);
		break;
	}
}

static void on_vmm_nvram_commit(void *cookie, uint64_t offset, uint64_t size)
{
	struct supervisor *s = cookie;

	if (s->nvram)
		nvram_commit(s->nvram, offset, size);
}

static void on_vmm_device(void *cookie, const struct vmm_device_status *status)
{
	struct supervisor *s = cookie;

	if (!s->at_rest)
		devices_event(s, status);
}

static void on_vmm_device_failed(void *cookie,
				 const struct vmm_device_status *status,
				 const char *why)
{
	struct supervisor *s = cookie;

	if (!s->at_rest)
		devices_failed(s, status, why);
}

static void on_vmm_nic_failed(void *cookie, const char *id, const char *why)
{
	char detail[ERROR_MESSAGE_MAX];
	struct supervisor *s = cookie;

	snprintf(detail, sizeof(detail), "nic \"%s\": %s", id, why);
	if (s->at_rest)
		return;
	if (devices_pause_on_error(s, id))
		hold_guest(s, "nic-failed", detail);
	else
		tell_event(s, "nic-failed", detail);
}

const struct vmm_events supervisor_vmm_events = {
	.event = on_vmm_event,
	.device = on_vmm_device,
	.device_failed = on_vmm_device_failed,
	.nic_failed = on_vmm_nic_failed,
	.nvram_commit = on_vmm_nvram_commit,
	.filesystem_lost = filesystem_lost,
};

static int send_nvram(void *cookie, uint64_t seq, uint64_t offset,
		      uint64_t size)
{
	struct supervisor *s = cookie;
	json_object *message = supervisor_message(WIRE_NVRAM);

	json_object_object_add(message, "seq", json_object_new_uint64(seq));
	json_object_object_add(message, "offset",
			       json_object_new_uint64(offset));
	json_object_object_add(message, "size", json_object_new_uint64(size));
	return control_send(&s->control, message, -1);
}

static void on_nvram_committed(void *cookie)
{
	struct supervisor *s = cookie;

	if (s->vmm)
		s->ops->nvram_committed(s->vmm);
}

const struct nvram_events supervisor_nvram_events = {
	.send = send_nvram,
	.committed = on_nvram_committed,
};

static void on_message(void *cookie, json_object *message, int *fds,
		       size_t n_fds)
{
	handlers_dispatch(cookie, message, fds, n_fds);
}

static void on_connected(void *cookie)
{
	struct supervisor *s = cookie;

	s->greeted = false;
	s->connection++;
	log_vm(LOG_LEVEL_DEBUG, s->name, "a daemon is connected");
	if (!s->at_rest)
		uv_timer_stop(&s->timer); /* not an orphan */
}

static void on_disconnected(void *cookie, const struct error *why)
{
	struct supervisor *s = cookie;

	s->greeted = false;
	if (s->nvram)
		nvram_disconnected(s->nvram);
	log_vm(LOG_LEVEL_INFO, s->name, "the daemon is gone: %s", why->message);
	if (s->at_rest) {
		/* It may have gone without reading how the VM ended. */
		if (s->told && !s->dismissed)
			uv_timer_stop(&s->timer);
		s->told = false;
		return;
	}
	save_disconnected(s);
	if (s->started)
		return;
	s->dismissed = true;
	supervisor_rest(s, VM_STOPPED, "the daemon left before the start");
}

static const struct control_events control_events = {
	.message = on_message,
	.connected = on_connected,
	.disconnected = on_disconnected,
};

static void on_orphan(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;

	s->dismissed = true;
	supervisor_rest(s, VM_CRASHED, "no daemon came to configure the VM");
}

static int supervisor_init(struct supervisor *s, int control_fd, uid_t owner,
			   struct error *e)
{
	int r;

	r = uv_loop_init(&s->loop);
	if (r < 0) {
		fd_close(control_fd);
		return error_set(e, r, "event loop: %s", uv_strerror(r));
	}
	r = control_init(&s->control, &s->loop, control_fd, owner, s->name,
			 &control_events, s, e);
	if (r < 0) {
		uv_loop_close(&s->loop);
		return r;
	}
	uv_timer_init(&s->loop, &s->timer);
	s->timer.data = s;
	uv_timer_start(&s->timer, on_orphan, SUPERVISOR_ORPHAN_MS, 0);
	signals_begin(s);
	return 0;
}

int supervisor_run(const char *name, int control_fd, uid_t owner)
{
	struct supervisor s = {.name = name, .state = VM_STARTING};
	struct error e = ERROR_INIT;

	if (supervisor_init(&s, control_fd, owner, &e) < 0) {
		log_vm(LOG_LEVEL_ERROR, name, "%s", e.message);
		return EXIT_FAILURE;
	}
	io_ring_run(&s.loop);
	vm_config_done(&s.config);
	uv_loop_close(&s.loop);
	return s.exit_status;
}
