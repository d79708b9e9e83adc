/* A network interface's cable: first the guest's, then the definition's. */
#include <stdio.h>

#include "api/api.h"
#include "daemon/device_op.h"
#include "daemon/supervisor_link.h"
#include "daemon/vm_device_config.h"

#define LINK_TIMEOUT_MS 10000

struct link_op {
	struct api_call *call;
	char id[VM_DEVICE_ID_MAX + 1];
	int link;
	bool live;
};

static const char *link_name(int link)
{
	return link == VM_LINK_UP ? "up" : "down";
}

static void add_text(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static int store(struct vm *vm, const char *id, int link, struct error *e)
{
	_cleanup_vm_config_ struct vm_config next = {0};
	int r = device_config_with_link(vm, id, link, &next, e);

	return r ? r : device_config_store(vm, &next, e);
}

/* As the definition has it, or, of one that was added live, what was asked. */
static void reply(struct vm *vm, const char *id, int link,
		  struct api_call *call)
{
	_cleanup_json_ json_object *list = device_config_list(vm,
							      VM_DEVICE_NIC);
	json_object *result = NULL;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *nic = json_object_array_get_idx(list, i);

		if (streq(device_text(nic, "id"), id))
			result = json_object_get(nic);
	}
	if (!result) {
		result = json_object_new_object();
		add_text(result, "id", id);
	}
	add_text(result, "link", link_name(link));
	api_call_reply(call, result, -1);
}

static void link_cb(struct vm *vm, void *cookie, json_object *message, int *fds,
		    size_t n_fds, const struct error *e)
{
	_cleanup_free_ struct link_op *op = cookie;
	struct error stored = ERROR_INIT;
	json_object *fields;
	int r = 0;

	if (e) {
		api_call_fail(op->call, e);
		return;
	}
	fields = json_object_new_object();
	add_text(fields, "device", op->id);
	add_text(fields, "link", link_name(op->link));
	(void)!manager_event(vm->manager, vm, "nic-link", fields);
	if (!op->live && device_config_has(vm, VM_DEVICE_NIC, op->id))
		r = store(vm, op->id, op->link, &stored);
	if (r < 0) {
		error_prefix(&stored, r,
			     "%s: the link of nic \"%s\" is %s, but its "
			     "definition could not be changed",
			     vm->config.name, op->id, link_name(op->link));
		api_call_fail(op->call, &stored);
	} else {
		reply(vm, op->id, op->link, op->call);
	}
}

static int set_live(struct vm *vm, const struct nic_set *p,
		    struct api_call *call, struct error *e)
{
	struct link_op *op;
	json_object *body;
	int r = vm_request_check(vm->config.name, vm->state, VM_REQUEST_HOTPLUG,
				 e);

	if (r < 0)
		return r;
	op = calloc(1, sizeof(*op));
	if (!op)
		return error_set(e, -ENOMEM, "out of memory");
	*op = (struct link_op){.call = call, .link = p->link, .live = p->live};
	snprintf(op->id, sizeof(op->id), "%s", p->id);
	body = json_object_new_object();
	add_text(body, "device", p->id);
	json_object_object_add(body, "up",
			       json_object_new_boolean(p->link == VM_LINK_UP));
	link_request(vm->supervisor, "link", body, NULL, 0, LINK_TIMEOUT_MS,
		     link_cb, op);
	return 0;
}

static int set_at_rest(struct vm *vm, const struct nic_set *p,
		       struct api_call *call, struct error *e)
{
	int r;

	if (p->live)
		return error_set_code(e, ERROR_STATE,
				      "%s is %s: there is no running guest to "
				      "change; leave out --live to change the "
				      "definition",
				      vm->config.name,
				      vm_state_name(vm->state));
	r = store(vm, p->id, p->link, e);
	if (r == 0)
		reply(vm, p->id, p->link, call);
	return r;
}

void vm_nic_set(struct vm *vm, const struct nic_set *p, struct api_call *call)
{
	struct error e = ERROR_INIT;
	int r = vm_state_active(vm->state) ? set_live(vm, p, call, &e)
					   : set_at_rest(vm, p, call, &e);

	if (r < 0)
		api_call_fail(call, &e);
}
