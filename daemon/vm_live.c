#include "daemon/vm_live.h"

#include "daemon/vm_device_config.h"

static const char *text_of(json_object *object, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value ? json_object_get_string(value) : "";
}

static json_object *config_of(json_object *entry)
{
	json_object *config = NULL;

	json_object_object_get_ex(entry, "config", &config);
	return config;
}

static int load(const struct vm *vm, json_object **ret, struct error *e)
{
	_cleanup_free_ char *text = NULL;
	int r = store_run_live(vm->manager->store, vm->id, &text, e);

	if (r == 0)
		r = json_parse(text, strlen(text), ret, e);
	return r;
}

static int store(struct vm *vm, json_object *list, struct error *e)
{
	return store_run_set_live(vm->manager->store, vm->id, json_text(list),
				  e);
}

/* Its place in the list, or the list's length. */
static size_t find(json_object *list, const char *kind, const char *id)
{
	size_t n = json_object_array_length(list), i = 0;

	for (; i < n; i++) {
		json_object *entry = json_object_array_get_idx(list, i);

		if (streq(text_of(entry, "kind"), kind) &&
		    streq(text_of(config_of(entry), "id"), id))
			break;
	}
	return i;
}

static void append(json_object *list, enum vm_device_kind kind,
		   json_object *config)
{
	json_object *entry = json_object_new_object();

	json_object_object_add(
		entry, "kind",
		json_object_new_string(vm_device_kind_name(kind)));
	json_object_object_add(entry, "config", json_object_get(config));
	json_object_array_add(list, entry);
}

int vm_live_add(struct vm *vm, enum vm_device_kind kind, json_object *config,
		struct error *e)
{
	_cleanup_json_ json_object *list = NULL;
	size_t at;
	int r = load(vm, &list, e);

	if (r < 0)
		return r;
	at = find(list, vm_device_kind_name(kind), text_of(config, "id"));
	if (at < json_object_array_length(list))
		json_object_array_del_idx(list, at, 1);
	append(list, kind, config);
	return store(vm, list, e);
}

int vm_live_remove(struct vm *vm, enum vm_device_kind kind, const char *id,
		   struct error *e)
{
	_cleanup_json_ json_object *list = NULL;
	size_t at;
	int r = load(vm, &list, e);

	if (r < 0)
		return r;
	at = find(list, vm_device_kind_name(kind), id);
	if (at == json_object_array_length(list))
		return 0;
	json_object_array_del_idx(list, at, 1);
	return store(vm, list, e);
}

/* A device where it is now, if it is there. */
static void gather_one(json_object *all, json_object *config, const char *kind,
		       json_object *present, bool noted, bool *differs)
{
	size_t at = find(present, kind, text_of(config, "id"));
	json_object *here = NULL, *slot = NULL, *copy = NULL;
	bool moved;

	if (at == json_object_array_length(present)) {
		*differs |= !noted;
		return;
	}
	here = config_of(json_object_array_get_idx(present, at));
	json_object_object_get_ex(here, "slot", &slot);
	moved = slot && !streq(text_of(config, "slot"), text_of(here, "slot"));
	*differs |= noted || moved;
	if (json_object_deep_copy(config, &copy, NULL) == 0 && moved)
		json_object_object_add(copy, "slot", json_object_get(slot));
	json_object_array_add(all, copy);
}

/* A list of the definition's, with what is there of it and of `noted`. */
static json_object *gather(const struct vm *vm, enum vm_device_kind kind,
			   json_object *present, json_object *noted,
			   bool *differs)
{
	_cleanup_json_ json_object *defined = device_config_list(vm, kind);
	json_object *all = json_object_new_array();
	const char *name = vm_device_kind_name(kind);

	for (size_t i = 0; i < json_object_array_length(defined); i++) {
		gather_one(all, json_object_array_get_idx(defined, i), name,
			   present, false, differs);
	}
	for (size_t i = 0; i < json_object_array_length(noted); i++) {
		json_object *n = json_object_array_get_idx(noted, i);

		if (streq(text_of(n, "kind"), name) &&
		    !device_config_has(vm, kind, text_of(config_of(n), "id")))
			gather_one(all, config_of(n), name, present, true,
				   differs);
	}
	return all;
}

int vm_live_noted(struct vm *vm, json_object **ret, struct error *e)
{
	return load(vm, ret, e);
}

/* As find() looks: the supervisor's list, of which only kinds, ids and slots
 * count; what stands there is judged with the definition it comes into. */
static json_object *named(json_object *present)
{
	json_object *list = json_object_new_array();
	size_t n = json_object_is_type(present, json_type_array)
			   ? json_object_array_length(present)
			   : 0;

	for (size_t i = 0; i < n; i++) {
		json_object *d = json_object_array_get_idx(present, i);
		_cleanup_json_ json_object *config = json_object_new_object();
		enum vm_device_kind kind;
		json_object *slot = NULL;

		if (vm_device_kind_by_name(text_of(d, "kind"), &kind) < 0)
			continue;
		json_object_object_add(
			config, "id", json_object_new_string(text_of(d, "id")));
		json_object_object_get_ex(d, "slot", &slot);
		if (json_object_get_int(slot) > 0)
			json_object_object_add(
				config, "slot",
				json_object_new_int(json_object_get_int(slot)));
		append(list, kind, config);
	}
	return list;
}

/* -EOPNOTSUPP for the first of `present` that is in neither list. */
static int check_known(const struct vm *vm, json_object *present,
		       json_object *noted, struct error *e)
{
	for (size_t i = 0; i < json_object_array_length(present); i++) {
		json_object *p = json_object_array_get_idx(present, i);
		const char *id = text_of(config_of(p), "id");
		enum vm_device_kind kind = VM_DEVICE_DISK;

		(void)!vm_device_kind_by_name(text_of(p, "kind"), &kind);
		if (device_config_has(vm, kind, id) ||
		    find(noted, vm_device_kind_name(kind), id) <
			    json_object_array_length(noted))
			continue;
		return error_set(e, -EOPNOTSUPP,
				 "%s has a %s \"%.64s\" that was being added "
				 "when armvmd ended; remove it, and add it "
				 "again, before a snapshot",
				 vm->config.name, vm_device_kind_name(kind),
				 id);
	}
	return 0;
}

int vm_live_config(const struct vm *vm, json_object *present,
		   struct vm_config *ret, bool *ret_differs, struct error *e)
{
	_cleanup_json_ json_object *config = vm_config_to_json(&vm->config);
	_cleanup_json_ json_object *list = named(present);
	_cleanup_json_ json_object *noted = NULL;
	bool differs = false;
	int r = load(vm, &noted, e);

	if (r == 0)
		r = check_known(vm, list, noted, e);
	if (r < 0)
		return r;
	json_object_object_add(
		config, "disks",
		gather(vm, VM_DEVICE_DISK, list, noted, &differs));
	json_object_object_add(
		config, "nics",
		gather(vm, VM_DEVICE_NIC, list, noted, &differs));
	r = vm_config_from_json(config, ret, e);
	if (r == 0)
		*ret_differs = differs;
	return r;
}

bool vm_live_has_tap(const struct vm *vm, const char *tap)
{
	_cleanup_json_ json_object *list = NULL;
	bool found = false;

	if (load(vm, &list, NULL) < 0)
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++)
		found |= streq(
			text_of(config_of(json_object_array_get_idx(list, i)),
				"tap"),
			tap);
	return found;
}

static void record(const struct vm *vm, enum vm_device_kind kind,
		   json_object *config, json_object *list)
{
	json_object *all = NULL;
	size_t n;

	json_object_object_get_ex(
		config, kind == VM_DEVICE_DISK ? "disks" : "nics", &all);
	n = all ? json_object_array_length(all) : 0;
	for (size_t i = 0; i < n; i++) {
		json_object *d = json_object_array_get_idx(all, i);

		if (!device_config_has(vm, kind, text_of(d, "id")))
			append(list, kind, d);
	}
}

int vm_live_record(struct vm *vm, const struct vm_config *config,
		   struct error *e)
{
	_cleanup_json_ json_object *list = json_object_new_array();
	_cleanup_json_ json_object *json = vm_config_to_json(config);

	if (!json)
		return error_set(e, -ENOMEM, "out of memory");
	record(vm, VM_DEVICE_DISK, json, list);
	record(vm, VM_DEVICE_NIC, json, list);
	return store(vm, list, e);
}
