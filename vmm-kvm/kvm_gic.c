#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "lib/base/fd.h"
#include "vmm-kvm/kvm_gic.h"

struct device_attr {
	const char *what; /* for the error */
	uint32_t group;
	uint64_t attr;
	const void *value;
};

static int device_new(struct kvm_vm *vm, uint32_t type, const char *name,
		      const char *type_name, int *ret_fd, struct error *e)
{
	struct kvm_create_device device = {.type = type};

	if (ioctl(vm->fd, KVM_CREATE_DEVICE, &device))
		return error_set(e, -errno,
				 "KVM on this host has no %s (%s): %s", name,
				 type_name, strerror(errno));
	*ret_fd = (int)device.fd;
	return 0;
}

static int device_set(int fd, const struct device_attr *attrs, size_t n,
		      struct error *e)
{
	for (size_t i = 0; i < n; i++) {
		struct kvm_device_attr attr = {
			.group = attrs[i].group,
			.attr = attrs[i].attr,
			.addr = (uintptr_t)attrs[i].value,
		};

		if (ioctl(fd, KVM_SET_DEVICE_ATTR, &attr))
			return error_set(e, -errno,
					 "KVM does not accept %s: %s",
					 attrs[i].what, strerror(errno));
	}
	return 0;
}

static int its_create(struct kvm_vm *vm, uint64_t base, struct kvm_gic *gic,
		      struct error *e)
{
	const struct device_attr attrs[] = {
		{"the address of the ITS", KVM_DEV_ARM_VGIC_GRP_ADDR,
		 KVM_VGIC_ITS_ADDR_TYPE, &base},
		{"the ITS", KVM_DEV_ARM_VGIC_GRP_CTRL,
		 KVM_DEV_ARM_VGIC_CTRL_INIT, NULL},
	};
	int r = device_new(vm, KVM_DEV_TYPE_ARM_VGIC_ITS, "GICv3 ITS",
			   "KVM_DEV_TYPE_ARM_VGIC_ITS", &gic->its_fd, e);

	return r ? r : device_set(gic->its_fd, attrs, ARRAY_SIZE(attrs), e);
}

static int gicv2_create(struct kvm_vm *vm, const struct kvm_gic_params *params,
			struct kvm_gic *gic, struct error *e)
{
	const struct device_attr attrs[] = {
		{"the address of the GIC distributor",
		 KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_DIST,
		 &params->dist_base},
		{"the address of the GIC's CPU interface",
		 KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V2_ADDR_TYPE_CPU,
		 &params->cpu_base},
		{"the number of interrupts", KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0,
		 &params->n_irqs},
		{"the GIC", KVM_DEV_ARM_VGIC_GRP_CTRL,
		 KVM_DEV_ARM_VGIC_CTRL_INIT, NULL},
	};
	int r = device_new(vm, KVM_DEV_TYPE_ARM_VGIC_V2, "GICv2",
			   "KVM_DEV_TYPE_ARM_VGIC_V2", &gic->fd, e);

	return r ? r : device_set(gic->fd, attrs, ARRAY_SIZE(attrs), e);
}

static int gicv3_create(struct kvm_vm *vm, const struct kvm_gic_params *params,
			struct kvm_gic *gic, struct error *e)
{
	const struct device_attr attrs[] = {
		{"the address of the GIC distributor",
		 KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST,
		 &params->dist_base},
		{"the address of the GIC redistributors",
		 KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST,
		 &params->redist_base},
		{"the number of interrupts", KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0,
		 &params->n_irqs},
		{"the GIC", KVM_DEV_ARM_VGIC_GRP_CTRL,
		 KVM_DEV_ARM_VGIC_CTRL_INIT, NULL},
	};
	int r = device_new(vm, KVM_DEV_TYPE_ARM_VGIC_V3, "GICv3",
			   "KVM_DEV_TYPE_ARM_VGIC_V3", &gic->fd, e);

	if (!r)
		r = device_set(gic->fd, attrs, ARRAY_SIZE(attrs), e);
	return r ? r : its_create(vm, params->its_base, gic, e);
}

int kvm_gic_create(struct kvm_vm *vm, int version,
		   const struct kvm_gic_params *params, struct kvm_gic *ret,
		   struct error *e)
{
	*ret = (struct kvm_gic){
		.version = version,
		.fd = -1,
		.its_fd = -1,
		.n_irqs = params->n_irqs,
	};
	return version == VM_GIC_V2 ? gicv2_create(vm, params, ret, e)
				    : gicv3_create(vm, params, ret, e);
}

void kvm_gic_close(struct kvm_gic *gic)
{
	gic->its_fd = fd_close(gic->its_fd);
	gic->fd = fd_close(gic->fd);
}
