#include "daemon/vm_console.h"

#include "lib/base/log.h"

struct said {
	int device;
	uint64_t session;
	bool writes;
	char *who;
};

static const char *const devices[] = {"pl011", "virtio", NULL};

#define SAID(name_, kind_, field, ...)                              \
	{                                                           \
		.name = (name_), .kind = (kind_),                   \
		.offset = offsetof(struct said, field), __VA_ARGS__ \
	}
#define WHO_MAX 127

static const struct json_field seat_fields[] = {
	SAID("device", JSON_ENUM, device, .names = devices),
	SAID("session", JSON_U64, session, .max = INT64_MAX),
	SAID("writes", JSON_BOOL, writes),
	SAID("writer", JSON_STRING, who, .max = WHO_MAX),
	JSON_END,
};

static const struct json_field writer_fields[] = {
	SAID("device", JSON_ENUM, device, .names = devices),
	SAID("session", JSON_U64, session, .max = INT64_MAX),
	SAID("who", JSON_STRING, who, .max = WHO_MAX),
	JSON_END,
};

int vm_console_seat(struct vm *vm, json_object *reply, json_object **ret,
		    struct error *e)
{
	struct said said = {0};
	int r;

	json_object_object_del(reply, "type");
	json_object_object_del(reply, "id");
	json_object_object_del(reply, "ok");
	r = json_decode(reply, seat_fields, &said, "console", e);
	if (r == 0) {
		*ret = json_encode(seat_fields, &said);
		r = *ret ? 0 : error_set(e, -ENOMEM, "out of memory");
	}
	if (r == 0)
		json_object_object_add(*ret, "vm",
				       json_object_new_string(vm->config.uuid));
	json_release(seat_fields, &said);
	return r;
}

/* Each is stored: a supervisor that was taken over shall not fill the disk. */
static bool too_many(struct vm *vm)
{
	uint64_t second = uv_now(vm->manager->loop) / 1000;

	if (vm->console_second != second)
		vm->console_events = 0;
	vm->console_second = second;
	return ++vm->console_events > VM_CONSOLE_EVENTS_MAX;
}

void vm_console_message(struct vm *vm, json_object *message)
{
	struct said said = {0};
	struct error e = ERROR_INIT;
	json_object *fields;

	json_object_object_del(message, "type");
	if (json_decode(message, writer_fields, &said, "console-writer", &e) <
	    0) {
		log_vm(LOG_LEVEL_WARNING, vm->config.name, "its supervisor: %s",
		       e.message);
	} else if (!too_many(vm)) {
		fields = json_object_new_object();
		json_object_object_add(
			fields, "device",
			json_object_new_string(devices[said.device]));
		json_object_object_add(fields, "session",
				       json_object_new_uint64(said.session));
		json_object_object_add(
			fields, "writer",
			json_object_new_string(said.who ? said.who : ""));
		manager_event(vm->manager, vm, "console", fields);
	}
	json_release(writer_fields, &said);
}
