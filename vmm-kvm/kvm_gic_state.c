#include <inttypes.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "vmm-kvm/kvm_gic_state.h"

#define SGIS_PPIS 32

/* A register of a group, in the order in which they have to be set: whatever
 * says how an interrupt is treated before that it is pending. */
struct reg_row {
	uint32_t offset;
	uint8_t words; /* 32-bit ones; 0: `per_irq` bits for each interrupt */
	uint8_t per_irq;
};

/* IHI 0069, 12.9. For interrupts from 32 on. */
static const struct reg_row dist_v3[] = {
	{0x0008, 1},	 /* GICD_IIDR: KVM's revision of what follows */
	{0x0000, 1},	 /* GICD_CTLR */
	{0x0080, 0, 1},	 /* GICD_IGROUPR */
	{0x0100, 0, 1},	 /* GICD_ISENABLER */
	{0x0c00, 0, 2},	 /* GICD_ICFGR */
	{0x0200, 0, 1},	 /* GICD_ISPENDR */
	{0x0300, 0, 1},	 /* GICD_ISACTIVER */
	{0x0400, 0, 8},	 /* GICD_IPRIORITYR */
	{0x6000, 0, 64}, /* GICD_IROUTER */
};

/* IHI 0069, 12.11; the second frame is at 64 KiB. Tables first, then what
 * turns LPIs on. */
static const struct reg_row redist_v3[] = {
	{0x0070, 2},  /* GICR_PROPBASER */
	{0x0078, 2},  /* GICR_PENDBASER */
	{0x0000, 1},  /* GICR_CTLR */
	{0x0014, 1},  /* GICR_WAKER */
	{0x10080, 1}, /* GICR_IGROUPR0 */
	{0x10100, 1}, /* GICR_ISENABLER0 */
	{0x10c00, 2}, /* GICR_ICFGR0 and 1 */
	{0x10200, 1}, /* GICR_ISPENDR0 */
	{0x10300, 1}, /* GICR_ISACTIVER0 */
	{0x10400, 8}, /* GICR_IPRIORITYR */
};

/* IHI 0048B, 4.3: the first 32 are each CPU's own. */
static const struct reg_row dist_v2_cpu[] = {
	{0x0080, 1}, /* GICD_IGROUPR0 */
	{0x0100, 1}, /* GICD_ISENABLER0 */
	{0x0c00, 2}, /* GICD_ICFGR */
	{0x0200, 1}, /* GICD_ISPENDR0 */
	{0x0300, 1}, /* GICD_ISACTIVER0 */
	{0x0400, 8}, /* GICD_IPRIORITYR */
	{0x0f20, 4}, /* GICD_SPENDSGIR: from whom */
};
static const struct reg_row dist_v2[] = {
	{0x0008, 1},	/* GICD_IIDR */
	{0x0000, 1},	/* GICD_CTLR */
	{0x0080, 0, 1}, /* GICD_IGROUPR */
	{0x0100, 0, 1}, /* GICD_ISENABLER */
	{0x0c00, 0, 2}, /* GICD_ICFGR */
	{0x0800, 0, 8}, /* GICD_ITARGETSR */
	{0x0200, 0, 1}, /* GICD_ISPENDR */
	{0x0300, 0, 1}, /* GICD_ISACTIVER */
	{0x0400, 0, 8}, /* GICD_IPRIORITYR */
};
/* IHI 0048B, 4.4. */
static const struct reg_row cpu_v2[] = {
	{0x00, 1}, /* GICC_CTLR */
	{0x04, 1}, /* GICC_PMR */
	{0x08, 1}, /* GICC_BPR */
	{0x1c, 1}, /* GICC_ABPR */
	{0xd0, 4}, /* GICC_APR */
};

#define SYSREG(op0, op1, crn, crm, op2)            \
	((op0) << KVM_REG_ARM64_SYSREG_OP0_SHIFT | \
	 (op1) << KVM_REG_ARM64_SYSREG_OP1_SHIFT | \
	 (crn) << KVM_REG_ARM64_SYSREG_CRN_SHIFT | \
	 (crm) << KVM_REG_ARM64_SYSREG_CRM_SHIFT | (op2))

/* IHI 0069, 12.2. Those of more priority bits than the CPU has do not exist. */
static const uint32_t cpu_v3[] = {
	SYSREG(3, 0, 12, 12, 5), /* ICC_SRE_EL1 */
	SYSREG(3, 0, 12, 12, 4), /* ICC_CTLR_EL1 */
	SYSREG(3, 0, 12, 12, 6), /* ICC_IGRPEN0_EL1 */
	SYSREG(3, 0, 12, 12, 7), /* ICC_IGRPEN1_EL1 */
	SYSREG(3, 0, 4, 6, 0),	 /* ICC_PMR_EL1 */
	SYSREG(3, 0, 12, 8, 3),	 /* ICC_BPR0_EL1 */
	SYSREG(3, 0, 12, 12, 3), /* ICC_BPR1_EL1 */
	SYSREG(3, 0, 12, 8, 4),	 /* ICC_AP0R0_EL1 */
	SYSREG(3, 0, 12, 8, 5),	 SYSREG(3, 0, 12, 8, 6), SYSREG(3, 0, 12, 8, 7),
	SYSREG(3, 0, 12, 9, 0), /* ICC_AP1R0_EL1 */
	SYSREG(3, 0, 12, 9, 1),	 SYSREG(3, 0, 12, 9, 2), SYSREG(3, 0, 12, 9, 3),
};

/* IHI 0069, 12.19, in the order of the restore sequence. */
#define GITS_CTLR 0x0000
static const uint32_t its_regs[] = {
	0x0004, /* GITS_IIDR */
	0x0080, /* GITS_CBASER: resets the two below */
	0x0090, /* GITS_CREADR */
	0x0088, /* GITS_CWRITER */
	0x0100, 0x0108, 0x0110, 0x0118, 0x0120, 0x0128, 0x0130, 0x0138,
};

/* One direction: out to a record, or in from one. */
struct transfer {
	const struct kvm_gic *gic;
	struct state_out *out;
	struct state_in *in; /* NULL: saving */
	struct error *e;
};

static int attr_ioctl(int fd, bool set, uint32_t group, uint64_t attr,
		      void *value)
{
	struct kvm_device_attr a = {
		.group = group, .attr = attr, .addr = (uintptr_t)value};

	return ioctl(fd, set ? KVM_SET_DEVICE_ATTR : KVM_GET_DEVICE_ATTR, &a)
		       ? -errno
		       : 0;
}

static int failed(const struct transfer *t, int r, uint32_t group,
		  uint64_t attr)
{
	return error_set(t->e, t->in ? -EOPNOTSUPP : r,
			 "KVM does not %s the interrupt controller's register "
			 "%u:%#" PRIx64 ": %s",
			 t->in ? "accept" : "tell", group, attr, strerror(-r));
}

static int move32(struct transfer *t, uint32_t group, uint64_t attr)
{
	uint32_t value = t->in ? state_get_u32(t->in) : 0;
	int r;

	if (t->in && t->in->failed)
		return 0; /* told when the record is closed */
	r = attr_ioctl(t->gic->fd, t->in, group, attr, &value);
	if (r)
		return failed(t, r, group, attr);
	if (!t->in)
		state_put_u32(t->out, value);
	return 0;
}

static int move64(struct transfer *t, int fd, uint32_t group, uint64_t attr)
{
	uint64_t value = t->in ? state_get_u64(t->in) : 0;
	int r;

	if (t->in && t->in->failed)
		return 0;
	r = attr_ioctl(fd, t->in, group, attr, &value);
	if (r)
		return failed(t, r, group, attr);
	if (!t->in)
		state_put_u64(t->out, value);
	return 0;
}

static int move_rows(struct transfer *t, uint32_t group, uint64_t cpu,
		     const struct reg_row *rows, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t per = rows[i].per_irq;
		/* Bytes from the first one that is not a CPU's own. */
		uint32_t at = rows[i].offset + SGIS_PPIS * per / 8;
		uint32_t end = rows[i].offset + t->gic->n_irqs * per / 8;

		if (rows[i].words) {
			at = rows[i].offset;
			end = at + 4u * rows[i].words;
		}
		for (; !r && at < end; at += 4)
			r = move32(t, group, cpu << 32 | at);
	}
	return r;
}

/* As the device API wants it: Aff3 to Aff0 in 32 bits. */
static uint64_t mpidr_of(uint64_t affinity)
{
	return (affinity >> 8 & 0xff000000) | (affinity & 0xffffff);
}

static int move_levels(struct transfer *t, uint64_t mpidr, uint32_t first,
		       uint32_t end)
{
	int r = 0;

	for (; !r && first < end; first += 32)
		r = move32(
			t, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO,
			mpidr << 32 |
				VGIC_LEVEL_INFO_LINE_LEVEL
					<< KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT |
				first);
	return r;
}

/* Which of them there are is part of the record. */
static int move_sysregs(struct transfer *t, uint64_t mpidr)
{
	for (size_t i = 0; i < ARRAY_SIZE(cpu_v3); i++) {
		uint64_t attr = mpidr << 32 | cpu_v3[i], value;
		bool there;
		int r;

		if (t->in) {
			there = state_get_bool(t->in);
			value = there ? state_get_u64(t->in) : 0;
			if (!there || t->in->failed)
				continue;
			r = attr_ioctl(t->gic->fd, true,
				       KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, attr,
				       &value);
			if (r)
				return failed(t, r,
					      KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS,
					      cpu_v3[i]);
			continue;
		}
		there = !attr_ioctl(t->gic->fd, false,
				    KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, attr,
				    &value);
		state_put_u8(t->out, there);
		if (there)
			state_put_u64(t->out, value);
	}
	return 0;
}

static int move_v3(struct transfer *t, const struct kvm_gic_cpus *cpus)
{
	int r = move_rows(t, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, dist_v3, 2);

	for (unsigned i = 0; !r && i < cpus->n; i++) {
		uint64_t mpidr = mpidr_of(cpus->affinities[i]);

		r = move_rows(t, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, mpidr,
			      redist_v3, ARRAY_SIZE(redist_v3));
		if (!r)
			r = move_levels(t, mpidr, 0, SGIS_PPIS);
	}
	if (!r)
		r = move_rows(t, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, dist_v3 + 2,
			      ARRAY_SIZE(dist_v3) - 2);
	if (!r)
		r = move_levels(t, 0, SGIS_PPIS, t->gic->n_irqs);
	for (unsigned i = 0; !r && i < cpus->n; i++)
		r = move_sysregs(t, mpidr_of(cpus->affinities[i]));
	return r;
}

static int move_v2(struct transfer *t, const struct kvm_gic_cpus *cpus)
{
	int r = move_rows(t, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, dist_v2, 2);

	for (unsigned i = 0; !r && i < cpus->n; i++)
		r = move_rows(t, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, i, dist_v2_cpu,
			      ARRAY_SIZE(dist_v2_cpu));
	if (!r)
		r = move_rows(t, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, dist_v2 + 2,
			      ARRAY_SIZE(dist_v2) - 2);
	for (unsigned i = 0; !r && i < cpus->n; i++)
		r = move_rows(t, KVM_DEV_ARM_VGIC_GRP_CPU_REGS, i, cpu_v2,
			      ARRAY_SIZE(cpu_v2));
	return r;
}

static int control(int fd, uint64_t what, const char *does, struct error *e)
{
	int r = attr_ioctl(fd, true, KVM_DEV_ARM_VGIC_GRP_CTRL, what, NULL);

	return r ? error_set(e, r, "KVM does not %s: %s", does, strerror(-r))
		 : 0;
}

/* Tables between the registers and GITS_CTLR, which turns it on. */
static int move_its(struct transfer *t)
{
	const uint32_t group = KVM_DEV_ARM_VGIC_GRP_ITS_REGS;
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(its_regs); i++)
		r = move64(t, t->gic->its_fd, group, its_regs[i]);
	if (!r && t->in)
		r = control(t->gic->its_fd, KVM_DEV_ARM_ITS_RESTORE_TABLES,
			    "read the ITS's tables", t->e);
	return r ? r : move64(t, t->gic->its_fd, group, GITS_CTLR);
}

static int move(struct transfer *t, const struct kvm_gic_cpus *cpus)
{
	int r;

	if (t->gic->version == VM_GIC_V2)
		return move_v2(t, cpus);
	r = move_v3(t, cpus);
	return r ? r : move_its(t);
}

int kvm_gic_save(const struct kvm_gic *gic, const struct kvm_gic_cpus *cpus,
		 struct state_out *out, struct error *e)
{
	struct transfer t = {.gic = gic, .out = out, .e = e};
	bool v3 = gic->version == VM_GIC_V3;
	size_t began = state_begin(out, v3 ? "gicv3" : "gicv2", 1);
	int r = 0;

	if (v3)
		r = control(gic->fd, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES,
			    "write the pending interrupts down", e);
	if (v3 && !r)
		r = control(gic->its_fd, KVM_DEV_ARM_ITS_SAVE_TABLES,
			    "write the ITS's tables", e);
	if (!r) {
		state_put_u32(out, gic->n_irqs);
		r = move(&t, cpus);
	}
	state_end(out, began);
	return r;
}

int kvm_gic_load(const struct kvm_gic *gic, const struct kvm_gic_cpus *cpus,
		 struct state_in *in, struct error *e)
{
	struct state_in record;
	struct transfer t = {.gic = gic, .in = &record, .e = e};
	bool v3 = gic->version == VM_GIC_V3;
	int r = state_open(in, v3 ? "gicv3" : "gicv2", 1, &record, e);

	if (r)
		return r;
	if (state_get_u32(&record) != gic->n_irqs)
		return state_bad(&record, e,
				 "has another number of interrupts");
	r = move(&t, cpus);
	return r ? r : state_close(&record, e);
}
