/*
 * The daemon's answers to the API's methods: one file per kind of object, one
 * table (rpc.c).
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_RPC_H
#define DAEMON_RPC_H

#include "api/api.h"
#include "daemon/manager.h"
#include "lib/model/vm_state.h"

/* What the server calls, and what a job does (daemon/job.h): for methods that
 * take time, or are called with api_options, the first makes the second. */
void rpc_handlers(struct manager *m, struct api_handlers *ret,
		  struct api_handlers *ret_inner);

/* cookie is the manager. */
typedef void rpc_handler(void *cookie, struct api_call *c);

rpc_handler rpc_host_info;
rpc_handler rpc_host_metrics; /* daemon/metrics.c */
rpc_handler rpc_vm_stats, rpc_stats_list;
/* The VM a call names, if the request may be made of it now; else the call has
 * been answered and NULL returned. Its params begin with the name. */
struct vm *rpc_vm_of_call(struct manager *m, struct api_call *c,
			  enum vm_request request);

rpc_handler rpc_vm_update, rpc_vm_rename, rpc_vm_clone;
rpc_handler rpc_var_kept, rpc_var_forget;
rpc_handler rpc_vm_define, rpc_vm_list, rpc_vm_get, rpc_vm_delete;
rpc_handler rpc_vm_start, rpc_vm_shutdown, rpc_vm_reboot, rpc_vm_stop,
	rpc_vm_reset;
rpc_handler rpc_vm_pause, rpc_vm_resume, rpc_vm_console;
rpc_handler rpc_vm_console_take, rpc_vm_log;
rpc_handler rpc_vm_balloon;
rpc_handler rpc_vm_guest, rpc_vm_freeze, rpc_vm_thaw;
rpc_handler rpc_disk_add, rpc_disk_remove, rpc_disk_list, rpc_disk_resize;
rpc_handler rpc_disk_get, rpc_nic_get;
rpc_handler rpc_nic_add, rpc_nic_remove, rpc_nic_set, rpc_nic_list;
rpc_handler rpc_var_list;
rpc_handler rpc_snapshot_save, rpc_snapshot_restore, rpc_snapshot_show;
rpc_handler rpc_event_subscribe;
rpc_handler rpc_discover;

/* ERROR_CONFLICT when the VM has another one. */
int vm_check_revision(const struct vm *vm, int64_t revision,
		      struct error *e) must_check;

#endif
