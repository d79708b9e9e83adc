/*
 * The in-kernel GICv3 and its ITS.
 *
 * Source: the kernel's Documentation/virt/kvm/devices/arm-vgic-v3.rst and
 * arm-vgic-its.rst. Thread: the loop thread.
 */
#ifndef VMM_KVM_KVM_GIC_H
#define VMM_KVM_KVM_GIC_H

#include "vmm-kvm/kvm_vm.h"

struct kvm_gic_params {
	/* 64 KiB, 128 KiB for each vCPU, 128 KiB. */
	uint64_t dist_base, redist_base, its_base;
	uint32_t n_irqs; /* SGIs, PPIs and SPIs; a multiple of 32, 64 to 1024 */
};

/*
 * After all vCPUs were made and initialised; none can be added later. It goes
 * with the last descriptor of the machine, so there is nothing to free.
 */
int kvm_gic_create(struct kvm_vm *vm, const struct kvm_gic_params *params,
		   struct error *e) must_check;

#endif
