#include "api/params.h"

#include "lib/model/vm_config.h"

static const struct json_field empty_params[] = {JSON_END};

static const struct json_field name_params[] = {
	VM_NAME_FIELD(api_name_params),
	JSON_END,
};

/* `sub` of a JSON_ANY is documentation only: vm.define validates the
 * definition itself, so that its errors name fields without a prefix. */
static const struct json_field define_params[] = {
	{
		.name = "config",
		.kind = JSON_ANY,
		.offset = offsetof(struct api_define_params, config),
		.flags = JSON_REQUIRED,
		.sub = vm_config_fields,
		.doc = "The definition.",
	},
	JSON_END,
};

#define NEW_NAME_FIELD(type)                                           \
	{                                                              \
		.name = "new_name", .kind = JSON_STRING,               \
		.offset = offsetof(struct type, new_name),             \
		.flags = JSON_REQUIRED, .max = VM_NAME_MAX,            \
		.check = vm_name_check, .doc = "A name that is free.", \
	}

static const struct json_field list_params[] = {
	{
		.name = "cursor",
		.kind = JSON_STRING,
		.offset = offsetof(struct api_list_params, cursor),
		.max = VM_NAME_MAX,
		.doc = "As the page before gave it.",
	},
	{
		.name = "limit",
		.kind = JSON_U32,
		.offset = offsetof(struct api_list_params, limit),
		.min = 1,
		.max = 1000,
		.doc = "VMs a page; default 100, at most 1000.",
	},
	{
		.name = "state",
		.kind = JSON_STRING,
		.offset = offsetof(struct api_list_params, state),
		.max = 32,
		.doc = "Only those in this state.",
	},
	{
		.name = "labels",
		.kind = JSON_ANY,
		.offset = offsetof(struct api_list_params, labels),
		.doc = "Only those with all of these labels: an object of "
		       "strings.",
	},
	{
		.name = "fields",
		.kind = JSON_STRING,
		.offset = offsetof(struct api_list_params, fields),
		.max = 255,
		.doc = "Only these fields of each VM, as `name,state`.",
	},
	JSON_END,
};

static const struct json_field update_params[] = {
	VM_NAME_FIELD(api_update_params),
	{
		.name = "revision",
		.kind = JSON_I64,
		.offset = offsetof(struct api_update_params, revision),
		.min = 0,
		.max = INT64_MAX,
		.doc = "The revision the change was made from; when it is not "
		       "the current one the error is \"conflict\". Without: "
		       "whatever it is.",
	},
	{
		.name = "config",
		.kind = JSON_ANY,
		.offset = offsetof(struct api_update_params, config),
		.flags = JSON_REQUIRED,
		.doc = "The whole new definition.",
	},
	JSON_END,
};

static const struct json_field rename_params[] = {
	VM_NAME_FIELD(api_rename_params),
	NEW_NAME_FIELD(api_rename_params),
	JSON_END,
};

static const struct json_field clone_params[] = {
	VM_NAME_FIELD(api_clone_params),
	NEW_NAME_FIELD(api_clone_params),
	{
		.name = "disks",
		.kind = JSON_ANY,
		.offset = offsetof(struct api_clone_params, disks),
		.doc = "Paths of the clone's own images, one for each disk, in "
		       "order; without, both name the same.",
	},
	JSON_END,
};

static const struct json_field delete_params[] = {
	VM_NAME_FIELD(api_delete_params),
	{
		.name = "keep_variables",
		.kind = JSON_BOOL,
		.offset = offsetof(struct api_delete_params, keep_variables),
		.doc = "Keep its UEFI variables for a later definition with "
		       "the same uuid.",
	},
	JSON_END,
};

static const struct json_field uuid_params[] = {
	{
		.name = "uuid",
		.kind = JSON_STRING,
		.offset = offsetof(struct api_uuid_params, uuid),
		.flags = JSON_REQUIRED,
		.max = 36,
		.doc = "As var.kept lists it.",
	},
	JSON_END,
};

static const struct json_field balloon_params[] = {
	VM_NAME_FIELD(api_balloon_params),
	{
		.name = "target",
		.kind = JSON_SIZE,
		.offset = offsetof(struct api_balloon_params, target_bytes),
		.flags = JSON_REQUIRED,
		.min = MIB(32),
		.max = VM_MEMORY_MAX,
		.doc = "Memory left to the guest: 32 MiB to what it was "
		       "defined with.",
	},
	JSON_END,
};

const char *const api_fallback_names[] = {"none", "stop", NULL};
static const char *const reboot_fallback_names[] = {"none", "reset", NULL};

#define ASK_GUEST_FIELDS(fallback_names, forced)                             \
	VM_NAME_FIELD(api_shutdown_params),                                  \
		{                                                            \
			.name = "timeout_ms",                                \
			.kind = JSON_U64,                                    \
			.offset = offsetof(struct api_shutdown_params,       \
					   timeout_ms),                      \
			.doc = "Milliseconds to wait for the guest; 0 (the " \
			       "default) "                                   \
			       "replies once the guest was told.",           \
		},                                                           \
		{                                                            \
			.name = "fallback",                                  \
			.kind = JSON_ENUM,                                   \
			.offset = offsetof(struct api_shutdown_params,       \
					   fallback),                        \
			.names = fallback_names,                             \
			.doc = "When it did not follow in time: none (the "  \
			       "default: "                                   \
			       "it goes on running, error \"timeout\"), "    \
			       "or " forced " it.",                          \
		},                                                           \
		JSON_END

static const struct json_field shutdown_params[] = {
	ASK_GUEST_FIELDS(api_fallback_names, "stop"),
};

static const struct json_field reboot_params[] = {
	ASK_GUEST_FIELDS(reboot_fallback_names, "reset"),
};

static const struct json_field subscribe_params[] = {
	{
		.name = "since",
		.kind = JSON_I64,
		.offset = offsetof(struct api_subscribe_params, since),
		.flags = JSON_REQUIRED,
		.doc = "Replay events with a greater seq; -1: only new ones.",
	},
	JSON_END,
};

#define OPTION(member) offsetof(struct api_options, member)
const struct json_field api_option_fields[] = {
	{.name = "async",
	 .kind = JSON_BOOL,
	 .offset = OPTION(async),
	 .doc = "Answer at once, with the job that does it."},
	{.name = "idempotency_key",
	 .kind = JSON_STRING,
	 .offset = OPTION(idempotency_key),
	 .min = 1,
	 .max = 128,
	 .doc = "Any text. The same request with the same key within 24 hours "
		"is answered as the first one was, and does not run again."},
	{.name = "deadline_ms",
	 .kind = JSON_U64,
	 .offset = OPTION(deadline_ms),
	 .min = 1,
	 .max = 24ULL * 60 * 60 * 1000,
	 .doc = "Milliseconds after which the job is given up."},
	JSON_END,
};

#define X(id, text, needs, route)               \
	static const char name_##id[] = text;   \
	static const char route_##id[] = route; \
	enum { role_##id = API_ROLE_##needs };
API_METHOD_TABLE(X)
#undef X

/* `kind` names both the table of fields and the structure they fill. */
#define METHOD(id, kind, fd, result_text, doc_text)                      \
	[API_##id] = {.name = name_##id,                                 \
		      .params = kind##_params,                           \
		      .params_size = sizeof(struct api_##kind##_params), \
		      .result = result_text,                             \
		      .doc = doc_text,                                   \
		      .returns_fd = fd,                                  \
		      .role = (enum api_role)role_##id,                  \
		      .route = route_##id}

const struct api_method api_methods[API_METHOD_COUNT] = {
	METHOD(HOST_INFO, empty, false,
	       "{version, machine, kernel, cpus, memory, hypervisors: [{name, "
	       "available, reason, version, guest}], guest, firmware: {path, "
	       "found}, state_dir, boot_id, vms}; guest: what guests may have, "
	       "on KVM, and of \"xen\" on Xen",
	       "What this host and this daemon are and can do."),
	METHOD(VM_DEFINE, define, false, "the VM",
	       "Define a VM. Its disks and firmware are judged now; nothing "
	       "runs until vm.start."),
	METHOD(VM_LIST, list, false,
	       "{vms: an array of VMs, cursor: for the next page, if there is "
	       "one}",
	       "The VMs, in the order of their names."),
	METHOD(VM_GET, name, false, "the VM, with config: its whole definition",
	       "One VM."),
	METHOD(VM_START, name, false, "the VM",
	       "Start a stopped or crashed VM; the reply comes when the guest "
	       "is started."),
	METHOD(VM_SHUTDOWN, shutdown, false, "the VM",
	       "Press the guest's power button, and ask its agent if there is "
	       "one. The reply comes when the VM is "
	       "stopped, or as error \"timeout\" when the guest did not follow "
	       "in time and is not to be forced."),
	METHOD(VM_REBOOT, reboot, false, "the VM",
	       "Ask the guest to start over: its agent, or on Xen through "
	       "xenstore. What its on_reboot says follows, as when it does so "
	       "by itself. The reply comes when it has, or as error "
	       "\"timeout\" when it did not follow in time and is not to be "
	       "forced."),
	METHOD(VM_STOP, name, false, "the VM",
	       "Stop a VM at once, like pulling its plug."),
	METHOD(VM_RESET, name, false, "the VM",
	       "Reset a VM, like its reset button: the guest is not asked."),
	METHOD(VM_PAUSE, name, false, "the VM",
	       "Halt the virtual CPUs of a running VM."),
	METHOD(VM_RESUME, name, false, "the VM", "Let a paused VM go on."),
	METHOD(VM_CONSOLE, console, true,
	       "{vm, device, session, writes, writer} and the descriptor of a "
	       "stream socket",
	       "Connect to a VM's console: what is read was printed by the "
	       "guest, starting with the recent past; what is written is "
	       "typed, while no other session is the writer. Event "
	       "\"console\" says when that changes. Not in a batch."),
	METHOD(VM_CONSOLE_TAKE, console_take, false, "{}",
	       "Make a session of one's own the writer of its console; who "
	       "wrote reads on."),
	METHOD(VM_LOG, log, false,
	       "{text, from, next, end, lost}: a page of at most 64 KiB",
	       "What a VM printed on its console, also before its last start "
	       "and while it is stopped, as far as it is kept."),
	METHOD(VM_BALLOON, balloon, false, "the VM",
	       "Ask the guest to make do with less memory than it was defined "
	       "with, or let it have all of it again. What it gives up goes "
	       "back to the host. The reply comes when the guest was asked; "
	       "event \"balloon\" says that it did. It lasts until the VM "
	       "stops."),
	METHOD(VM_GUEST, name, false,
	       "{agent: whether one answered, reason (why not), version, "
	       "hostname, interfaces: [{name, mac, addresses: [{address, "
	       "prefix}]}]}",
	       "What the guest says about itself, by qemu-guest-agent in it. "
	       "All of it is the guest's word."),
	METHOD(VM_FREEZE, name, false, "{filesystems: how many}",
	       "Have the guest's agent write out and freeze the guest's file "
	       "systems, for a copy of its disks."),
	METHOD(VM_THAW, name, false, "{filesystems: how many}",
	       "Let the guest write to its file systems again."),
	METHOD(VM_DELETE, delete, false, "the VM as it was",
	       "Delete a stopped VM's definition and variables. Its disks are "
	       "not touched."),
	METHOD(VM_UPDATE, update, false, "the VM, with config",
	       "Replace a VM's definition. While it runs only description, "
	       "labels, autostart and policies can change."),
	METHOD(VM_RENAME, rename, false, "the VM, with config",
	       "Give a stopped VM another name."),
	METHOD(VM_CLONE, clone, false, "the new VM, with config",
	       "Define a copy of a VM with a uuid, MAC addresses and a "
	       "variable store of its own."),
	METHOD(VM_STATS, name, false,
	       "{name, uuid, state, vcpus, memory, resident, stats: "
	       "lib/model/vm_stats.h}",
	       "What a running VM did so far: counters that grow from its "
	       "start on; two answers and their time_ns make rates."),
	METHOD(STATS_LIST, stats_list, false,
	       "{vms: as vm.stats has each, or with totals, or with error; "
	       "cursor: "
	       "for the "
	       "next page, if there is one}",
	       "The same of all active VMs, in the order of their names."),
	METHOD(HOST_METRICS, empty, false, "{text}; over HTTP the text itself",
	       "Prometheus text of the daemon and of active VMs."),
	METHOD(DISK_ADD, disk_add, false, "the disk",
	       "Add a disk: to a VM at rest in its definition; to a running "
	       "one now, and the reply comes when a driver of the guest uses "
	       "it, or as error \"timeout\" with nothing changed."),
	METHOD(DISK_REMOVE, device_remove, false, "the disk as it was",
	       "Remove a disk. A running guest is asked to release it; error "
	       "\"timeout\": it did not, and the disk is still attached."),
	METHOD(DISK_LIST, name, false, "{disks: an array of disks}",
	       "The disks of a VM, those of its definition and those added "
	       "live."),
	METHOD(DISK_GET, device, false, "the disk", "One disk of a VM."),
	METHOD(DISK_RESIZE, disk_resize, false, "{id, size, previous}: bytes",
	       "Give a disk's image another size, or take the one it was "
	       "given; a running guest is told. Not smaller without force."),
	METHOD(NIC_ADD, nic_add, false, "the nic",
	       "Add a network interface, as disk.add does a disk."),
	METHOD(NIC_REMOVE, device_remove, false, "the nic as it was",
	       "Remove a network interface, as disk.remove does a disk."),
	METHOD(NIC_SET, nic_set, false, "the nic",
	       "Plug a network interface's cable in or out. A running guest "
	       "sees it at once, and keeps what it has configured."),
	METHOD(NIC_LIST, name, false, "{nics: an array of nics}",
	       "The network interfaces of a VM."),
	METHOD(NIC_GET, device, false, "the nic",
	       "One network interface of a VM."),
	METHOD(SNAPSHOT_SAVE, snapshot_save, false,
	       "{name, path, bytes, created_ms}",
	       "Save a running or paused VM to a file: memory, CPUs, devices, "
	       "also those attached live only, definition and UEFI variables. "
	       "It stands still meanwhile and "
	       "goes on then, also when saving fails. Its disks are not in the "
	       "file."),
	METHOD(SNAPSHOT_RESTORE, snapshot_restore, false, "the VM",
	       "Let a VM go on from a snapshot. It is defined anew, or, when "
	       "there is one of that uuid, which must not run, as it then was; "
	       "so are its UEFI variables. Refused when this host cannot be "
	       "what the guest was given, or a disk is missing or not as it "
	       "was."),
	METHOD(SNAPSHOT_SHOW, snapshot_show, false,
	       "{created_ms, id, snapshot: what it was saved on and with, "
	       "definition}",
	       "What a snapshot file says of itself."),
	METHOD(VAR_LIST, name, false,
	       "{generation, variables: [{name, guid, attributes "
	       "(\"NV,BS,RT\"), attributes_bits, size, data (hex)}]}",
	       "The UEFI variables of a VM, as last committed."),
	METHOD(VAR_KEPT, empty, false,
	       "{kept: [{uuid, name, kept_ms, variables}]}",
	       "The variable stores that were kept when their VMs were "
	       "deleted. Defining a VM with such a uuid picks its store up."),
	METHOD(VAR_FORGET, uuid, false, "{}",
	       "Delete a variable store that was kept."),
	METHOD(JOB_LIST, job_list, false, "{jobs: an array of jobs}",
	       "Jobs, the newest first; they are kept for 24 hours after their "
	       "end."),
	METHOD(JOB_GET, job, false, "the job", "One job."),
	METHOD(JOB_WAIT, job_wait, false, "the job",
	       "Wait for a job's end; when the time is up, the job as it then "
	       "is."),
	METHOD(JOB_CANCEL, job, false, "the job",
	       "Give a job up: what it did is undone, its error is "
	       "\"cancelled\". Some can no longer be."),
	METHOD(EVENT_SUBSCRIBE, subscribe, false,
	       "{events, last, more, gap: {from, to}}: the replayed events, "
	       "oldest first; the seq to go on from; whether there are more "
	       "(subscribe again with since = last); and the numbers that are "
	       "no longer kept, if any",
	       "Replay past events and, once the last page was sent, send each "
	       "new one as a notification \"event\": none is missed, none "
	       "comes twice. A client too slow to read them is sent "
	       "\"event.lost\" and disconnected; it can subscribe again with "
	       "the last seq it saw."),
	METHOD(RPC_DISCOVER, empty, false, "an OpenRPC document",
	       "This description, for machines."),
};

const char *api_role_name(enum api_role role)
{
	static const char *const names[] = {
		[API_ROLE_NONE] = "none",
		[API_ROLE_VIEWER] = "viewer",
		[API_ROLE_OPERATOR] = "operator",
		[API_ROLE_ADMIN] = "admin",
	};

	return names[role];
}

int api_identity_check(const struct api_identity *who, enum api_role need,
		       struct error *e)
{
	if (who->role >= need)
		return 0;
	if (who->role == API_ROLE_NONE)
		return error_set(e, -EACCES, "%s may do nothing here: %s",
				 who->name, who->reason);
	return error_set(e, -EACCES, "%s is a %s; this takes role %s",
			 who->name, api_role_name(who->role),
			 api_role_name(need));
}

enum api_method_id api_method_by_name(const char *name, struct error *e)
{
	const char *names[API_METHOD_COUNT + 1] = {NULL};
	const char *closest;

	for (int i = 0; i < API_METHOD_COUNT; i++) {
		names[i] = api_methods[i].name;
		if (streq(names[i], name))
			return (enum api_method_id)i;
	}
	closest = parse_closest(name, names);
	error_set_code(e, ERROR_NO_METHOD,
		       "no method named \"%.64s\"%s%s%s (rpc.discover lists "
		       "them)",
		       name, closest ? "; did you mean \"" : "",
		       closest ? closest : "", closest ? "\"?" : "");
	return API_METHOD_COUNT;
}
