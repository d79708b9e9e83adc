#include "supervisor/backends.h"
#include "supervisor/null_backend.h"
#if defined(__aarch64__)
#include "vmm-kvm/backend.h"
#include "vmm-kvm/kvm_ioctls.h"
#endif

static const struct backend backends[] = {
	{VM_HYPERVISOR_NULL, &null_vmm_ops, NULL},
#if defined(__aarch64__)
	{VM_HYPERVISOR_KVM, &vmm_kvm_ops, vmm_kvm_ioctls},
#endif
};

int backend_find(enum vm_hypervisor hypervisor, const struct backend **ret,
		 struct error *e)
{
	if (hypervisor == VM_HYPERVISOR_AUTO)
		return error_set(e, -EINVAL,
				 "the hypervisor is still \"auto\": a "
				 "supervisor is told which one to use");
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		if (backends[i].hypervisor != hypervisor)
			continue;
		*ret = &backends[i];
		return 0;
	}
	return error_set(e, -EOPNOTSUPP,
			 "this armvm-supervisor was built without that "
			 "hypervisor (KVM guests need an AArch64 host)");
}

const struct backend *backend_at(size_t index)
{
	return index < ARRAY_SIZE(backends) ? &backends[index] : NULL;
}
