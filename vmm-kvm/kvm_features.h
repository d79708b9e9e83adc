/*
 * What a machine and its vCPUs are made with: the choices of a guest_abi, in
 * the order KVM wants to hear of them. And what there is to choose from.
 *
 * Source: the kernel's Documentation/virt/kvm/api.rst (4.82, 4.119 and the
 * capabilities' sections) and devices/vcpu.rst. Thread: the loop thread.
 */
#ifndef VMM_KVM_KVM_FEATURES_H
#define VMM_KVM_KVM_FEATURES_H

#include "lib/model/host_caps.h"
#include "vmm-kvm/kvm_vm.h"

/* `vm_fd` is any machine; nothing is made in it. All but memory_max, which is
 * the board's to know. */
void kvm_features_probe(int kvm_fd, int vm_fd, struct host_caps *ret);

/* Of a new machine, before its first vCPU. */
int kvm_features_vm(struct kvm_vm *vm, const struct guest_abi *abi,
		    struct error *e) must_check;

/* Makes a new vCPU a CPU; but for the first it waits for PSCI CPU_ON. `vls`:
 * which SVE vectors it has, KVM_ARM64_SVE_VLS_WORDS of them; NULL: the host's.
 */
int kvm_features_vcpu(struct kvm_vm *vm, int vcpu_fd, unsigned index,
		      const struct guest_abi *abi, const uint64_t *vls,
		      struct error *e) must_check;

/*
 * What can only be done with the interrupt controller there. pvtime_gpa is of
 * this vCPU's record of stolen time, KVM_FEATURES_PVTIME_SIZE bytes of guest
 * memory.
 */
#define KVM_FEATURES_PVTIME_SIZE 64
int kvm_features_vcpu_finish(int vcpu_fd, unsigned index,
			     const struct guest_abi *abi, uint32_t pmu_ppi,
			     uint64_t pvtime_gpa, struct error *e) must_check;

#endif
