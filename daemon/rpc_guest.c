/* What is asked of the guest itself, through its agent. */
#include <stdio.h>

#include "daemon/rpc.h"
#include "daemon/supervisor_link.h"
#include "daemon/vm.h"
#include "lib/model/guest_info.h"

/* The supervisor has deadlines of its own, shorter than these. */
#define BALLOON_TIMEOUT_MS 10000
#define INFO_TIMEOUT_MS	   15000
#define FREEZE_TIMEOUT_MS  45000

static void info_cb(struct vm *vm, void *cookie, json_object *reply, int *fds,
		    size_t n_fds, const struct error *e)
{
	struct api_call *c = cookie;
	struct guest_info info = {0};
	struct error why = ERROR_INIT;

	if (e) {
		api_call_fail(c, e);
		return;
	}
	/* Of the reply only what is known, and within bounds. */
	json_object_object_del(reply, "type");
	json_object_object_del(reply, "id");
	json_object_object_del(reply, "ok");
	if (json_decode(reply, guest_info_fields, &info, "", &why) < 0)
		api_call_fail(c, &why);
	else
		api_call_reply(c, json_encode(guest_info_fields, &info), -1);
	json_release(guest_info_fields, &info);
}

static void frozen_cb(struct vm *vm, void *cookie, json_object *reply, int *fds,
		      size_t n_fds, const struct error *e)
{
	json_object *count = NULL, *result;

	if (e) {
		api_call_fail(cookie, e);
		return;
	}
	json_object_object_get_ex(reply, "filesystems", &count);
	result = json_object_new_object();
	json_object_object_add(
		result, "filesystems",
		json_object_new_int64(json_object_get_int64(count)));
	api_call_reply(cookie, result, -1);
}

static void ask(void *cookie, struct api_call *c, const char *command,
		uint64_t timeout_ms, link_done_fn done)
{
	struct vm *vm = rpc_vm_of_call(cookie, c, VM_REQUEST_GUEST);
	json_object *body;

	if (!vm)
		return;
	body = json_object_new_object();
	json_object_object_add(body, "command",
			       json_object_new_string(command));
	link_request(vm->supervisor, "agent", body, NULL, 0, timeout_ms, done,
		     c);
}

static void balloon_cb(struct vm *vm, void *cookie, json_object *reply,
		       int *fds, size_t n_fds, const struct error *e)
{
	if (e)
		api_call_fail(cookie, e);
	else
		api_call_reply(cookie, vm_to_json(vm, false), -1);
}

static int check_target(const struct vm *vm, uint64_t bytes, struct error *e)
{
	char size[16], most[16];

	if (bytes <= vm->config.memory_bytes)
		return 0;
	return error_set(
		e, -EINVAL,
		"target: %s is more than the %s that %s was defined with",
		format_size(bytes, size, sizeof(size)),
		format_size(vm->config.memory_bytes, most, sizeof(most)),
		vm->config.name);
}

void rpc_vm_balloon(void *cookie, struct api_call *c)
{
	const struct api_balloon_params *p = api_call_params(c);
	struct error e = ERROR_INIT;
	struct vm *vm = rpc_vm_of_call(cookie, c, VM_REQUEST_BALLOON);
	json_object *body;

	if (!vm)
		return;
	if (check_target(vm, p->target_bytes, &e) < 0) {
		api_call_fail(c, &e);
		return;
	}
	body = json_object_new_object();
	json_object_object_add(body, "target",
			       json_object_new_uint64(p->target_bytes));
	link_request(vm->supervisor, "balloon", body, NULL, 0,
		     BALLOON_TIMEOUT_MS, balloon_cb, c);
}

void rpc_vm_guest(void *cookie, struct api_call *c)
{
	ask(cookie, c, "info", INFO_TIMEOUT_MS, info_cb);
}

void rpc_vm_freeze(void *cookie, struct api_call *c)
{
	ask(cookie, c, "freeze", FREEZE_TIMEOUT_MS, frozen_cb);
}

void rpc_vm_thaw(void *cookie, struct api_call *c)
{
	ask(cookie, c, "thaw", FREEZE_TIMEOUT_MS, frozen_cb);
}
