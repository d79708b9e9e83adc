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

void backend_close_params(struct vmm_params *p)
{
	p->hypervisor_fd = fd_close(p->hypervisor_fd);
	p->firmware_fd = fd_close(p->firmware_fd);
	p->kernel_fd = fd_close(p->kernel_fd);
	p->initrd_fd = fd_close(p->initrd_fd);
	p->nvram_fd = fd_close(p->nvram_fd);
	p->snapshot_fd = fd_close(p->snapshot_fd);
	if (p->config->vsock.cid)
		p->vsock_fd = fd_close(p->vsock_fd);
	for (size_t i = 0; i < p->config->n_filesystems; i++)
		p->filesystems[i] = fd_close(p->filesystems[i]);
	for (size_t i = 0; i < p->config->n_disks; i++)
		p->disks[i].fd = fd_close(p->disks[i].fd);
	for (size_t i = 0; i < p->config->n_nics; i++)
		fd_list_done(&p->nics[i].fds);
}
