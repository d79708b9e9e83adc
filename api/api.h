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

/* What a caller may do; each role may do what those before it may. */
enum api_role {
	API_ROLE_NONE, /* nothing */
	API_ROLE_VIEWER,
	API_ROLE_OPERATOR, /* run VMs that are defined, use their consoles */
	API_ROLE_ADMIN,	   /* everything: define, delete, name host paths */
};

/*
 * X(METHOD, "name", ROLE it needs, "ROUTE") in the order of documentation.
 * ROUTE is how REST over HTTP calls it, "METHOD /path[ param]": {param} of the
 * path, the members of the query string or of the body are its parameters;
 * with ` param` the whole body is that one. "" when there is none.
 */
#define API_METHOD_TABLE(X)                                                    \
	X(HOST_INFO, "host.info", VIEWER, "GET /v1/host")                      \
	X(VM_DEFINE, "vm.define", ADMIN, "POST /v1/vms config")                \
	X(VM_LIST, "vm.list", VIEWER, "GET /v1/vms")                           \
	X(VM_GET, "vm.get", VIEWER, "GET /v1/vms/{name}")                      \
	X(VM_START, "vm.start", OPERATOR, "POST /v1/vms/{name}/start")         \
	X(VM_SHUTDOWN, "vm.shutdown", OPERATOR,                                \
	  "POST /v1/vms/{name}/shutdown")                                      \
	X(VM_REBOOT, "vm.reboot", OPERATOR, "POST /v1/vms/{name}/reboot")      \
	X(VM_STOP, "vm.stop", OPERATOR, "POST /v1/vms/{name}/stop")            \
	X(VM_RESET, "vm.reset", OPERATOR, "POST /v1/vms/{name}/reset")         \
	X(VM_PAUSE, "vm.pause", OPERATOR, "POST /v1/vms/{name}/pause")         \
	X(VM_RESUME, "vm.resume", OPERATOR, "POST /v1/vms/{name}/resume")      \
	X(VM_CONSOLE, "vm.console", OPERATOR, "GET /v1/vms/{name}/console")    \
	X(VM_CONSOLE_TAKE, "vm.console_take", OPERATOR,                        \
	  "POST /v1/vms/{name}/console")                                       \
	X(VM_LOG, "vm.log", OPERATOR, "GET /v1/vms/{name}/log")                \
	X(VM_BALLOON, "vm.balloon", OPERATOR, "POST /v1/vms/{name}/balloon")   \
	X(VM_GUEST, "vm.guest", VIEWER, "GET /v1/vms/{name}/guest")            \
	X(VM_FREEZE, "vm.freeze", OPERATOR, "POST /v1/vms/{name}/freeze")      \
	X(VM_THAW, "vm.thaw", OPERATOR, "POST /v1/vms/{name}/thaw")            \
	X(VM_DELETE, "vm.delete", ADMIN, "DELETE /v1/vms/{name}")              \
	X(VM_UPDATE, "vm.update", ADMIN, "PUT /v1/vms/{name} config")          \
	X(VM_RENAME, "vm.rename", ADMIN, "POST /v1/vms/{name}/rename")         \
	X(VM_CLONE, "vm.clone", ADMIN, "POST /v1/vms/{name}/clone")            \
	X(VM_STATS, "vm.stats", VIEWER, "GET /v1/vms/{name}/stats")            \
	X(STATS_LIST, "stats.list", VIEWER, "GET /v1/stats")                   \
	X(HOST_METRICS, "host.metrics", VIEWER, "GET /metrics")                \
	X(DISK_ADD, "disk.add", ADMIN, "POST /v1/vms/{name}/disks")            \
	X(DISK_REMOVE, "disk.remove", ADMIN,                                   \
	  "DELETE /v1/vms/{name}/disks/{id}")                                  \
	X(DISK_LIST, "disk.list", VIEWER, "GET /v1/vms/{name}/disks")          \
	X(DISK_GET, "disk.get", VIEWER, "GET /v1/vms/{name}/disks/{id}")       \
	X(DISK_RESIZE, "disk.resize", ADMIN,                                   \
	  "POST /v1/vms/{name}/disks/{id}/resize")                             \
	X(NIC_ADD, "nic.add", ADMIN, "POST /v1/vms/{name}/nics")               \
	X(NIC_REMOVE, "nic.remove", ADMIN, "DELETE /v1/vms/{name}/nics/{id}")  \
	X(NIC_SET, "nic.set", ADMIN, "PATCH /v1/vms/{name}/nics/{id}")         \
	X(NIC_LIST, "nic.list", VIEWER, "GET /v1/vms/{name}/nics")             \
	X(NIC_GET, "nic.get", VIEWER, "GET /v1/vms/{name}/nics/{id}")          \
	X(SNAPSHOT_SAVE, "snapshot.save", ADMIN,                               \
	  "POST /v1/vms/{name}/snapshot")                                      \
	X(SNAPSHOT_RESTORE, "snapshot.restore", ADMIN,                         \
	  "POST /v1/snapshots/restore")                                        \
	X(SNAPSHOT_SHOW, "snapshot.show", ADMIN, "GET /v1/snapshots")          \
	X(VAR_LIST, "var.list", VIEWER, "GET /v1/vms/{name}/variables")        \
	X(VAR_KEPT, "var.kept", VIEWER, "GET /v1/kept-variables")              \
	X(VAR_FORGET, "var.forget", ADMIN, "DELETE /v1/kept-variables/{uuid}") \
	X(JOB_LIST, "job.list", VIEWER, "GET /v1/jobs")                        \
	X(JOB_GET, "job.get", VIEWER, "GET /v1/jobs/{id}")                     \
	X(JOB_WAIT, "job.wait", VIEWER, "GET /v1/jobs/{id}/wait")              \
	X(JOB_CANCEL, "job.cancel", OPERATOR, "POST /v1/jobs/{id}/cancel")     \
	X(EVENT_SUBSCRIBE, "event.subscribe", VIEWER, "GET /v1/events")        \
	X(RPC_DISCOVER, "rpc.discover", VIEWER, "GET /openrpc.json")

enum api_method_id {
#define X(id, name, role, route) API_##id,
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
	char *fields;	     /* "name,state"; NULL: all */
};
struct api_stats_list_params {
	char *cursor; /* of the page before; NULL: from the start */
	uint32_t limit;
	json_object *labels; /* NULL: any; else an object of strings */
	bool totals;
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
	int want;   /* enum api_console_want */
};
struct api_console_take_params {
	char *name;
	int device;
	int64_t session;
};
struct api_log_params {
	char *name;
	int64_t position;
	uint32_t lines;
	int since; /* enum api_log_since */
};
enum api_log_since { API_LOG_ALL, API_LOG_BOOT };
enum api_console_want {
	API_CONSOLE_WRITE,
	API_CONSOLE_READ,
	API_CONSOLE_TAKE_OVER
};
enum api_console { API_CONSOLE_DEFAULT, API_CONSOLE_PL011, API_CONSOLE_VIRTIO };
struct api_balloon_params {
	char *name;
	uint64_t target_bytes;
};
enum api_fallback { API_FALLBACK_NONE, API_FALLBACK_FORCE }; /* stop, reset */
extern const char *const api_fallback_names[]; /* of vm.shutdown */
struct api_shutdown_params {
	char *name;
	uint64_t timeout_ms; /* 0: do not wait for the guest */
	int fallback;	     /* enum api_fallback */
};
struct api_reboot_params {
	struct api_shutdown_params like;
};
struct api_device_add_params {
	char *name;
	json_object *device; /* "disk" or "nic", as in a definition */
	uint64_t timeout_ms; /* 0: the default */
	bool live;	     /* leave the definition alone */
};
struct api_nic_set_params {
	char *name, *id;
	int link; /* enum vm_link */
	bool live;
};
struct api_device_params {
	char *name, *id;
};
struct api_device_remove_params {
	char *name, *id;
	uint64_t timeout_ms;
	bool live, force;
};
struct api_snapshot_save_params {
	char *name, *path;
	bool stop, freeze, compress, overwrite;
};
struct api_snapshot_restore_params {
	char *path;
	char *new_name; /* NULL: as it was */
	bool paused, changed_disks;
};
struct api_snapshot_show_params {
	char *path;
};
struct api_disk_resize_params {
	char *name, *id;
	uint64_t size_bytes; /* 0: none was given */
	bool rescan, force;
};
struct api_subscribe_params {
	int64_t since; /* replay events with seq > since; -1: only new ones */
};
struct api_job_params {
	int64_t id;
	uint64_t timeout_ms; /* job.wait */
};
struct api_job_list_params {
	int64_t before; /* 0: from the newest */
	uint32_t limit;
	bool running;
};
struct api_empty_params {
	char unused;
};

/*
 * A VM as vm.get, vm.list and every call that returns a VM show it:
 * { name, uuid, state, hypervisor (of one that runs, what "auto" came to),
 * vcpus, memory (bytes), disks (count), nics (count), pid (0 if none),
 * started_ms (Unix time, 0 if not running), revision, reason (why it is stopped
 * or crashed, "" if nothing to say), labels (an object of strings), autostart
 * }; vm.get adds config (the whole definition). An event is { seq, time_ms, vm
 * (uuid), name, kind, ... }, kind "state" with { state, previous, reason },
 * "device" with { device (id), type ("disk" or "nic"), state (of
 * lib/model/vm_device.h), slot, address, driver, detail (why it failed) },
 * "nic-link" with { device, link }, "nic-failed" with { detail } (its host end
 * is gone, and the guest's link down for good; it pauses the VM if the NIC's
 * on_error says so), "console" with { device,
 * session, writer } whenever somebody else may type (session 0: nobody does),
 * "job" with { job (id), method, state, step, progress, reason, code } when one
 * begins, gets on (at most twice a second) and ends, others as they come.
 *
 * A disk or nic as disk.add, nic.list and their like show it: what its
 * definition has, and { state ("defined": only in the definition), slot,
 * address, driver, persistent (in the definition) }.
 *
 * The statistics of a VM, as vm.stats and stats.list show them: { name, uuid,
 * state, vcpus, memory (bytes, defined), resident (bytes of its process now),
 * stats (lib/model/vm_stats.h) or error (why there are none) }.
 *
 * host.info: { version, machine, kernel, cpus, memory (bytes), hypervisors:
 * [{ name, available, reason }], firmware: { path, found }, state_dir,
 * boot_id, guest: what KVM can do for one (lib/model/host_caps.h), or null,
 * vms: how many are defined (for those who may see all) }. vm.list: { vms:
 * [VM...] }. vm.console: { vm (uuid), device, session (to be named in events
 * and vm.console_take), writes, writer (who types, "" for nobody) } and the
 * descriptor of a stream socket. vm.log: { text (U+FFFD for what is no UTF-8),
 * from, next (positions of it and of what follows it), end (position of the
 * log's end), lost (bytes before `from` that were asked for and are no longer
 * kept) }. vm.delete: the VM as it was. vm.shutdown, vm.reboot: the VM once it
 * is stopped, or has started over, or, with timeout_ms 0, once the guest was
 * told. var.list: { generation, variables: [{ name, guid, attributes
 * ("NV,BS,RT"), attributes_bits, size, data (hex) }] }. event.subscribe: {
 * events (replayed, oldest first), last (the seq to go on from), more (true
 * when the replay was cut short and notifications do not come yet: subscribe
 * again with since = last), gap ({ from, to }: what is no longer kept; absent
 * without one) }.
 */

/*
 * A job: { id, method, vm, state ("running", "done", "failed", "cancelled"),
 * step, progress (per cent), created_ms, deadline_ms, finished_ms (0: none),
 * result (of one that is done), error: { code, message } (of one that failed) }
 */
struct api_method {
	const char *name;
	const struct json_field *params; /* decoded before the handler runs */
	size_t params_size;		 /* of the structure params fills */
	const char *result;		 /* one line of documentation */
	const char *doc;
	bool returns_fd;    /* the reply carries a descriptor: not in a batch */
	enum api_role role; /* at least */
	const char *route;  /* of REST, as above; "": none */
};

extern const struct api_method api_methods[API_METHOD_COUNT];

const char *api_role_name(enum api_role role);

/* API_METHOD_COUNT and ERROR_NO_METHOD when there is none of that name. */
enum api_method_id api_method_by_name(const char *name, struct error *e);

/* An OpenRPC document of the table; owned by the caller, NULL: no memory. */
json_object *api_discover(void);
/* API.md from the same table, on `out`. */
void api_write_markdown(FILE *out);
/* armvm.json(5), from the field table of definitions. -ENOMEM. */
int api_write_manual(FILE *out, struct error *e) must_check;

/* Who calls, and what they may do and see. */
struct api_identity {
	enum api_role role;
	char name[128]; /* for people: "uid 0", "CN=ops,O=Example" */
	/* Why role is none, as the end of a sentence. */
	char reason[160];
	/* Only VMs with all of these, an object of strings; NULL: all VMs.
	 * Borrowed. */
	json_object *labels;
};

/* ERROR_DENIED, saying who they are and what it takes. */
int api_identity_check(const struct api_identity *who, enum api_role need,
		       struct error *e) must_check;

/* The other end of a new connection. */
struct api_peer {
	int fd;		     /* of the Unix socket, or -1 */
	const char *subject; /* of a verified TLS certificate (RFC 2253) */
};

/* One call under way. Answer exactly once, now or later; the call stays valid
 * until then, also when its client has gone. */
struct api_call;

/*
 * Parameters every method takes: a call with one of them is a job of the
 * daemon's (struct api_handlers, `job`).
 */
struct api_options {
	bool async; /* answer with the job, at once */
	char *idempotency_key;
	uint64_t deadline_ms;
};
extern const struct json_field api_option_fields[];
/* NULL when none was given. */
const struct api_options *api_call_options(const struct api_call *c);
enum api_method_id api_call_method(const struct api_call *c);
/* The parameters as they were given, without those; borrowed. */
json_object *api_call_given(const struct api_call *c);

/* The decoded parameters, of the method's params structure. */
const void *api_call_params(const struct api_call *c);
/* `result` reference consumed; fd >= 0 is consumed and sent along. */
void api_call_reply(struct api_call *c, json_object *result, int fd);
void api_call_fail(struct api_call *c, const struct error *e);
/* Who made it; valid until the call is answered. */
const struct api_identity *api_call_who(const struct api_call *c);
/* After the reply, also send "event" notifications to this client until it
 * goes; see api_server_notify(). */
void api_call_subscribe(struct api_call *c);

struct api_handlers {
	void (*handle[API_METHOD_COUNT])(void *cookie, struct api_call *c);
	/* May be NULL. True while changes wait to be made durable: replies and
	 * notifications are then kept, in order, for api_server_release(). */
	bool (*held)(void *cookie);
	/* May be NULL. Whether something can be written now; if not, calls of
	 * methods that may change something wait for api_server_resume(). */
	bool (*ready)(void *cookie);
	/* May be NULL. Runs a call that has api_options. */
	void (*job)(void *cookie, struct api_call *c);
	/* Fills *ret, which is zeroed. NULL: everyone is admin. */
	void (*identify)(void *cookie, const struct api_peer *peer,
			 struct api_identity *ret);
	/* Whether a VM, or an event, is one of who->labels; asked only for
	 * those who have labels. -ENOENT when there is no such VM for them. */
	int (*check_vm)(void *cookie, const struct api_identity *who,
			const char *vm, struct error *e);
	bool (*may_see)(void *cookie, const struct api_identity *who,
			json_object *event);
	/* ERROR_CONFLICT when the VM has another revision, -ENOENT when there
	 * is none. NULL: any will do. */
	int (*check_revision)(void *cookie, const char *vm, int64_t revision,
			      struct error *e);
	/* A call that changes something has ended, or was refused. `vm` is
	 * what it named, or NULL; `why` is NULL when it succeeded. */
	void (*audit)(void *cookie, const struct api_identity *who,
		      const char *method, const char *vm,
		      const struct error *why);
	/* May be NULL. Told of each event once it is durable, in order;
	 * `event` is borrowed. */
	void (*event)(void *cookie, json_object *event);
	/* May be NULL. The same of what api_server_note() was given. */
	void (*note)(void *cookie, json_object *note);
	void *cookie;
};

/*
 * Make a call from within the daemon, by the given handlers: no role is asked
 * and nothing is held. `params` (consumed) are an object. `done` is told once,
 * possibly before this returns: `result` is consumed by it, or `e` says why
 * there is none. *ret_call (may be NULL) is set before the handler runs and
 * good until `done`.
 */
typedef void (*api_inner_fn)(void *cookie, json_object *result,
			     const struct error *e);
void api_call_inner(const struct api_handlers *handlers,
		    enum api_method_id method, json_object *params,
		    api_inner_fn done, void *cookie,
		    struct api_call **ret_call);

struct api_server;

/*
 * A call for somebody who came by another way than the server's sockets:
 * judged, run, held and audited like theirs. `params` (consumed) are an
 * object, `who` is copied. `done` is told once, possibly before this returns:
 * result and fd are consumed by it, or `e` says why there is none;
 * ERROR_CANCELLED when the server ends first.
 */
typedef void (*api_outer_fn)(void *cookie, json_object *result, int fd,
			     const struct error *e);
void api_call_outer(struct api_server *s, const struct api_identity *who,
		    enum api_method_id method, json_object *params,
		    api_outer_fn done, void *cookie);

/* Consumes listen_fd (a bound, listening Unix stream socket). */
int api_server_new(uv_loop_t *loop, int listen_fd,
		   const struct api_handlers *handlers, struct api_server **ret,
		   struct error *e) must_check;
/* Where HTTP is served; see api/http.h. */
struct api_http_params {
	int unix_fd; /* bound, listening; consumed, also on failure */
	int tcp_fd;  /* the same, or -1; the rest is for it alone */
	const char *tls_cert, *tls_key, *tls_client_ca; /* PEM files */
};

/* Serve HTTP beside the socket, until api_server_free(). */
int api_server_http(struct api_server *s, const struct api_http_params *p,
		    struct error *e) must_check;

/* Ends all connections; calls under way stay valid and go nowhere. The memory
 * is released by the loop, which must still run once. NULL is fine. */
struct api_server *api_server_free(struct api_server *s);

/* Send what was held back. With `why`, the changes behind it did not happen:
 * each result becomes that error, and notifications are dropped. */
void api_server_release(struct api_server *s, const struct error *why);

/* Run the calls that waited for api_handlers.ready. */
void api_server_resume(struct api_server *s);

/* A notification {"jsonrpc":"2.0","method":"event","params":event} to every
 * subscriber; `event` is borrowed. A subscriber too slow to take it is sent
 * {"method":"event.lost"} and dropped. */
void api_server_notify(struct api_server *s, json_object *event);

/* Not for clients: handed to handlers->note in its turn among the events, and
 * like them only once durable; `note` is borrowed. */
void api_server_note(struct api_server *s, json_object *note);

#endif
