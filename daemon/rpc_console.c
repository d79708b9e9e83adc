/* Consoles: who is at one, who types, and what was printed. */
#include <stdio.h>
#include <sys/socket.h>

#include "daemon/rpc.h"
#include "daemon/supervisor_link.h"
#include "daemon/vm_console.h"
#include "daemon/vm_log.h"
#include "lib/base/fd.h"
#include "lib/base/utf8.h"

#define CONSOLE_TIMEOUT_MS 10000

static const char *const device_names[] = {
	[API_CONSOLE_DEFAULT] = "default",
	[API_CONSOLE_PL011] = "pl011",
	[API_CONSOLE_VIRTIO] = "virtio",
};
static const char *const wants[] = {
	[API_CONSOLE_WRITE] = "write",
	[API_CONSOLE_READ] = "read",
	[API_CONSOLE_TAKE_OVER] = "take-over",
};

static int check_console(struct vm *vm, int device, struct error *e)
{
	if (!vm->supervisor || !vm->supervisor->channel)
		return error_set(e, -EBUSY,
				 "the supervisor of %s cannot be reached",
				 vm->config.name);
	if (device != API_CONSOLE_VIRTIO ||
	    vm->config.console != VM_CONSOLE_PL011)
		return 0;
	return error_set_code(e, ERROR_STATE,
			      "%s has no virtio console; its definition needs "
			      "\"console\": \"both\" or \"virtio\"",
			      vm->config.name);
}

static void add_text(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static json_object *request(const struct api_call *c, int device)
{
	json_object *body = json_object_new_object();

	add_text(body, "device", device_names[device]);
	add_text(body, "who", api_call_who(c)->name);
	return body;
}

struct console_op {
	struct api_call *call;
	int fd; /* the caller's end */
};

static void attached_cb(struct vm *vm, void *cookie, json_object *reply,
			int *fds, size_t n_fds, const struct error *e)
{
	struct console_op *op = cookie;
	struct error why = ERROR_INIT;
	json_object *seat = NULL;

	if (e)
		why = *e;
	else if (vm_console_seat(vm, reply, &seat, &why) == 0)
		api_call_reply(op->call, seat, TAKE_FD(op->fd));
	if (!seat)
		api_call_fail(op->call, &why);
	fd_close(op->fd);
	free(op);
}

static int make_op(struct api_call *c, int *ret_theirs, struct console_op **ret,
		   struct error *e)
{
	struct console_op *op = calloc(1, sizeof(*op));
	int pair[2];

	if (!op)
		return error_set(e, -ENOMEM, "out of memory");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		free(op);
		return error_set(e, -errno, "cannot make a socket pair: %m");
	}
	op->call = c;
	op->fd = pair[1];
	*ret_theirs = pair[0];
	*ret = op;
	return 0;
}

void rpc_vm_console(void *cookie, struct api_call *c)
{
	const struct api_console_params *p = api_call_params(c);
	struct vm *vm = rpc_vm_of_call(cookie, c, VM_REQUEST_CONSOLE);
	_cleanup_close_ int theirs = -1;
	struct error e = ERROR_INIT;
	struct console_op *op;
	json_object *body;

	if (!vm)
		return;
	if (check_console(vm, p->device, &e) < 0 ||
	    make_op(c, &theirs, &op, &e) < 0) {
		api_call_fail(c, &e);
		return;
	}
	body = request(c, p->device);
	add_text(body, "want", wants[p->want]);
	link_request(vm->supervisor, "console", body, &theirs, 1,
		     CONSOLE_TIMEOUT_MS, attached_cb, op);
}

static void taken_cb(struct vm *vm, void *cookie, json_object *reply, int *fds,
		     size_t n_fds, const struct error *e)
{
	if (e)
		api_call_fail(cookie, e);
	else
		api_call_reply(cookie, json_object_new_object(), -1);
}

void rpc_vm_console_take(void *cookie, struct api_call *c)
{
	const struct api_console_take_params *p = api_call_params(c);
	struct vm *vm = rpc_vm_of_call(cookie, c, VM_REQUEST_CONSOLE);
	struct error e = ERROR_INIT;
	json_object *body;

	if (!vm)
		return;
	if (check_console(vm, p->device, &e) < 0) {
		api_call_fail(c, &e);
		return;
	}
	body = request(c, p->device);
	json_object_object_add(body, "session",
			       json_object_new_int64(p->session));
	link_request(vm->supervisor, "console-take", body, NULL, 0,
		     CONSOLE_TIMEOUT_MS, taken_cb, c);
}

/* A character whose end is not there yet is left for the next page, unless
 * nothing comes before it. */
static void whole_characters(struct vm_log_page *page)
{
	size_t size = (size_t)(page->next - page->from);

	for (size_t n = 1; n < MIN(size, 4); n++)
		if (utf8_unfinished(page->data + size - n, n)) {
			page->next -= n;
			return;
		}
}

static json_object *page_json(const struct vm_log_page *page)
{
	_cleanup_buf_ struct buf text = {0};
	json_object *o;

	if (utf8_append(&text, page->data, (size_t)(page->next - page->from)) <
	    0)
		return NULL;
	o = json_object_new_object();
	json_object_object_add(
		o, "text",
		json_object_new_string_len(text.data ? text.data : "",
					   (int)text.size));
	json_object_object_add(o, "from", json_object_new_uint64(page->from));
	json_object_object_add(o, "next", json_object_new_uint64(page->next));
	json_object_object_add(o, "end", json_object_new_uint64(page->end));
	json_object_object_add(o, "lost", json_object_new_uint64(page->lost));
	return o;
}

void rpc_vm_log(void *cookie, struct api_call *c)
{
	const struct api_log_params *p = api_call_params(c);
	const struct vm_log_query q = {
		.position = p->position,
		.since_boot = p->since == API_LOG_BOOT,
		.lines = p->lines,
	};
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(cookie, p->name, &e);
	struct vm_log_page page = {0};
	json_object *o = NULL;

	if (vm && vm_log_read(vm, &q, &page, &e) == 0) {
		whole_characters(&page);
		o = page_json(&page);
		if (!o)
			error_set(&e, -ENOMEM, "out of memory");
	}
	if (o)
		api_call_reply(c, o, -1);
	else
		api_call_fail(c, &e);
	free(page.data);
}
