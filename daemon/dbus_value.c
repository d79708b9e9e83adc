/*
 * Answers, signals and properties: from JSON to what the bus carries.
 */
#include "daemon/dbus_value.h"

static const char *member_text(json_object *o, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(o, key, &value);
	return value ? json_object_get_string(value) : "";
}

static int append_path(sd_bus_message *m, json_object *vm)
{
	char path[DBUS_PATH_MAX];

	dbus_vm_path(member_text(vm, "uuid"), path);
	return sd_bus_message_append(m, "o", path);
}

static int append_vms(sd_bus_message *m, json_object *result)
{
	json_object *vms = NULL, *vm;
	size_t n;
	int r = sd_bus_message_open_container(m, 'a', "(oss)");

	json_object_object_get_ex(result, "vms", &vms);
	n = vms ? json_object_array_length(vms) : 0;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		vm = json_object_array_get_idx(vms, i);
		r = sd_bus_message_open_container(m, 'r', "oss");
		if (r >= 0)
			r = append_path(m, vm);
		if (r >= 0)
			r = sd_bus_message_append(m, "ss",
						  member_text(vm, "name"),
						  member_text(vm, "state"));
		if (r >= 0)
			r = sd_bus_message_close_container(m);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r
		     : sd_bus_message_append(m, "s",
					     member_text(result, "cursor"));
}

int dbus_result_append(sd_bus_message *m, enum dbus_result kind,
		       json_object *result, int fd)
{
	switch (kind) {
	case DBUS_RESULT_VM:
		return append_path(m, result);
	case DBUS_RESULT_VMS:
		return append_vms(m, result);
	case DBUS_RESULT_FD:
		return sd_bus_message_append(m, "hs", fd, json_text(result));
	case DBUS_RESULT_JSON:
		break;
	}
	return sd_bus_message_append(m, "s",
				     result ? json_text(result) : "null");
}

static int append_labels(sd_bus_message *m, json_object *labels)
{
	int r = sd_bus_message_open_container(m, 'a', "{ss}");

	if (json_object_is_type(labels, json_type_object)) {
		json_object_object_foreach (labels, key, value)
			if (r >= 0)
				r = sd_bus_message_append(
					m, "{ss}", key,
					json_object_get_string(value));
	}
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* The first the host has, which is the one a definition's "auto" takes. */
static const char *hypervisor_of(json_object *list)
{
	json_object *o, *available = NULL;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		o = json_object_array_get_idx(list, i);
		json_object_object_get_ex(o, "available", &available);
		if (json_object_get_boolean(available))
			return member_text(o, "name");
	}
	return "";
}

static int append_text(sd_bus_message *m, json_object *value)
{
	const char *text = "";

	if (json_object_is_type(value, json_type_array))
		text = hypervisor_of(value);
	else if (json_object_is_type(value, json_type_string))
		text = json_object_get_string(value);
	else if (value)
		text = json_text(value);
	return sd_bus_message_append(m, "s", text);
}

int dbus_property_append(sd_bus_message *m, const struct dbus_property *p,
			 json_object *object)
{
	json_object *value = NULL;
	int64_t number;
	int r = sd_bus_message_open_container(m, 'v', p->signature);

	json_object_object_get_ex(object, p->key, &value);
	number = json_object_get_int64(value);
	if (r < 0)
		return r;
	switch (p->signature[0]) {
	case 'a':
		r = append_labels(m, value);
		break;
	case 'b':
		r = sd_bus_message_append(m, "b",
					  json_object_get_boolean(value));
		break;
	case 'u':
		r = sd_bus_message_append(m, "u", (uint32_t)number);
		break;
	case 't':
	case 'x':
		r = sd_bus_message_append_basic(m, p->signature[0], &number);
		break;
	default:
		r = append_text(m, value);
		break;
	}
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int dbus_properties_append(sd_bus_message *m, enum dbus_interface interface,
			   json_object *object)
{
	const struct dbus_property *p = dbus_properties(interface);
	int r = sd_bus_message_open_container(m, 'a', "{sv}");

	for (; r >= 0 && p->name; p++) {
		if (!json_object_object_get_ex(object, p->key, NULL))
			continue;
		r = sd_bus_message_open_container(m, 'e', "sv");
		if (r >= 0)
			r = sd_bus_message_append(m, "s", p->name);
		if (r >= 0)
			r = dbus_property_append(m, p, object);
		if (r >= 0)
			r = sd_bus_message_close_container(m);
	}
	return r < 0 ? r : sd_bus_message_close_container(m);
}
