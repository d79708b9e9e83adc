#include <stdio.h>

#include "daemon/rpc.h"
#include "daemon/vm.h"
#include "lib/uefi/varstore.h"

static char *hex(const uint8_t *data, size_t size)
{
	char *text = malloc(size * 2 + 1);

	if (!text)
		return NULL;
	for (size_t i = 0; i < size; i++)
		sprintf(text + i * 2, "%02x", data[i]);
	text[size * 2] = '\0';
	return text;
}

static json_object *var_json(const struct uefi_var *v)
{
	_cleanup_free_ char *data = hex(v->data, v->data_size);
	json_object *o = json_object_new_object();
	char attributes[64];

	uefi_attributes_text(v->attributes, attributes, sizeof(attributes));
	json_object_object_add(o, "name", json_object_new_string(v->name));
	json_object_object_add(o, "guid", json_object_new_string(v->guid));
	json_object_object_add(o, "attributes",
			       json_object_new_string(attributes));
	json_object_object_add(o, "attributes_bits",
			       json_object_new_int64(v->attributes));
	json_object_object_add(o, "size",
			       json_object_new_int64((int64_t)v->data_size));
	json_object_object_add(o, "data",
			       json_object_new_string(data ? data : ""));
	return o;
}

void rpc_var_list(void *cookie, struct api_call *c)
{
	const struct api_name_params *p = api_call_params(c);
	struct manager *m = cookie;
	struct uefi_vars vars = {0};
	struct error e = ERROR_INIT;
	json_object *result, *list;
	int64_t generation = 0;
	struct vm *vm = vm_find(m, p->name, &e);

	if (!vm ||
	    store_vars_list(m->store, vm->id, &vars, &generation, &e) < 0) {
		api_call_fail(c, &e);
		return;
	}
	result = json_object_new_object();
	list = json_object_new_array();
	for (size_t i = 0; i < vars.count; i++)
		json_object_array_add(list, var_json(&vars.list[i]));
	uefi_vars_done(&vars);
	json_object_object_add(result, "generation",
			       json_object_new_int64(generation));
	json_object_object_add(result, "variables", list);
	api_call_reply(c, result, -1);
}
