#include "daemon/rpc.h"
#include "daemon/vm_devices.h"

static void add(struct manager *m, struct api_call *c, enum vm_device_kind kind)
{
	const struct api_device_add_params *p = api_call_params(c);
	const struct device_add add = {
		.kind = kind,
		.config = p->device,
		.live = p->live,
		.timeout_ms = p->timeout_ms,
	};
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(m, p->name, &e);

	if (vm)
		vm_device_add(vm, &add, c);
	else
		api_call_fail(c, &e);
}

static void remove_one(struct manager *m, struct api_call *c,
		       enum vm_device_kind kind)
{
	const struct api_device_remove_params *p = api_call_params(c);
	const struct device_remove remove = {
		.kind = kind,
		.id = p->id,
		.live = p->live,
		.force = p->force,
		.timeout_ms = p->timeout_ms,
	};
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(m, p->name, &e);

	if (vm)
		vm_device_remove(vm, &remove, c);
	else
		api_call_fail(c, &e);
}

static void list(struct manager *m, struct api_call *c,
		 enum vm_device_kind kind)
{
	const struct api_name_params *p = api_call_params(c);
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(m, p->name, &e);

	if (vm)
		vm_device_list(vm, kind, c);
	else
		api_call_fail(c, &e);
}

static void get(struct manager *m, struct api_call *c, enum vm_device_kind kind)
{
	const struct api_device_params *p = api_call_params(c);
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(m, p->name, &e);

	if (vm)
		vm_device_get(vm, kind, p->id, c);
	else
		api_call_fail(c, &e);
}

void rpc_disk_add(void *cookie, struct api_call *c)
{
	add(cookie, c, VM_DEVICE_DISK);
}

void rpc_disk_remove(void *cookie, struct api_call *c)
{
	remove_one(cookie, c, VM_DEVICE_DISK);
}

void rpc_disk_list(void *cookie, struct api_call *c)
{
	list(cookie, c, VM_DEVICE_DISK);
}

void rpc_nic_add(void *cookie, struct api_call *c)
{
	add(cookie, c, VM_DEVICE_NIC);
}

void rpc_nic_remove(void *cookie, struct api_call *c)
{
	remove_one(cookie, c, VM_DEVICE_NIC);
}

void rpc_nic_set(void *cookie, struct api_call *c)
{
	const struct api_nic_set_params *p = api_call_params(c);
	const struct nic_set set = {
		.id = p->id,
		.link = p->link,
		.live = p->live,
	};
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(cookie, p->name, &e);

	if (vm)
		vm_nic_set(vm, &set, c);
	else
		api_call_fail(c, &e);
}

void rpc_nic_list(void *cookie, struct api_call *c)
{
	list(cookie, c, VM_DEVICE_NIC);
}

void rpc_disk_resize(void *cookie, struct api_call *c)
{
	const struct api_disk_resize_params *p = api_call_params(c);
	const struct disk_resize resize = {
		.id = p->id,
		.size = p->size_bytes,
		.rescan = p->rescan,
		.force = p->force,
	};
	struct error e = ERROR_INIT;
	struct vm *vm = vm_find(cookie, p->name, &e);

	if (vm)
		vm_disk_resize(vm, &resize, c);
	else
		api_call_fail(c, &e);
}

void rpc_disk_get(void *cookie, struct api_call *c)
{
	get(cookie, c, VM_DEVICE_DISK);
}

void rpc_nic_get(void *cookie, struct api_call *c)
{
	get(cookie, c, VM_DEVICE_NIC);
}
