#include <linux/kvm.h>

#include "lib/base/util.h"
#include "vmm-kvm/kvm_ioctls.h"

/* A request that is missing here ends the process with SIGSYS. */
static const unsigned long requests[] = {
	/* /dev/kvm: what the host can do, the VM itself */
	KVM_GET_API_VERSION,
	KVM_CHECK_EXTENSION,
	KVM_GET_VCPU_MMAP_SIZE,
	KVM_CREATE_VM,
	/* the VM: memory, interrupt controller, lines, doorbells, messages */
	KVM_SET_USER_MEMORY_REGION,
	KVM_CREATE_DEVICE,
	KVM_SET_DEVICE_ATTR,
	KVM_IRQ_LINE,
	KVM_IRQFD,
	KVM_IOEVENTFD,
	KVM_REGISTER_COALESCED_MMIO, /* data words of the flash */
	KVM_UNREGISTER_COALESCED_MMIO,
	KVM_SET_GSI_ROUTING,
	KVM_ENABLE_CAP,
	/* vCPUs */
	KVM_CREATE_VCPU,
	KVM_ARM_PREFERRED_TARGET,
	KVM_ARM_VCPU_INIT,
	KVM_ARM_VCPU_FINALIZE, /* SVE */
	KVM_GET_ONE_REG,
	KVM_SET_ONE_REG,
	KVM_SET_VCPU_EVENTS,
	KVM_GET_STATS_FD, /* what KVM counted, for statistics */
	KVM_RUN,
	/* snapshots */
	KVM_GET_DEVICE_ATTR,
	KVM_GET_REG_LIST,
	KVM_GET_VCPU_EVENTS,
	KVM_GET_MP_STATE,
	KVM_SET_MP_STATE,
	KVM_ARM_MTE_COPY_TAGS,
};

const unsigned long *vmm_kvm_ioctls(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(requests);
	return requests;
}
