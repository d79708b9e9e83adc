#include <unistd.h>

#include "lib/base/log.h"
#include "lib/wire/messages.h"
#include "supervisor/handlers.h"

/* All fields of all requests; each row's table names those it accepts. */
struct request {
	char *type;
	uint64_t id;
	uint32_t version;
	uint64_t seq, nvram_size;
	bool more;
	json_object *config, *roles;
	char *kind, *device;
	bool force;
	uint64_t timeout_ms;
	int *fds;
	size_t n_fds;
};

/* The answer's own fields; "ok" and "error" are not a handler's. */
struct reply {
	json_object *object;
	int fd; /* borrowed, sent along; -1 for none */
};

typedef int handler_fn(struct supervisor *s, const struct request *q,
		       struct reply *reply, struct error *e);

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
	FIELD(roles, JSON_ANY, .flags = JSON_REQUIRED),
	FIELD(more, JSON_BOOL),
	JSON_END,
};

static const struct json_field ack_fields[] = {
	TYPE_FIELD,
	FIELD(seq, JSON_U64, .flags = JSON_REQUIRED),
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

static const struct json_field detach_fields[] = {
	TYPE_FIELD,
	ID_FIELD,
	FIELD(kind, JSON_STRING, .flags = JSON_REQUIRED),
	FIELD(device, JSON_STRING, .flags = JSON_REQUIRED),
	FIELD(force, JSON_BOOL),
	FIELD(timeout_ms, JSON_U64, .flags = JSON_REQUIRED),
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
	return 0;
}

static int handle_configure(struct supervisor *s, const struct request *q,
			    struct reply *reply, struct error *e)
{
	const struct configure_request request = {
		.config = q->config,
		.roles = q->roles,
		.nvram_size = q->nvram_size,
		.more = q->more,
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

/* The guest is there and the state table allows the request. */
static int check_request(struct supervisor *s, enum vm_request request,
			 struct error *e)
{
	int r = vm_request_check(s->name, s->state, request, e);

	if (r == 0 && (!s->vmm || !s->started))
		r = error_set_code(e, ERROR_STATE, "VM %s is not started",
				   s->name);
	return r;
}

static int handle_shutdown(struct supervisor *s, const struct request *q,
			   struct reply *reply, struct error *e)
{
	int r = check_request(s, VM_REQUEST_SHUTDOWN, e);

	if (r == 0)
		r = s->ops->shutdown(s->vmm, e);
	if (r == 0)
		supervisor_set_state(s, VM_SHUTTING_DOWN,
				     "the power button was pressed");
	return r;
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
	int r = check_request(s, VM_REQUEST_RESET, e);

	return r < 0 ? r : s->ops->reset(s->vmm, e);
}

static int handle_pause(struct supervisor *s, const struct request *q,
			struct reply *reply, struct error *e)
{
	int r = check_request(s, VM_REQUEST_PAUSE, e);

	return r < 0 ? r : s->ops->pause(s->vmm, e);
}

static int handle_resume(struct supervisor *s, const struct request *q,
			 struct reply *reply, struct error *e)
{
	int r = check_request(s, VM_REQUEST_RESUME, e);

	return r < 0 ? r : s->ops->resume(s->vmm, e);
}

static int handle_console(struct supervisor *s, const struct request *q,
			  struct reply *reply, struct error *e)
{
	if (q->n_fds != 1)
		return error_set(e, -EINVAL,
				 "console needs one descriptor: a stream "
				 "socket");
	if (!s->console)
		return error_set_code(e, ERROR_STATE,
				      "VM %s has no console yet: it is not "
				      "configured",
				      s->name);
	return chardev_attach(s->console, TAKE_FD(q->fds[0]), e);
}

static int handle_nvram_ack(struct supervisor *s, const struct request *q,
			    struct reply *reply, struct error *e)
{
	if (!s->nvram)
		return error_set(e, -EINVAL, "nvram-ack without a store");
	return nvram_ack(s->nvram, q->seq, e);
}

static int handle_stats(struct supervisor *s, const struct request *q,
			struct reply *reply, struct error *e)
{
	struct vmm_stats stats = {0};

	if (!s->vmm)
		return error_set_code(e, ERROR_STATE, "VM %s is not running",
				      s->name);
	s->ops->stats(s->vmm, &stats);
	json_object_object_add(reply->object, "exits_mmio",
			       json_object_new_uint64(stats.exits_mmio));
	json_object_object_add(reply->object, "exits_total",
			       json_object_new_uint64(stats.exits_total));
	json_object_object_add(reply->object, "vcpu_ns",
			       json_object_new_uint64(stats.vcpu_ns));
	return 0;
}

static int handle_attach(struct supervisor *s, const struct request *q,
			 struct reply *reply, struct error *e)
{
	struct device_request request = {
		.kind = q->kind,
		.config = q->config,
		.timeout_ms = q->timeout_ms,
	};
	uint32_t slot;
	int r = check_request(s, VM_REQUEST_HOTPLUG, e);

	if (r == 0 && q->n_fds != 1)
		r = error_set(e, -EINVAL,
			      "attach needs one descriptor: of the disk or the "
			      "tap");
	if (r < 0)
		return r;
	request.fd = TAKE_FD(q->fds[0]);
	r = devices_attach(s, &request, &slot, e);
	if (r == 0)
		json_object_object_add(reply->object, "slot",
				       json_object_new_int64(slot));
	return r;
}

static int handle_detach(struct supervisor *s, const struct request *q,
			 struct reply *reply, struct error *e)
{
	const struct device_request request = {
		.kind = q->kind,
		.id = q->device,
		.force = q->force,
		.timeout_ms = q->timeout_ms,
	};
	int r = check_request(s, VM_REQUEST_HOTPLUG, e);

	return r < 0 ? r : devices_detach(s, &request, e);
}

static int handle_devices(struct supervisor *s, const struct request *q,
			  struct reply *reply, struct error *e)
{
	json_object_object_add(reply->object, "devices", devices_list(s));
	return 0;
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
	[WIRE_STOP] = {handle_stop, bare_fields},
	[WIRE_RESET] = {handle_reset, bare_fields},
	[WIRE_PAUSE] = {handle_pause, bare_fields},
	[WIRE_RESUME] = {handle_resume, bare_fields},
	[WIRE_CONSOLE] = {handle_console, bare_fields},
	[WIRE_NVRAM_ACK] = {handle_nvram_ack, ack_fields, true},
	[WIRE_STATS] = {handle_stats, bare_fields},
	[WIRE_ATTACH] = {handle_attach, attach_fields},
	[WIRE_DETACH] = {handle_detach, detach_fields},
	[WIRE_DEVICES] = {handle_devices, bare_fields},
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

static void answer(struct supervisor *s, json_object *message,
		   struct reply *reply, const struct error *e, bool ok)
{
	json_object *id = NULL;
	int r;

	json_object_object_get_ex(message, "id", &id);
	json_object_object_add(
		reply->object, "type",
		json_object_new_string(wire_message_text(WIRE_REPLY)));
	json_object_object_add(reply->object, "id", json_object_get(id));
	json_object_object_add(reply->object, "ok",
			       json_object_new_boolean(ok));
	if (!ok)
		json_object_object_add(reply->object, "error",
				       error_to_json(e));
	r = control_send(&s->control, TAKE_PTR(reply->object), reply->fd);
	if (r < 0)
		log_vm(LOG_LEVEL_WARNING, s->name,
		       "a reply to the daemon is lost: %s", strerror(-r));
}

void handlers_dispatch(struct supervisor *s, json_object *message, int *fds,
		       size_t n_fds)
{
	struct request q = {.fds = fds, .n_fds = n_fds};
	struct error e = ERROR_INIT;
	struct reply reply = {.fd = -1};
	json_object *type = NULL;
	enum wire_message m;
	int r;

	json_object_object_get_ex(message, "type", &type);
	m = wire_message_by_text(type ? json_object_get_string(type) : "");
	if (m == WIRE_MESSAGE_COUNT || !handlers[m].handle) {
		log_vm(LOG_LEVEL_WARNING, s->name,
		       "the daemon sent a message a supervisor does not take");
		return;
	}
	reply.object = json_object_new_object();
	r = run(s, m, message, &q, &reply, &e);
	if (!handlers[m].no_reply)
		answer(s, message, &reply, &e, r == 0);
	if (r < 0)
		log_vm(LOG_LEVEL_WARNING, s->name, "%s: %s",
		       wire_message_text(m), e.message);
	json_object_put(reply.object);
	json_release(handlers[m].fields, &q);
}
