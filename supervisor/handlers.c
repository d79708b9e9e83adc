#include <unistd.h>

#include "lib/base/log.h"
#include "lib/wire/messages.h"
#include "supervisor/handlers.h"
#include "supervisor/handlers_internal.h"

#define FIELD(field, json_kind, ...)                                   \
	{                                                              \
		.name = #field, .kind = json_kind,                     \
		.offset = offsetof(struct request, field), __VA_ARGS__ \
	}
#define TYPE_FIELD FIELD(type, JSON_STRING, .flags = JSON_REQUIRED)
#define ID_FIELD   FIELD(id, JSON_U64, .flags = JSON_REQUIRED)

static const struct json_field bare_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	JSON_END,
};

static const struct json_field hello_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	FIELD(version, JSON_U32, .flags = JSON_REQUIRED),
	JSON_END,
};

static const struct json_field configure_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	FIELD(config, JSON_ANY),
	FIELD(nvram_size, JSON_U64),
	FIELD(console_log_bytes, JSON_U64),
	FIELD(roles, JSON_ANY, .flags = JSON_REQUIRED),
	FIELD(more, JSON_BOOL),
	FIELD(paused, JSON_BOOL),
	FIELD(adopt, JSON_BOOL),
	FIELD(live, JSON_ANY),
	JSON_END,
};

static const char *const wants[] = {
	[CHARDEV_WRITE] = "write",
	[CHARDEV_READ] = "read",
	[CHARDEV_TAKE_OVER] = "take-over",
	NULL,
};

static const struct json_field console_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	{.name = "device",
	 .kind = JSON_ENUM,
	 .offset = offsetof(struct request, console_device),
	 .names = console_device_names},
	FIELD(who, JSON_STRING, .max = CHARDEV_WHO_MAX - 1),
	FIELD(want, JSON_ENUM, .names = wants),
	JSON_END,
};

static const struct json_field console_take_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	{.name = "device",
	 .kind = JSON_ENUM,
	 .offset = offsetof(struct request, console_device),
	 .names = console_device_names},
	FIELD(who, JSON_STRING, .max = CHARDEV_WHO_MAX - 1),
	FIELD(session, JSON_U64, .flags = JSON_REQUIRED),
	JSON_END,
};

static const char *const commands[] = {
	[AGENT_INFO] = "info",
	[AGENT_FREEZE] = "freeze",
	[AGENT_THAW] = "thaw",
	NULL,
};

static const struct json_field agent_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	FIELD(command, JSON_ENUM, .names = commands, .flags = JSON_REQUIRED),
	JSON_END,
};

static const struct json_field balloon_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	FIELD(target, JSON_U64, .flags = JSON_REQUIRED),
	JSON_END,
};

static const struct json_field save_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	FIELD(compress, JSON_BOOL),
	FIELD(hold, JSON_BOOL),
	JSON_END,
};

static const struct json_field ack_fields[] = {
	TYPE_FIELD,
	FIELD(seq, JSON_U64, .flags = JSON_REQUIRED),
	JSON_END,
};

static const struct json_field stats_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	FIELD(from, JSON_U64),
	JSON_END,
};

static const struct json_field attach_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	FIELD(kind, JSON_STRING, .flags = JSON_REQUIRED),
	FIELD(config, JSON_ANY, .flags = JSON_REQUIRED),
	FIELD(timeout_ms, JSON_U64, .flags = JSON_REQUIRED),
	JSON_END,
};

static const struct json_field resize_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	FIELD(device, JSON_STRING, .flags = JSON_REQUIRED),
	JSON_END,
};

static const struct json_field detach_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	FIELD(kind, JSON_STRING, .flags = JSON_REQUIRED),
	FIELD(device, JSON_STRING, .flags = JSON_REQUIRED),
	FIELD(force, JSON_BOOL),
	FIELD(timeout_ms, JSON_U64, .flags = JSON_REQUIRED),
	JSON_END,
};

static const struct json_field link_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	FIELD(device, JSON_STRING, .flags = JSON_REQUIRED),
	FIELD(up, JSON_BOOL, .flags = JSON_REQUIRED),
	JSON_END,
};

static void describe(struct supervisor *s, json_object *object)
{
	uint64_t spilled = s->nvram ? nvram_spilled_bytes(s->nvram)
				    : s->spilled_bytes;

	json_object_object_add(object, "version",
			       json_object_new_int(WIRE_VERSION));
	json_object_object_add(object, "pid", json_object_new_int(getpid()));
	json_object_object_add(object, "configured",
			       json_object_new_boolean(s->configured));
	json_object_object_add(
		object, "hypervisor",
		json_object_new_string(
			vm_hypervisor_names[s->config.hypervisor]));
	json_object_object_add(object, "state",
			       json_object_new_string(vm_state_name(s->state)));
	json_object_object_add(object, "reason",
			       json_object_new_string(s->reason));
	json_object_object_add(object, "nvram_spilled_bytes",
			       json_object_new_uint64(spilled));
}

/*
 * A daemon of another version gets the same answer, from which it sees to
 * leave this VM alone; for us it is as if none were connected.
 */
static int handle_hello(struct supervisor *s, const struct request *q,
			struct reply *reply, struct error *e)
{
	describe(s, reply->object);
	if (q->version != WIRE_VERSION)
		return 0;
	s->greeted = true;
	if (s->nvram) {
		nvram_connected(s->nvram);
		/* A restarted daemon has no descriptor of it any more. */
		reply->fd = nvram_memory_fd(s->nvram);
	}
	if (s->at_rest)
		supervisor_told(s);
	filesystems_greet(s);
	return 0;
}

static int handle_configure(struct supervisor *s, const struct request *q,
			    struct reply *reply, struct error *e)
{
	const struct configure_request request = {
		.config = q->config,
		.roles = q->roles,
		.live = q->live,
		.nvram_size = q->nvram_size,
		.console_log_bytes = q->console_log_bytes,
		.more = q->more,
		.paused = q->paused,
		.adopt = q->adopt,
		.fds = q->fds,
		.n_fds = q->n_fds,
	};

	return supervisor_configure(s, &request, e);
}

static int handle_start(struct supervisor *s, const struct request *q,
			struct reply *reply, struct error *e)
{
	int r;

	if (!s->vmm || s->started)
		return error_set_code(e, ERROR_STATE, "VM %s is %s", s->name,
				      s->started ? "started already"
						 : "not configured");
	r = s->ops->start(s->vmm, e);
	if (r < 0)
		return r;
	s->started = true;
	return 0;
}

int handlers_check_request(struct supervisor *s, enum vm_request request,
			   struct error *e)
{
	int r = vm_request_check(s->name, s->state, request, e);

	if (r == 0 && (!s->vmm || !s->started))
		r = error_set_code(e, ERROR_STATE, "VM %s is not started",
				   s->name);
	return r < 0 ? r : save_check(s, e);
}

/* In every state: it is how a daemon gets rid of a supervisor. */
static int handle_stop(struct supervisor *s, const struct request *q,
		       struct reply *reply, struct error *e)
{
	s->dismissed = true;
	supervisor_rest(s, VM_STOPPED, "stopped on request");
	return 0;
}

static int handle_reset(struct supervisor *s, const struct request *q,
			struct reply *reply, struct error *e)
{
	int r = handlers_check_request(s, VM_REQUEST_RESET, e);

	return r < 0 ? r : s->ops->reset(s->vmm, e);
}

static int handle_pause(struct supervisor *s, const struct request *q,
			struct reply *reply, struct error *e)
{
	int r = handlers_check_request(s, VM_REQUEST_PAUSE, e);

	return r < 0 ? r : s->ops->pause(s->vmm, e);
}

static int handle_resume(struct supervisor *s, const struct request *q,
			 struct reply *reply, struct error *e)
{
	int r = handlers_check_request(s, VM_REQUEST_RESUME, e);

	s->held &= r < 0;
	return r < 0 ? r : s->ops->resume(s->vmm, e);
}

static int handle_agent(struct supervisor *s, const struct request *q,
			struct reply *reply, struct error *e)
{
	const struct later later = {q->id, s->connection};
	int r = handle_agent_command(s, &later, (enum agent_command)q->command,
				     e);

	reply->later = r == 0;
	return r;
}

static int handle_balloon(struct supervisor *s, const struct request *q,
			  struct reply *reply, struct error *e)
{
	int r = handlers_check_request(s, VM_REQUEST_BALLOON, e);

	return r < 0 ? r : s->ops->set_balloon(s->vmm, q->target, e);
}

static int handle_nvram_ack(struct supervisor *s, const struct request *q,
			    struct reply *reply, struct error *e)
{
	if (!s->nvram)
		return error_set(e, -EINVAL, "nvram-ack without a store");
	return nvram_ack(s->nvram, q->seq, e);
}

/* Rows without a handler are messages a supervisor sends. */
static const struct {
	handler_fn *handle;
	const struct json_field *fields;
	bool no_reply;
} handlers[WIRE_MESSAGE_COUNT] = {
	[WIRE_HELLO] = {handle_hello, hello_fields},
	[WIRE_CONFIGURE] = {handle_configure, configure_fields},
	[WIRE_START] = {handle_start, bare_fields},
	[WIRE_SHUTDOWN] = {handle_shutdown, bare_fields},
	[WIRE_REBOOT] = {handle_reboot, bare_fields},
	[WIRE_STOP] = {handle_stop, bare_fields},
	[WIRE_RESET] = {handle_reset, bare_fields},
	[WIRE_PAUSE] = {handle_pause, bare_fields},
	[WIRE_RESUME] = {handle_resume, bare_fields},
	[WIRE_CONSOLE] = {handle_console, console_fields},
	[WIRE_CONSOLE_TAKE] = {handle_console_take, console_take_fields},
	[WIRE_AGENT] = {handle_agent, agent_fields},
	[WIRE_BALLOON] = {handle_balloon, balloon_fields},
	[WIRE_NVRAM_ACK] = {handle_nvram_ack, ack_fields, true},
	[WIRE_SAVE] = {handle_save, save_fields},
	[WIRE_STATS] = {handle_stats, stats_fields},
	[WIRE_ATTACH] = {handle_attach, attach_fields},
	[WIRE_DETACH] = {handle_detach, detach_fields},
	[WIRE_RESIZE] = {handle_resize, resize_fields},
	[WIRE_LINK] = {handle_link, link_fields},
	[WIRE_DEVICES] = {handle_devices, bare_fields},
	[WIRE_FILESYSTEM] = {handle_filesystem, filesystem_fields},
};

static int run(struct supervisor *s, enum wire_message m, json_object *message,
	       struct request *q, struct reply *reply, struct error *e)
{
	int r;

	r = json_decode(message, handlers[m].fields, q, "", e);
	if (r < 0)
		return r;
	if (m != WIRE_HELLO && !s->greeted)
		return error_set_code(e, ERROR_STATE,
				      "the first request must be hello");
	return handlers[m].handle(s, q, reply, e);
}

static json_object *error_to_json(const struct error *e)
{
	json_object *object = json_object_new_object();

	json_object_object_add(
		object, "code",
		json_object_new_string(error_code_name(e->code)));
	json_object_object_add(object, "message",
			       json_object_new_string(e->message));
	return object;
}

/* Both objects are consumed; `e` is NULL for a success. */
static void answer(struct supervisor *s, json_object *id, json_object *body,
		   int fd, const struct error *e)
{
	int r;

	json_object_object_add(
		body, "type",
		json_object_new_string(wire_message_text(WIRE_REPLY)));
	json_object_object_add(body, "id", id);
	json_object_object_add(body, "ok", json_object_new_boolean(!e));
	if (e)
		json_object_object_add(body, "error", error_to_json(e));
	r = control_send(&s->control, body, fd);
	if (r < 0)
		log_vm(LOG_LEVEL_WARNING, s->name,
		       "a reply to the daemon is lost: %s", strerror(-r));
}

void handlers_reply(struct supervisor *s, const struct later *later,
		    json_object *body, const struct error *e)
{
	if (s->greeted && s->connection == later->connection)
		answer(s, json_object_new_uint64(later->id), body, -1, e);
	else
		json_object_put(body);
}

void handlers_dispatch(struct supervisor *s, json_object *message, int *fds,
		       size_t n_fds)
{
	struct request q = {.fds = fds, .n_fds = n_fds};
	struct error e = ERROR_INIT;
	struct reply reply = {.fd = -1};
	json_object *type = NULL, *id = NULL;
	enum wire_message m;
	int r;

	json_object_object_get_ex(message, "type", &type);
	json_object_object_get_ex(message, "id", &id);
	m = wire_message_by_text(type ? json_object_get_string(type) : "");
	if (m == WIRE_MESSAGE_COUNT || !handlers[m].handle) {
		log_vm(LOG_LEVEL_WARNING, s->name,
		       "the daemon sent a message a supervisor does not take");
		return;
	}
	reply.object = json_object_new_object();
	r = run(s, m, message, &q, &reply, &e);
	if (!handlers[m].no_reply && !reply.later)
		answer(s, json_object_get(id), TAKE_PTR(reply.object), reply.fd,
		       r < 0 ? &e : NULL);
	if (r < 0)
		log_vm(LOG_LEVEL_WARNING, s->name, "%s: %s",
		       wire_message_text(m), e.message);
	json_object_put(reply.object);
	json_release(handlers[m].fields, &q);
}
