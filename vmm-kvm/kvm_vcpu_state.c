#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "vmm-kvm/kvm_vcpu_state.h"

#define REGS_MAX      4096
#define REG_BYTES_MAX 256 /* an SVE register of 2048 bits */

static int get_reg(int fd, uint64_t id, void *out)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)out};

	return ioctl(fd, KVM_GET_ONE_REG, &reg) ? -errno : 0;
}

static int set_reg(int fd, uint64_t id, const void *in)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)in};

	return ioctl(fd, KVM_SET_ONE_REG, &reg) ? -errno : 0;
}

/* 0 when it is wider than any there is. */
static size_t reg_bytes(uint64_t id)
{
	unsigned log = (id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT;

	return 1ull << log <= REG_BYTES_MAX ? (size_t)1 << log : 0;
}

/* The caller's to free. */
static int list_regs(int fd, struct kvm_reg_list **ret)
{
	struct kvm_reg_list probe = {.n = 0}, *list;

	/* Says how many there are, and -E2BIG. */
	if (!ioctl(fd, KVM_GET_REG_LIST, &probe) || errno != E2BIG)
		return -EIO;
	if (probe.n > REGS_MAX)
		return -E2BIG;
	list = calloc(1, sizeof(*list) + probe.n * sizeof(list->reg[0]));
	if (!list)
		return -ENOMEM;
	list->n = probe.n;
	if (ioctl(fd, KVM_GET_REG_LIST, list)) {
		free(list);
		return -errno;
	}
	*ret = list;
	return 0;
}

static int save_regs(int fd, const struct kvm_reg_list *list,
		     struct state_out *out)
{
	uint8_t value[REG_BYTES_MAX];
	int r = 0;

	state_put_u32(out, (uint32_t)list->n);
	for (uint64_t i = 0; !r && i < list->n; i++) {
		uint64_t id = list->reg[i];

		r = reg_bytes(id) ? get_reg(fd, id, value) : -E2BIG;
		if (r)
			break;
		state_put_u64(out, id);
		state_put(out, value, reg_bytes(id));
	}
	return r;
}

int kvm_vcpu_save(struct kvm_vcpu *c, struct state_out *out, struct error *e)
{
	_cleanup_free_ struct kvm_reg_list *list = NULL;
	struct kvm_vcpu_events events = {0};
	struct kvm_mp_state mp = {0};
	int fd = kvm_vcpu_fd(c);
	size_t began = state_begin(out, "vcpu", 1);
	int r = list_regs(fd, &list);

	if (!r && ioctl(fd, KVM_GET_MP_STATE, &mp))
		r = -errno;
	if (!r && ioctl(fd, KVM_GET_VCPU_EVENTS, &events))
		r = -errno;
	if (!r) {
		state_put_u32(out, mp.mp_state);
		state_put_u8(out, events.exception.serror_pending);
		state_put_u8(out, events.exception.serror_has_esr);
		state_put_u8(out, events.exception.ext_dabt_pending);
		state_put_u64(out, events.exception.serror_esr);
		r = save_regs(fd, list, out);
	}
	state_end(out, began);
	return r ? error_set(e, r, "KVM does not tell a vCPU's state: %s",
			     strerror(-r))
		 : 0;
}

/* Those by which people know a CPU; others go by their encoding. */
static const struct {
	uint64_t id;
	const char *name;
} reg_names[] = {
	{ARM64_SYS_REG(3, 0, 0, 0, 0), "MIDR_EL1"},
	{ARM64_SYS_REG(3, 0, 0, 0, 5), "MPIDR_EL1"},
	{ARM64_SYS_REG(3, 0, 0, 0, 6), "REVIDR_EL1"},
	{ARM64_SYS_REG(3, 0, 0, 4, 0), "ID_AA64PFR0_EL1"},
	{ARM64_SYS_REG(3, 0, 0, 4, 1), "ID_AA64PFR1_EL1"},
	{ARM64_SYS_REG(3, 0, 0, 4, 4), "ID_AA64ZFR0_EL1"},
	{ARM64_SYS_REG(3, 0, 0, 5, 0), "ID_AA64DFR0_EL1"},
	{ARM64_SYS_REG(3, 0, 0, 6, 0), "ID_AA64ISAR0_EL1"},
	{ARM64_SYS_REG(3, 0, 0, 6, 1), "ID_AA64ISAR1_EL1"},
	{ARM64_SYS_REG(3, 0, 0, 6, 2), "ID_AA64ISAR2_EL1"},
	{ARM64_SYS_REG(3, 0, 0, 7, 0), "ID_AA64MMFR0_EL1"},
	{ARM64_SYS_REG(3, 0, 0, 7, 1), "ID_AA64MMFR1_EL1"},
	{ARM64_SYS_REG(3, 0, 0, 7, 2), "ID_AA64MMFR2_EL1"},
	{ARM64_SYS_REG(3, 1, 0, 0, 1), "CLIDR_EL1"},
	{ARM64_SYS_REG(3, 1, 0, 0, 7), "AIDR_EL1"},
	{ARM64_SYS_REG(3, 3, 0, 0, 1), "CTR_EL0"},
	{KVM_REG_ARM_PSCI_VERSION, "the PSCI version"},
};

static unsigned sysreg_part(uint64_t id, uint64_t mask, unsigned shift)
{
	return (unsigned)((id & mask) >> shift);
}

static const char *reg_name(uint64_t id, char *buf, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(reg_names); i++)
		if (reg_names[i].id == id)
			return reg_names[i].name;
	if ((id & KVM_REG_ARM_COPROC_MASK) == KVM_REG_ARM64_SYSREG)
		snprintf(buf, size, "S%u_%u_C%u_C%u_%u",
			 sysreg_part(id, KVM_REG_ARM64_SYSREG_OP0_MASK,
				     KVM_REG_ARM64_SYSREG_OP0_SHIFT),
			 sysreg_part(id, KVM_REG_ARM64_SYSREG_OP1_MASK,
				     KVM_REG_ARM64_SYSREG_OP1_SHIFT),
			 sysreg_part(id, KVM_REG_ARM64_SYSREG_CRN_MASK,
				     KVM_REG_ARM64_SYSREG_CRN_SHIFT),
			 sysreg_part(id, KVM_REG_ARM64_SYSREG_CRM_MASK,
				     KVM_REG_ARM64_SYSREG_CRM_SHIFT),
			 sysreg_part(id, KVM_REG_ARM64_SYSREG_OP2_MASK,
				     KVM_REG_ARM64_SYSREG_OP2_SHIFT));
	else
		snprintf(buf, size, "%#" PRIx64, id);
	return buf;
}

/* What cannot be set but is the same anyway needs not be. */
static int load_reg(int fd, uint64_t id, const uint8_t *value, struct error *e)
{
	uint8_t have[REG_BYTES_MAX] = {0};
	uint64_t recorded = 0, here = 0;
	size_t size = reg_bytes(id);
	char buf[40];
	int r = set_reg(fd, id, value);

	if (!r)
		return 0;
	if (get_reg(fd, id, have))
		return error_set(e, -EOPNOTSUPP,
				 "this host's CPU has no register %s, which "
				 "the recorded one had",
				 reg_name(id, buf, sizeof(buf)));
	if (memcmp(have, value, size) == 0)
		return 0;
	memcpy(&recorded, value, MIN(size, sizeof(recorded)));
	memcpy(&here, have, MIN(size, sizeof(here)));
	return error_set(e, -EOPNOTSUPP,
			 "CPU register %s differs: recorded %#" PRIx64
			 ", this host has %#" PRIx64,
			 reg_name(id, buf, sizeof(buf)), recorded, here);
}

static int load_regs(int fd, struct state_in *in, struct error *e)
{
	uint32_t n = state_get_u32(in);
	uint8_t value[REG_BYTES_MAX];
	int r = 0;

	if (n > REGS_MAX)
		return state_bad(in, e, "has too many registers");
	for (uint32_t i = 0; !r && !in->failed && i < n; i++) {
		uint64_t id = state_get_u64(in);

		if (!reg_bytes(id))
			return state_bad(in, e, "has an impossible register");
		state_get(in, value, reg_bytes(id));
		/* Settled when the vCPU was made; see kvm_vcpu_env. */
		if (!in->failed && id != KVM_REG_ARM64_SVE_VLS)
			r = load_reg(fd, id, value, e);
	}
	return r;
}

int kvm_vcpu_load(struct kvm_vcpu *c, struct state_in *in, struct error *e)
{
	struct kvm_vcpu_events events = {0};
	struct kvm_mp_state mp = {0};
	int fd = kvm_vcpu_fd(c);
	struct state_in r;
	int err = state_open(in, "vcpu", 1, &r, e);

	if (err)
		return err;
	mp.mp_state = state_get_u32(&r);
	events.exception.serror_pending = state_get_bool(&r);
	events.exception.serror_has_esr = state_get_bool(&r);
	events.exception.ext_dabt_pending = state_get_bool(&r);
	events.exception.serror_esr = state_get_u64(&r);
	err = load_regs(fd, &r, e);
	if (!err)
		err = state_close(&r, e);
	if (err)
		return err;
	if (ioctl(fd, KVM_SET_MP_STATE, &mp) ||
	    ioctl(fd, KVM_SET_VCPU_EVENTS, &events))
		return error_set(e, -errno,
				 "KVM does not accept a vCPU's state: %s",
				 strerror(errno));
	return 0;
}
