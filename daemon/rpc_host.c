#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemon/resource.h"
#include "daemon/rpc.h"

static json_object *hypervisor_json(const struct manager *m, const char *name,
				    int which)
{
	json_object *o = json_object_new_object();
	struct error e = ERROR_INIT;
	int found;
	bool available = resources_hypervisor(m, which, &found, &e) == 0;

	json_object_object_add(o, "name", json_object_new_string(name));
	json_object_object_add(o, "available",
			       json_object_new_boolean(available));
	json_object_object_add(o, "reason", json_object_new_string(e.message));
	if (which == VM_HYPERVISOR_XEN && available) {
		json_object_object_add(o, "version",
				       json_object_new_string(m->xen.version));
		json_object_object_add(o, "guest",
				       json_encode(xen_caps_fields, &m->xen));
	}
	return o;
}

static json_object *firmware_json(void)
{
	static const struct vm_config aarch64 = {.arch = VM_ARCH_AARCH64};
	const char *path = resources_firmware_path(&aarch64);
	json_object *o = json_object_new_object();

	json_object_object_add(o, "path", json_object_new_string(path));
	json_object_object_add(
		o, "found", json_object_new_boolean(access(path, R_OK) == 0));
	return o;
}

void rpc_host_info(void *cookie, struct api_call *c)
{
	const struct manager *m = cookie;
	json_object *o = json_object_new_object();
	json_object *hypervisors = json_object_new_array();
	struct utsname host = {0};
	struct sysinfo memory = {0};
	int64_t vms;

	uname(&host);
	sysinfo(&memory);
	json_object_array_add(hypervisors,
			      hypervisor_json(m, "kvm", VM_HYPERVISOR_KVM));
	json_object_array_add(hypervisors,
			      hypervisor_json(m, "xen", VM_HYPERVISOR_XEN));
	json_object_array_add(hypervisors,
			      hypervisor_json(m, "null", VM_HYPERVISOR_NULL));
	json_object_object_add(o, "version",
			       json_object_new_string(ARMVM_VERSION));
	json_object_object_add(o, "machine",
			       json_object_new_string(host.machine));
	json_object_object_add(o, "kernel",
			       json_object_new_string(host.release));
	json_object_object_add(
		o, "cpus",
		json_object_new_int64(sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_object_add(o, "memory",
			       json_object_new_int64((int64_t)memory.totalram *
						     memory.mem_unit));
	json_object_object_add(o, "hypervisors", hypervisors);
	json_object_object_add(
		o, "guest",
		m->caps_known ? json_encode(host_caps_fields, &m->caps) : NULL);
	json_object_object_add(o, "firmware", firmware_json());
	json_object_object_add(o, "state_dir",
			       json_object_new_string(m->state_dir));
	json_object_object_add(o, "boot_id",
			       json_object_new_string(m->boot_id));
	if (!api_call_who(c)->labels &&
	    store_vm_count(m->store, &vms, NULL) == 0)
		json_object_object_add(o, "vms", json_object_new_int64(vms));
	api_call_reply(c, o, -1);
}
