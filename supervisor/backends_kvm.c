/* armvm-supervisor: guests on KVM, and those without a hypervisor. */
#include "supervisor/backends.h"
#include "supervisor/null_backend.h"
#if defined(__aarch64__)
#include "vmm-kvm/backend.h"
#include "vmm-kvm/kvm_ioctls.h"

static int probe(int kvm_fd, json_object **ret, struct error *e)
{
	struct host_caps caps = {0};
	int r = vmm_kvm_probe(kvm_fd, &caps, e);

	if (r < 0)
		return r;
	*ret = json_encode(host_caps_fields, &caps);
	return *ret ? 0 : error_set(e, -ENOMEM, "out of memory");
}
#endif

const struct backend supervisor_backends[] = {
	{.hypervisor = VM_HYPERVISOR_NULL, .ops = &null_vmm_ops},
#if defined(__aarch64__)
	{.hypervisor = VM_HYPERVISOR_KVM,
	 .ops = &vmm_kvm_ops,
	 .ioctls = vmm_kvm_ioctls,
	 .probe = probe},
#endif
	{.ops = NULL},
};
