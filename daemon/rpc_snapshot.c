/*
 * Saving a VM to a file, restoring one from a file, looking at one.
 */
#include <stdio.h>

#include "daemon/rpc.h"
#include "daemon/snapshot_lead.h"
#include "daemon/vm_restore.h"
#include "daemon/vm_save.h"
#include "lib/base/fd.h"

void rpc_snapshot_save(void *cookie, struct api_call *c)
{
	const struct api_snapshot_save_params *p = api_call_params(c);
	struct vm *vm = rpc_vm_of_call(cookie, c, VM_REQUEST_SNAPSHOT);
	const struct save_request request = {
		.path = p->path,
		.stop = p->stop,
		.freeze = p->freeze,
		.compress = p->compress,
		.overwrite = p->overwrite,
	};

	if (vm)
		vm_save(vm, &request, c);
}

void rpc_snapshot_restore(void *cookie, struct api_call *c)
{
	const struct api_snapshot_restore_params *p = api_call_params(c);
	const struct restore_request request = {
		.path = p->path,
		.new_name = p->new_name,
		.paused = p->paused,
		.changed_disks = p->changed_disks,
	};

	vm_restore(cookie, &request, c);
}

void rpc_snapshot_show(void *cookie, struct api_call *c)
{
	const struct api_snapshot_show_params *p = api_call_params(c);
	_cleanup_snapshot_lead_ struct snapshot_lead l = {0};
	_cleanup_close_ int fd = -1;
	char id[2 * SNAPSHOT_ID_BYTES + 1];
	struct error e = ERROR_INIT;
	json_object *o;

	if (vm_restore_open(p->path, &fd, &l, &e) < 0) {
		api_call_fail(c, &e);
		return;
	}
	for (size_t i = 0; i < SNAPSHOT_ID_BYTES; i++)
		snprintf(id + 2 * i, 3, "%02x", l.header.id[i]);
	o = json_object_new_object();
	json_object_object_add(o, "created_ms",
			       json_object_new_uint64(l.header.created_ms));
	json_object_object_add(o, "id", json_object_new_string(id));
	json_object_object_add(o, "snapshot", snapshot_meta_json(&l.meta));
	json_object_object_add(o, "definition", TAKE_PTR(l.definition));
	api_call_reply(c, o, -1);
}
