/*
 * A VM as the API shows it: api/api.h documents it.
 */
#include "daemon/supervisor_link.h"
#include "daemon/vm.h"

/* The keys are ours and new in the object: json-c need neither copy nor look
 * them up, which is most of the cost of a long list. */
#define KEY_FLAGS (JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_KEY_IS_CONSTANT)

/* X(FIELD, name): in the order they are shown. */
#define FIELD_TABLE(X)              \
	X(NAME, "name")             \
	X(UUID, "uuid")             \
	X(STATE, "state")           \
	X(REASON, "reason")         \
	X(HYPERVISOR, "hypervisor") \
	X(VCPUS, "vcpus")           \
	X(MEMORY, "memory")         \
	X(DISKS, "disks")           \
	X(NICS, "nics")             \
	X(PID, "pid")               \
	X(STARTED, "started_ms")    \
	X(REVISION, "revision")     \
	X(LABELS, "labels")         \
	X(AUTOSTART, "autostart")

enum field {
#define X(id, name) FIELD_##id,
	FIELD_TABLE(X)
#undef X
		FIELD_COUNT
};

static const char *const field_names[] = {
#define X(id, name) name,
	FIELD_TABLE(X)
#undef X
		NULL,
};

static void add(json_object *o, const char *key, json_object *value)
{
	json_object_object_add_ex(o, key, value, KEY_FLAGS);
}

int vm_fields_parse(const char *text, unsigned *ret, struct error *e)
{
	unsigned set = 0;
	size_t length;

	for (; *text; text += length + (text[length] == ',')) {
		size_t i = 0;

		length = strcspn(text, ",");
		while (i < FIELD_COUNT &&
		       (strlen(field_names[i]) != length ||
			strncmp(field_names[i], text, length) != 0))
			i++;
		if (i == FIELD_COUNT)
			return error_set(e, -EINVAL,
					 "fields: \"%.*s\" is no field of a "
					 "VM; they are those vm.get shows",
					 (int)MIN(length, 40), text);
		set |= 1u << i;
	}
	*ret = set;
	return 0;
}

/* The row an active VM would have; its strings are borrowed. */
static struct store_vm_row row_of(const struct vm *vm)
{
	const struct vm_config *c = &vm->config;
	/* What "auto" came to, once that is known. */
	int hypervisor = vm->hypervisor ? vm->hypervisor : c->hypervisor;

	return (struct store_vm_row){
		.id = vm->id,
		.revision = vm->revision,
		.started_ms = vm->started_ms,
		.uuid = c->uuid,
		.name = c->name,
		.state = vm_state_name(vm->state),
		.reason = vm->reason,
		.hypervisor = vm_hypervisor_names[hypervisor],
		.vcpus = c->vcpus,
		.memory = (int64_t)c->memory_bytes,
		.disks = (int64_t)c->n_disks,
		.nics = (int64_t)c->n_nics,
		.autostart = c->autostart,
	};
}

/* Borrowed: an object of strings; or NULL, then they are read from the row. */
static json_object *labels_json(const struct store_vm_row *row,
				json_object *labels)
{
	json_object *parsed = NULL;

	if (labels)
		return json_object_get(labels);
	if (!row->labels || streq(row->labels, "{}") ||
	    json_parse(row->labels, strlen(row->labels), &parsed, NULL) < 0)
		return json_object_new_object();
	return parsed;
}

static json_object *field_json(const struct store_vm_row *row, enum field field,
			       pid_t pid, json_object *labels)
{
	switch (field) {
	case FIELD_NAME:
		return json_object_new_string(row->name);
	case FIELD_UUID:
		return json_object_new_string(row->uuid);
	case FIELD_STATE:
		return json_object_new_string(row->state);
	case FIELD_REASON:
		return json_object_new_string(row->reason);
	case FIELD_HYPERVISOR:
		return json_object_new_string(row->hypervisor);
	case FIELD_VCPUS:
		return json_object_new_int64(row->vcpus);
	case FIELD_MEMORY:
		return json_object_new_int64(row->memory);
	case FIELD_DISKS:
		return json_object_new_int64(row->disks);
	case FIELD_NICS:
		return json_object_new_int64(row->nics);
	case FIELD_PID:
		return json_object_new_int64(pid);
	case FIELD_STARTED:
		return json_object_new_int64(row->started_ms);
	case FIELD_REVISION:
		return json_object_new_int64(row->revision);
	case FIELD_LABELS:
		return labels_json(row, labels);
	case FIELD_AUTOSTART:
		return json_object_new_boolean(row->autostart);
	case FIELD_COUNT:
		break;
	}
	return NULL;
}

static json_object *to_json(const struct store_vm_row *row, pid_t pid,
			    json_object *labels, unsigned fields)
{
	json_object *o = json_object_new_object();

	for (unsigned i = 0; i < FIELD_COUNT; i++)
		if (fields & 1u << i)
			add(o, field_names[i],
			    field_json(row, (enum field)i, pid, labels));
	return o;
}

static json_object *active_json(const struct vm *vm, unsigned fields)
{
	struct store_vm_row row = row_of(vm);

	return to_json(&row, vm->supervisor ? vm->supervisor->pid : 0,
		       vm->config.labels, fields);
}

json_object *vm_to_json(const struct vm *vm, bool whole)
{
	json_object *o = active_json(vm, VM_FIELDS_ALL);

	if (whole)
		add(o, "config", vm_config_to_json(&vm->config));
	return o;
}

json_object *vm_row_to_json(struct manager *m, const struct store_vm_row *row,
			    unsigned fields)
{
	const struct vm *vm = vm_in_memory(m, row->id);

	if (vm && vm_state_active(vm->state))
		return active_json(vm, fields);
	return to_json(row, 0, NULL, fields);
}
