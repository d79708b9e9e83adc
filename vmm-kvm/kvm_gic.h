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

/*
 * `gic` is VM_GIC_V2 or VM_GIC_V3. After all vCPUs were made and initialised;
 * none can be added later. It goes with the last descriptor of the machine, so
 * there is nothing to free.
 */
int kvm_gic_create(struct kvm_vm *vm, int gic,
		   const struct kvm_gic_params *params,
		   struct error *e) must_check;

#endif
