#include "supervisor/backends.h"

int backend_find(enum vm_hypervisor hypervisor, const struct backend **ret,
		 struct error *e)
{
	if (hypervisor == VM_HYPERVISOR_AUTO)
		return error_set(e, -EINVAL,
				 "the hypervisor is still \"auto\": a "
				 "supervisor is told which one to use");
	for (const struct backend *b = supervisor_backends; b->ops; b++) {
		if (b->hypervisor != hypervisor)
			continue;
		*ret = b;
		return 0;
	}
	return error_set(e, -EOPNOTSUPP,
			 "this armvm-supervisor was built without that "
			 "hypervisor (KVM guests need an AArch64 host)");
}

const struct backend *backend_at(size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (!supervisor_backends[i].ops)
			return NULL;
	return supervisor_backends[index].ops ? &supervisor_backends[index]
					      : NULL;
}
