/*
 * The in-kernel GICv3 and its ITS, or GICv2.
 *
 * Source: the kernel's Documentation/virt/kvm/devices/arm-vgic-v3.rst,
 * arm-vgic-its.rst and arm-vgic.rst. Thread: the loop thread.
 */
#ifndef VMM_KVM_KVM_GIC_H
#define VMM_KVM_KVM_GIC_H

#include "lib/model/host_caps.h"
#include "vmm-kvm/kvm_vm.h"

struct kvm_gic_params {
	uint64_t dist_base; /* v3: 64 KiB; v2: 4 KiB */
	/* v3: 128 KiB for each vCPU, 128 KiB. */
	uint64_t redist_base, its_base;
	uint64_t cpu_base; /* v2: 8 KiB */
	uint32_t n_irqs; /* SGIs, PPIs and SPIs; a multiple of 32, 64 to 1024 */
};

/* Made; its descriptors are the owner's to close, for the controller itself
 * goes with the last descriptor of the machine. */
struct kvm_gic {
	int version;	/* VM_GIC_V2 or VM_GIC_V3 */
	int fd, its_fd; /* -1 for none */
	uint32_t n_irqs;
};

/*
 * `version` is VM_GIC_V2 or VM_GIC_V3. After all vCPUs were made and
 * initialised; none can be added later. *ret is to be closed also on failure.
 */
int kvm_gic_create(struct kvm_vm *vm, int version,
		   const struct kvm_gic_params *params, struct kvm_gic *ret,
		   struct error *e) must_check;
void kvm_gic_close(struct kvm_gic *gic);

#endif
