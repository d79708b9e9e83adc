#include "daemon/vm_device_config.h"

static const char *list_name(enum vm_device_kind kind)
{
	return kind == VM_DEVICE_DISK ? "disks" : "nics";
}

/* The array in a definition's JSON, made when there is none. */
static json_object *list_of(json_object *config, enum vm_device_kind kind)
{
	json_object *list = NULL;

	if (!json_object_object_get_ex(config, list_name(kind), &list)) {
		list = json_object_new_array();
		json_object_object_add(config, list_name(kind), list);
	}
	return list;
}

static const char *id_at(json_object *list, size_t i)
{
	json_object *id = NULL;

	json_object_object_get_ex(json_object_array_get_idx(list, i), "id",
				  &id);
	return id ? json_object_get_string(id) : "";
}

static size_t find(json_object *list, const char *id)
{
	size_t n = json_object_array_length(list), i = 0;

	while (i < n && !streq(id_at(list, i), id))
		i++;
	return i;
}

int device_config_with(const struct vm *vm, enum vm_device_kind kind,
		       json_object *device, struct vm_config *ret,
		       struct error *e)
{
	_cleanup_json_ json_object *config = vm_config_to_json(&vm->config);

	if (!config)
		return error_set(e, -ENOMEM, "out of memory");
	json_object_array_add(list_of(config, kind), json_object_get(device));
	return vm_config_from_json(config, ret, e);
}

int device_config_find(const struct vm *vm, enum vm_device_kind kind,
		       json_object *list, const char *id, size_t *ret,
		       struct error *e)
{
	*ret = find(list, id);
	if (*ret < json_object_array_length(list))
		return 0;
	return error_set(e, -ENOENT,
			 "%s has no %s \"%.64s\"; see: armvmctl %s "
			 "list %s",
			 vm->config.name, vm_device_kind_name(kind), id,
			 vm_device_kind_name(kind), vm->config.name);
}

int device_config_without(const struct vm *vm, enum vm_device_kind kind,
			  const char *id, struct vm_config *ret,
			  struct error *e)
{
	_cleanup_json_ json_object *config = vm_config_to_json(&vm->config);
	json_object *list;
	size_t at;
	int r;

	if (!config)
		return error_set(e, -ENOMEM, "out of memory");
	list = list_of(config, kind);
	r = device_config_find(vm, kind, list, id, &at, e);
	if (r < 0)
		return r;
	json_object_array_del_idx(list, at, 1);
	return vm_config_from_json(config, ret, e);
}

int device_config_with_link(const struct vm *vm, const char *id, int link,
			    struct vm_config *ret, struct error *e)
{
	_cleanup_json_ json_object *config = vm_config_to_json(&vm->config);
	json_object *list;
	size_t at;
	int r;

	if (!config)
		return error_set(e, -ENOMEM, "out of memory");
	list = list_of(config, VM_DEVICE_NIC);
	r = device_config_find(vm, VM_DEVICE_NIC, list, id, &at, e);
	if (r < 0)
		return r;
	json_object_object_add(
		json_object_array_get_idx(list, at), "link",
		json_object_new_string(link == VM_LINK_UP ? "up" : "down"));
	return vm_config_from_json(config, ret, e);
}

bool device_config_has(const struct vm *vm, enum vm_device_kind kind,
		       const char *id)
{
	_cleanup_json_ json_object *list = device_config_list(vm, kind);

	return find(list, id) < json_object_array_length(list);
}

json_object *device_config_last(const struct vm_config *c,
				enum vm_device_kind kind)
{
	return kind == VM_DEVICE_DISK
		       ? json_encode(vm_disk_fields, &c->disks[c->n_disks - 1])
		       : json_encode(vm_nic_fields, &c->nics[c->n_nics - 1]);
}

json_object *device_config_list(const struct vm *vm, enum vm_device_kind kind)
{
	_cleanup_json_ json_object *config = vm_config_to_json(&vm->config);

	return json_object_get(list_of(config, kind));
}

int device_config_store(struct vm *vm, struct vm_config *config,
			struct error *e)
{
	_cleanup_json_ json_object *canonical = vm_config_to_json(config);
	int64_t revision;
	int r;

	if (!canonical)
		return error_set(e, -ENOMEM, "out of memory");
	r = store_vm_update(vm->manager->store, vm->id, config->name,
			    json_text(canonical), &revision, e);
	if (r == 0)
		vm_redefine(vm, config, revision);
	return r;
}
