#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "vmm-kvm/kvm_features.h"

/* KVM_CAP_ARM_VM_IPA_SIZE absent means this and no other. */
#define IPA_BITS_FIXED 40

static int cap(int fd, int number)
{
	int value = ioctl(fd, KVM_CHECK_EXTENSION, number);

	return value > 0 ? value : 0;
}

static bool has_device(int vm_fd, uint32_t type)
{
	struct kvm_create_device device = {
		.type = type,
		.flags = KVM_CREATE_DEVICE_TEST,
	};

	return ioctl(vm_fd, KVM_CREATE_DEVICE, &device) == 0;
}

void kvm_features_probe(int kvm_fd, int vm_fd, struct host_caps *ret)
{
	int ipa_bits = cap(kvm_fd, KVM_CAP_ARM_VM_IPA_SIZE);

	*ret = (struct host_caps){
		.ipa_bits = ipa_bits ? (uint32_t)ipa_bits : IPA_BITS_FIXED,
		.vcpus_max = (uint32_t)cap(kvm_fd, KVM_CAP_MAX_VCPUS),
		.gic_v2 = has_device(vm_fd, KVM_DEV_TYPE_ARM_VGIC_V2),
		.gic_v3 = has_device(vm_fd, KVM_DEV_TYPE_ARM_VGIC_V3),
		.its = has_device(vm_fd, KVM_DEV_TYPE_ARM_VGIC_ITS),
		.aarch32 = cap(kvm_fd, KVM_CAP_ARM_EL1_32BIT),
		.pmu = cap(kvm_fd, KVM_CAP_ARM_PMU_V3),
		.sve = cap(kvm_fd, KVM_CAP_ARM_SVE),
		.pauth = cap(kvm_fd, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
			 cap(kvm_fd, KVM_CAP_ARM_PTRAUTH_GENERIC),
		.mte = cap(kvm_fd, KVM_CAP_ARM_MTE),
		.steal_time = cap(kvm_fd, KVM_CAP_STEAL_TIME),
	};
}

int kvm_features_vm(struct kvm_vm *vm, const struct guest_abi *abi,
		    struct error *e)
{
	struct kvm_enable_cap mte = {.cap = KVM_CAP_ARM_MTE};

	if (abi->mte && ioctl(vm->fd, KVM_ENABLE_CAP, &mte))
		return error_set(e, -errno,
				 "KVM does not give the machine MTE: %s",
				 strerror(errno));
	return 0;
}

static uint32_t feature_bits(unsigned index, const struct guest_abi *abi)
{
	uint32_t bits = 1u << KVM_ARM_VCPU_PSCI_0_2;

	if (index > 0)
		bits |= 1u << KVM_ARM_VCPU_POWER_OFF;
	if (abi->aarch32)
		bits |= 1u << KVM_ARM_VCPU_EL1_32BIT;
	if (abi->pmu)
		bits |= 1u << KVM_ARM_VCPU_PMU_V3;
	if (abi->sve)
		bits |= 1u << KVM_ARM_VCPU_SVE;
	if (abi->pauth)
		bits |= 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS |
			1u << KVM_ARM_VCPU_PTRAUTH_GENERIC;
	return bits;
}

int kvm_features_vcpu(struct kvm_vm *vm, int vcpu_fd, unsigned index,
		      const struct guest_abi *abi, const uint64_t *vls,
		      struct error *e)
{
	struct kvm_one_reg lengths = {
		.id = KVM_REG_ARM64_SVE_VLS,
		.addr = (uintptr_t)vls,
	};
	int sve = KVM_ARM_VCPU_SVE;
	struct kvm_vcpu_init init;

	if (ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init))
		return error_set(e, -errno,
				 "KVM knows no CPU model for this host: %s",
				 strerror(errno));
	init.features[0] |= feature_bits(index, abi);
	if (ioctl(vcpu_fd, KVM_ARM_VCPU_INIT, &init))
		return error_set(e, -errno, "KVM cannot initialise vCPU %u: %s",
				 index, strerror(errno));
	/* Only between the two. */
	if (abi->sve && vls && ioctl(vcpu_fd, KVM_SET_ONE_REG, &lengths))
		return error_set(e, -EOPNOTSUPP,
				 "this host's SVE has not the vector lengths "
				 "that were recorded: %s",
				 strerror(errno));
	if (abi->sve && ioctl(vcpu_fd, KVM_ARM_VCPU_FINALIZE, &sve))
		return error_set(e, -errno, "KVM gives vCPU %u no SVE: %s",
				 index, strerror(errno));
	return 0;
}

static int set_attr(int fd, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr a = {
		.group = group, .attr = attr, .addr = (uintptr_t)value};

	return ioctl(fd, KVM_SET_DEVICE_ATTR, &a) ? -errno : 0;
}

int kvm_features_vcpu_finish(int vcpu_fd, unsigned index,
			     const struct guest_abi *abi, uint32_t pmu_ppi,
			     uint64_t pvtime_gpa, struct error *e)
{
	int r = 0;

	if (abi->pmu) {
		r = set_attr(vcpu_fd, KVM_ARM_VCPU_PMU_V3_CTRL,
			     KVM_ARM_VCPU_PMU_V3_IRQ, &pmu_ppi);
		if (!r)
			r = set_attr(vcpu_fd, KVM_ARM_VCPU_PMU_V3_CTRL,
				     KVM_ARM_VCPU_PMU_V3_INIT, NULL);
	}
	if (r)
		return error_set(e, r, "KVM gives vCPU %u no PMU: %s", index,
				 strerror(-r));
	if (abi->steal_time)
		r = set_attr(vcpu_fd, KVM_ARM_VCPU_PVTIME_CTRL,
			     KVM_ARM_VCPU_PVTIME_IPA, &pvtime_gpa);
	return r ? error_set(e, r,
			     "KVM does not tell vCPU %u of stolen time: %s",
			     index, strerror(-r))
		 : 0;
}
