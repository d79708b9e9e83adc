#include "daemon/rpc.h"

#include "daemon/dbus_api.h"
#include "daemon/job.h"
#include "daemon/turn.h"
#include "daemon/vm.h"

static void identify(void *cookie, const struct api_peer *peer,
		     struct api_identity *ret)
{
	const struct manager *m = cookie;

	access_identify(m->access, peer, ret);
}

static void audit(void *cookie, const struct api_identity *who,
		  const char *method, const char *vm, const struct error *why)
{
	access_audit(who, method, vm, why);
}

/* Also in its words no more than that there is no such VM for them. */
static int check_vm(void *cookie, const struct api_identity *who,
		    const char *name, struct error *e)
{
	struct vm *vm = vm_find(cookie, name, e);

	if (vm && access_covers(who, vm->config.labels))
		return 0;
	return error_set(e, -ENOENT, "no VM named \"%.64s\" for %s", name,
			 who->name);
}

static int check_revision(void *cookie, const char *name, int64_t revision,
			  struct error *e)
{
	struct vm *vm = vm_find(cookie, name, e);

	return vm ? vm_check_revision(vm, revision, e) : -e->err;
}

static bool may_see(void *cookie, const struct api_identity *who,
		    json_object *event)
{
	json_object *labels = NULL;

	json_object_object_get_ex(event, "labels", &labels);
	return access_covers(who, labels);
}

static void tell_event(void *cookie, json_object *event)
{
	const struct manager *m = cookie;

	dbus_api_event(m->dbus_api, event);
}

static void tell_note(void *cookie, json_object *note)
{
	const struct manager *m = cookie;

	dbus_api_note(m->dbus_api, note);
}

static void run_job(void *cookie, struct api_call *c)
{
	job_run(cookie, c);
}

void rpc_handlers(struct manager *m, struct api_handlers *ret,
		  struct api_handlers *ret_inner)
{
	static const struct {
		enum api_method_id id;
		rpc_handler *handle;
	} table[] = {
		{API_HOST_INFO, rpc_host_info},
		{API_HOST_METRICS, rpc_host_metrics},
		{API_VM_STATS, rpc_vm_stats},
		{API_STATS_LIST, rpc_stats_list},
		{API_VM_DEFINE, rpc_vm_define},
		{API_VM_LIST, rpc_vm_list},
		{API_VM_GET, rpc_vm_get},
		{API_VM_START, rpc_vm_start},
		{API_VM_SHUTDOWN, rpc_vm_shutdown},
		{API_VM_REBOOT, rpc_vm_reboot},
		{API_VM_STOP, rpc_vm_stop},
		{API_VM_RESET, rpc_vm_reset},
		{API_VM_PAUSE, rpc_vm_pause},
		{API_VM_RESUME, rpc_vm_resume},
		{API_VM_CONSOLE, rpc_vm_console},
		{API_VM_CONSOLE_TAKE, rpc_vm_console_take},
		{API_VM_LOG, rpc_vm_log},
		{API_VM_BALLOON, rpc_vm_balloon},
		{API_VM_GUEST, rpc_vm_guest},
		{API_VM_FREEZE, rpc_vm_freeze},
		{API_VM_THAW, rpc_vm_thaw},
		{API_VM_DELETE, rpc_vm_delete},
		{API_VM_UPDATE, rpc_vm_update},
		{API_VM_RENAME, rpc_vm_rename},
		{API_VM_CLONE, rpc_vm_clone},
		{API_VAR_KEPT, rpc_var_kept},
		{API_VAR_FORGET, rpc_var_forget},
		{API_DISK_ADD, rpc_disk_add},
		{API_DISK_REMOVE, rpc_disk_remove},
		{API_DISK_LIST, rpc_disk_list},
		{API_DISK_GET, rpc_disk_get},
		{API_DISK_RESIZE, rpc_disk_resize},
		{API_NIC_ADD, rpc_nic_add},
		{API_NIC_REMOVE, rpc_nic_remove},
		{API_NIC_SET, rpc_nic_set},
		{API_NIC_LIST, rpc_nic_list},
		{API_NIC_GET, rpc_nic_get},
		{API_SNAPSHOT_SAVE, rpc_snapshot_save},
		{API_SNAPSHOT_RESTORE, rpc_snapshot_restore},
		{API_SNAPSHOT_SHOW, rpc_snapshot_show},
		{API_VAR_LIST, rpc_var_list},
		{API_JOB_LIST, rpc_job_list},
		{API_JOB_GET, rpc_job_get},
		{API_JOB_WAIT, rpc_job_wait},
		{API_JOB_CANCEL, rpc_job_cancel},
		{API_EVENT_SUBSCRIBE, rpc_event_subscribe},
		{API_RPC_DISCOVER, rpc_discover},
	};

	*ret = (struct api_handlers){.ready = turn_ready,
				     .held = turn_held,
				     .cookie = m,
				     .identify = identify,
				     .check_vm = check_vm,
				     .may_see = may_see,
				     .check_revision = check_revision,
				     .audit = audit,
				     .event = tell_event,
				     .note = tell_note};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		ret->handle[table[i].id] = table[i].handle;
	*ret_inner = *ret;
	ret->job = run_job;
	/* These are journalled, however they are asked for. */
	ret->handle[API_VM_START] = ret->handle[API_VM_STOP] =
		ret->handle[API_VM_SHUTDOWN] = ret->handle[API_SNAPSHOT_SAVE] =
			ret->handle[API_SNAPSHOT_RESTORE] = run_job;
}

void rpc_discover(void *cookie, struct api_call *c)
{
	api_call_reply(c, api_discover(), -1);
}
