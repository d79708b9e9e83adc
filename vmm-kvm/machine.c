#include "lib/base/fd.h"
#include "vmm-kvm/board_layout.h"
#include "vmm-kvm/boot.h"
#include "vmm-kvm/devices/gicv2m.h"
#include "vmm-kvm/kvm_features.h"
#include "vmm-kvm/machine.h"

int machine_init(struct machine *m, int kvm_fd, unsigned ipa_bits,
		 unsigned n_vcpus,
		 void (*stopped)(void *cookie, enum kvm_vcpu_stop why,
				 const char *detail),
		 void *cookie, struct error *e)
{
	int r;

	*m = (struct machine){
		.kvm_fd = kvm_fd,
		.ipa_bits = ipa_bits,
		.n_vcpus = n_vcpus,
		.gic = {.fd = -1, .its_fd = -1},
	};
	run_gate_init(&m->gate);
	m->env = (struct kvm_vcpu_env){
		.gate = &m->gate,
		.stopped = stopped,
		.cookie = cookie,
	};
	m->vcpus = calloc(n_vcpus, sizeof(struct kvm_vcpu *));
	m->affinities = calloc(n_vcpus, sizeof(*m->affinities));
	m->ended = calloc(n_vcpus, sizeof(*m->ended));
	if (!m->vcpus || !m->affinities || !m->ended)
		return error_set(e, -ENOMEM, "out of memory");
	r = kvm_vm_new(kvm_fd, ipa_bits, &m->vm, e);
	if (r)
		return r;
	r = kvm_irq_new(m->vm, &m->irq);
	return r ? error_set(e, r, "out of memory") : 0;
}

void machine_choose(struct machine *m, const struct guest_abi *abi)
{
	static const struct kvm_irq_v2m v2m = {
		.setspi_gpa = BOARD_GIC_V2M_BASE + GICV2M_SETSPI,
		.first_intid = BOARD_SPI_MSI,
		.n_intids = BOARD_MSI_SPIS,
	};

	m->env.abi = *abi;
	if (abi->gic == VM_GIC_V2)
		kvm_irq_use_v2m(m->irq, &v2m);
}

void machine_end_vcpus(struct machine *m)
{
	run_gate_set(&m->gate, RUN_GATE_STOP);
	for (unsigned i = 0; m->vcpus && i < m->n_vcpus; i++) {
		if (m->vcpus[i]) {
			kvm_vcpu_end(m->vcpus[i]);
			kvm_vcpu_stats_add(m->vcpus[i], &m->ended[i]);
		}
		m->vcpus[i] = kvm_vcpu_free(m->vcpus[i]);
	}
	run_gate_set(&m->gate, RUN_GATE_CLOSED);
}

void machine_done(struct machine *m)
{
	kvm_irq_free(m->irq);
	kvm_gic_close(&m->gic);
	kvm_vm_free(m->vm);
	free(m->vcpus);
	free(m->affinities);
	free(m->ended);
	run_gate_done(&m->gate);
	fd_close(m->kvm_fd);
}

static struct kvm_memory bank_slot(const struct board *board,
				   enum board_bank bank)
{
	const struct board_bank_memory *memory = board_bank(board, bank);

	_Static_assert(BOARD_BANK_COUNT <= KVM_VM_SLOTS, "each has a slot");
	return (struct kvm_memory){
		.name = memory->name,
		.slot = bank,
		.gpa = memory->gpa,
		.size_bytes = memory->size_bytes,
		.hva = memory->hva,
		.readonly = memory->readonly,
	};
}

int machine_set_mapped(struct machine *m, enum board_bank bank, bool mapped,
		       struct error *e)
{
	const struct kvm_memory slot = bank_slot(m->board, bank);

	return mapped ? kvm_vm_map(m->vm, &slot, e)
		      : kvm_vm_unmap(m->vm, &slot, e);
}

int machine_set_page(struct machine *m, uint64_t gpa, void *page, bool mapped,
		     struct error *e)
{
	const struct kvm_memory slot = {
		.name = "a page of registers",
		.slot = BOARD_BANK_COUNT, /* behind theirs */
		.gpa = gpa,
		.size_bytes = REG_PAGE_BYTES,
		.hva = page,
		.readonly = true,
	};

	_Static_assert(BOARD_BANK_COUNT < KVM_VM_SLOTS, "it has a slot, too");
	return mapped ? kvm_vm_map(m->vm, &slot, e)
		      : kvm_vm_unmap(m->vm, &slot, e);
}

static int make_vcpus(struct machine *m, struct error *e)
{
	int r = 0;

	for (unsigned i = 0; !r && i < m->n_vcpus; i++) {
		r = kvm_vcpu_new(m->vm, i, &m->env, &m->vcpus[i], e);
		if (!r)
			r = kvm_vcpu_affinity(m->vcpus[i], &m->affinities[i],
					      e);
	}
	return r;
}

static int make_gic(struct machine *m, struct error *e)
{
	bool v2 = m->env.abi.gic == VM_GIC_V2;
	const struct kvm_gic_params gic = {
		.dist_base = BOARD_GIC_DIST_BASE,
		.redist_base = BOARD_GIC_REDIST_BASE,
		.its_base = BOARD_GIC_ITS_BASE,
		.cpu_base = BOARD_GIC_CPU_BASE,
		.n_irqs = v2 ? BOARD_SPI_MSI + BOARD_MSI_SPIS : BOARD_GIC_IRQS,
	};
	int r = kvm_gic_create(m->vm, m->env.abi.gic, &gic, &m->gic, e);

	for (unsigned i = 0; !r && i < m->n_vcpus; i++)
		r = kvm_vcpu_finish(m->vcpus[i], BOARD_PPI_PMU,
				    BOARD_PVTIME_BASE, e);
	return r;
}

/* Fill the RAM and put the first CPU where its guest begins. */
static int prepare_boot(struct machine *m, struct error *e)
{
	struct boot_entry entry;
	int r = boot_prepare(m->board, m->affinities, m->n_vcpus, &entry, e);

	return r ? r : kvm_vcpu_set_entry(m->vcpus[0], entry.pc, entry.args, e);
}

int machine_assemble(struct machine *m, struct board *board, bool boot,
		     struct error *e)
{
	int r;

	m->board = board;
	m->env.bus = board_bus(board);
	r = kvm_features_vm(m->vm, &m->env.abi, e);
	for (int i = 0; !r && i < BOARD_BANK_COUNT; i++)
		if (board_bank(board, i)->hva)
			r = machine_set_mapped(m, i, true, e);
	if (!r)
		r = make_vcpus(m, e);
	if (!r)
		r = make_gic(m, e);
	return r || !boot ? r : prepare_boot(m, e);
}

int machine_start(struct machine *m, struct error *e)
{
	int r = 0;

	for (unsigned i = 0; !r && i < m->n_vcpus; i++)
		r = kvm_vcpu_start(m->vcpus[i], e);
	return r;
}

void machine_open(struct machine *m)
{
	run_gate_set(&m->gate, RUN_GATE_OPEN);
}

void machine_halt(struct machine *m)
{
	run_gate_set(&m->gate, RUN_GATE_CLOSED);
	for (unsigned i = 0; i < m->n_vcpus; i++)
		kvm_vcpu_kick(m->vcpus[i]);
	run_gate_wait(&m->gate);
}

int machine_rebuild(struct machine *m, struct error *e)
{
	int r;

	machine_end_vcpus(m);
	/* Devices let go of the old machine's interrupts and doorbells. */
	board_reset(m->board);
	kvm_irq_rebind(m->irq, NULL);
	kvm_gic_close(&m->gic);
	m->vm = kvm_vm_free(m->vm);
	r = kvm_vm_new(m->kvm_fd, m->ipa_bits, &m->vm, e);
	if (r)
		return r;
	kvm_irq_rebind(m->irq, m->vm);
	r = machine_assemble(m, m->board, true, e);
	return r ? r : machine_start(m, e);
}

int machine_stats(struct machine *m, struct vm_stats *ret)
{
	ret->vcpus = calloc(m->n_vcpus, sizeof(*ret->vcpus));
	if (!ret->vcpus)
		return -ENOMEM;
	ret->n_vcpus = m->n_vcpus;
	for (unsigned i = 0; i < m->n_vcpus; i++) {
		struct kvm_vcpu_stats sum = m->ended[i];

		if (m->vcpus[i])
			kvm_vcpu_stats_add(m->vcpus[i], &sum);
		ret->vcpus[i] = sum.vcpu;
		ret->exits.mmio += sum.exits.mmio;
		ret->exits.system_event += sum.exits.system_event;
		ret->exits.undecoded += sum.exits.undecoded;
		ret->exits.interrupted += sum.exits.interrupted;
		ret->unanswered += sum.unanswered;
		ret->late_writes += sum.late_writes;
	}
	return 0;
}
