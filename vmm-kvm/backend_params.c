#include "lib/base/fd.h"
#include "lib/base/parse.h"
#include "vmm-kvm/backend_internal.h"
#include "vmm-kvm/board_layout.h"

int backend_check_params(const struct vmm_params *p, struct error *e)
{
	const struct vm_config *c = p->config;
	char size[16], least[16];

	if (p->kernel_fd < 0 && (p->firmware_fd < 0 || p->nvram_fd < 0))
		return error_set(e, -EINVAL,
				 "a KVM machine needs a firmware and a "
				 "variable store, or a kernel");
	if (c->vsock.cid && p->vsock_fd < 0)
		return error_set(e, -EINVAL,
				 "no descriptor came for the vsock");
	if ((p->kernel_fd >= 0) != (c->kernel != NULL) ||
	    (p->initrd_fd >= 0) != (c->initrd != NULL) ||
	    (p->kernel_fd >= 0 && p->firmware_fd >= 0))
		return error_set(e, -EINVAL,
				 "the descriptors of kernel, initrd and "
				 "firmware are not what the definition asks "
				 "for");
	if (c->vcpus < 1 || c->vcpus > BOARD_VCPUS_MAX)
		return error_set(e, -EINVAL,
				 "vcpus is %u; 1 to %d are accepted", c->vcpus,
				 BOARD_VCPUS_MAX);
	if (c->memory_bytes < VM_MEMORY_MIN)
		return error_set(
			e, -EINVAL, "memory is %s; at least %s is accepted",
			format_size(c->memory_bytes, size, sizeof(size)),
			format_size(VM_MEMORY_MIN, least, sizeof(least)));
	return 0;
}
