/*
 * The API's one table of methods, and the server that answers by it: JSON-RPC
 * 2.0 over a Unix stream socket, one JSON text per line. A reply may carry one
 * descriptor (a console), sent as SCM_RIGHTS with the line's first byte.
 *
 * The daemon implements `struct api_backend`-style handlers, one per row; the
 * table itself (name, parameters, result, doc) lives in api/methods.c and also
 * yields rpc.discover, api/API.md and validation.
 *
 * Thread: the loop thread.
 */
#ifndef API_API_H
#define API_API_H

#include <stdio.h>
#include <uv.h>

#include "lib/base/json.h"

/* X(METHOD, "name") in the order of documentation. */
#define API_METHOD_TABLE(X)                   \
	X(HOST_INFO, "host.info")             \
	X(VM_DEFINE, "vm.define")             \
	X(VM_LIST, "vm.list")                 \
	X(VM_GET, "vm.get")                   \
	X(VM_START, "vm.start")               \
	X(VM_SHUTDOWN, "vm.shutdown")         \
	X(VM_STOP, "vm.stop")                 \
	X(VM_RESET, "vm.reset")               \
	X(VM_PAUSE, "vm.pause")               \
	X(VM_RESUME, "vm.resume")             \
	X(VM_CONSOLE, "vm.console")           \
	X(VM_BALLOON, "vm.balloon")           \
	X(VM_GUEST, "vm.guest")               \
	X(VM_FREEZE, "vm.freeze")             \
	X(VM_THAW, "vm.thaw")                 \
	X(VM_DELETE, "vm.delete")             \
	X(VM_UPDATE, "vm.update")             \
	X(VM_RENAME, "vm.rename")             \
	X(VM_CLONE, "vm.clone")               \
	X(VAR_LIST, "var.list")               \
	X(VAR_KEPT, "var.kept")               \
	X(VAR_FORGET, "var.forget")           \
	X(EVENT_SUBSCRIBE, "event.subscribe") \
	X(RPC_DISCOVER, "rpc.discover")

enum api_method_id {
#define X(id, name) API_##id,
	API_METHOD_TABLE(X)
#undef X
		API_METHOD_COUNT
};

/* What a method's params are decoded into. */
struct api_name_params {
	char *name; /* of a VM: its name or uuid */
};
struct api_define_params {
	json_object *config; /* see lib/model/vm_config.h */
};
struct api_list_params {
	char *cursor; /* of the page before; NULL: from the start */
	uint32_t limit;
	char *state;	     /* NULL: any */
	json_object *labels; /* NULL: any; else an object of strings */
};
struct api_update_params {
	char *name;
	int64_t revision; /* 0: whatever it is */
	json_object *config;
};
struct api_rename_params {
	char *name, *new_name;
};
struct api_clone_params {
	char *name, *new_name;
	json_object *disks; /* NULL, or a list of paths */
};
struct api_delete_params {
	char *name;
	bool keep_variables;
};
struct api_uuid_params {
	char *uuid;
};
struct api_console_params {
	char *name;
	int device; /* 0: the VM's own choice; else an enum api_console */
};
enum api_console { API_CONSOLE_DEFAULT, API_CONSOLE_PL011, API_CONSOLE_VIRTIO };
struct api_balloon_params {
	char *name;
	uint64_t target_bytes;
};
struct api_shutdown_params {
	char *name;
	uint64_t timeout_ms; /* 0: do not wait for the guest's end */
};
struct api_subscribe_params {
	int64_t since; /* replay events with seq > since; -1: only new ones */
};
struct api_empty_params {
	char unused;
};

/*
 * A VM as vm.get, vm.list and every call that returns a VM show it:
 * { name, uuid, state, hypervisor, vcpus, memory (bytes), disks (count),
 *   nics (count), pid (0 if none), started_ms (Unix time, 0 if not running),
 *   revision, reason (why it is stopped or crashed, "" if nothing to say),
 *   labels (an object of strings), autostart };
 * vm.get adds config (the whole definition). An event is
 * { seq, time_ms, vm (uuid), name, kind, ... }, kind "state" with
 * { state, previous, reason }, others as they come.
 *
 * host.info: { version, machine, kernel, cpus, memory (bytes), hypervisors:
 * [{ name, available, reason }], firmware: { path, found }, state_dir,
 * boot_id }. vm.list: { vms: [VM...] }. vm.console: {} and the descriptor of a
 * stream socket. vm.delete: the VM as it was. vm.shutdown: the VM once it is
 * stopped, or, with timeout_ms 0, once the guest was told. var.list:
 * { generation, variables: [{ name, guid, attributes ("NV,BS,RT"),
 * attributes_bits, size, data (hex) }] }. event.subscribe: { events (replayed,
 * oldest first), last (the seq to go on from), more (true when the replay was
 * cut short and notifications do not come yet: subscribe again with since =
 * last), gap ({ from, to }: what is no longer kept; absent without one) }.
 */

struct api_method {
	const char *name;
	const struct json_field *params; /* decoded before the handler runs */
	size_t params_size;		 /* of the structure params fills */
	const char *result;		 /* one line of documentation */
	const char *doc;
	bool returns_fd; /* the reply carries a descriptor: not in a batch */
};

extern const struct api_method api_methods[API_METHOD_COUNT];

/* API_METHOD_COUNT and ERROR_NO_METHOD when there is none of that name. */
enum api_method_id api_method_by_name(const char *name, struct error *e);

/* An OpenRPC document of the table; owned by the caller, NULL: no memory. */
json_object *api_discover(void);
/* API.md from the same table, on `out`. */
void api_write_markdown(FILE *out);

/* One call under way. Answer exactly once, now or later; the call stays valid
 * until then, also when its client has gone. */
struct api_call;

/* The decoded parameters, of the method's params structure. */
const void *api_call_params(const struct api_call *c);
/* `result` reference consumed; fd >= 0 is consumed and sent along. */
void api_call_reply(struct api_call *c, json_object *result, int fd);
void api_call_fail(struct api_call *c, const struct error *e);
/* After the reply, also send "event" notifications to this client until it
 * goes; see api_server_notify(). */
void api_call_subscribe(struct api_call *c);

struct api_handlers {
	void (*handle[API_METHOD_COUNT])(void *cookie, struct api_call *c);
	/* May be NULL. True while changes wait to be made durable: replies and
	 * notifications are then kept, in order, for api_server_release(). */
	bool (*held)(void *cookie);
	void *cookie;
};

struct api_server;

/* Consumes listen_fd (a bound, listening Unix stream socket). */
int api_server_new(uv_loop_t *loop, int listen_fd,
		   const struct api_handlers *handlers, struct api_server **ret,
		   struct error *e) must_check;
/* Ends all connections; calls under way stay valid and go nowhere. The memory
 * is released by the loop, which must still run once. NULL is fine. */
struct api_server *api_server_free(struct api_server *s);

/* Send what was held back. With `why`, the changes behind it did not happen:
 * each result becomes that error, and notifications are dropped. */
void api_server_release(struct api_server *s, const struct error *why);

/* A notification {"jsonrpc":"2.0","method":"event","params":event} to every
 * subscriber; `event` is borrowed. A subscriber too slow to take it is sent
 * {"method":"event.lost"} and dropped. */
void api_server_notify(struct api_server *s, json_object *event);

#endif
