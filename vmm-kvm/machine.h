/*
 * The running part of a VM: KVM's virtual machine, its vCPUs with their
 * threads and its interrupt controller, around a board that outlives them.
 *
 * A reset does not repair this state, it makes it anew: threads end, devices
 * are reset, RAM is emptied, and a fresh virtual machine is assembled against
 * the same board, so that nothing stale is left in the kernel.
 *
 * Life: init → assemble → start → (open ⇄ halt | rebuild)* → done.
 * Thread: the loop thread, but for machine_set_mapped() and
 * machine_set_page().
 */
#ifndef VMM_KVM_MACHINE_H
#define VMM_KVM_MACHINE_H

#include "lib/snapshot/state.h"
#include "vmm-kvm/board.h"
#include "vmm-kvm/kvm_gic.h"
#include "vmm-kvm/kvm_irq.h"
#include "vmm-kvm/kvm_vcpu.h"
#include "vmm-kvm/run_gate.h"

struct machine {
	int kvm_fd;
	unsigned ipa_bits;
	struct kvm_vm *vm;
	struct kvm_irq *irq;
	struct board *board; /* borrowed; NULL until assembled */
	struct kvm_vcpu **vcpus;
	uint64_t *affinities; /* of the vCPUs, once assembled */
	unsigned n_vcpus;
	struct kvm_gic gic;
	struct run_gate gate;
	struct kvm_vcpu_env env;
	/* Per vCPU, of those before the last rebuild. */
	struct kvm_vcpu_stats *ended;
};

/*
 * An empty virtual machine, to make a board for. `kvm_fd` is consumed, also on
 * failure; machine_done() is due in any case. `stopped` is kvm_vcpu.h's.
 */
int machine_init(struct machine *m, int kvm_fd, unsigned ipa_bits,
		 unsigned n_vcpus,
		 void (*stopped)(void *cookie, enum kvm_vcpu_stop why,
				 const char *detail),
		 void *cookie, struct error *e) must_check;
/* Ends threads and vCPUs; what the board borrowed (the interrupts) stays. */
void machine_end_vcpus(struct machine *m);
/* After machine_end_vcpus() and the board's end. */
void machine_done(struct machine *m);

/* What its CPUs and its interrupt controller are. Before a board is made for
 * it. */
void machine_choose(struct machine *m, const struct guest_abi *abi);

/* Memory, vCPUs, interrupt controller; with `boot`, device tree and where the
 * guest begins: else the guest goes on where machine_load() says. */
int machine_assemble(struct machine *m, struct board *board, bool boot,
		     struct error *e) must_check;
/* Makes the threads; the gate is closed. */
int machine_start(struct machine *m, struct error *e) must_check;

/* Let the guest run. */
void machine_open(struct machine *m);
/* Returns with every vCPU out of the guest and waiting. */
void machine_halt(struct machine *m);
/* After halt: everything as after power-on, threads waiting. */
int machine_rebuild(struct machine *m, struct error *e) must_check;

/* With the device lock held, any thread. */
int machine_set_mapped(struct machine *m, enum board_bank bank, bool mapped,
		       struct error *e) must_check;
/* Likewise: the page of registers that are read as memory (reg_page.h). */
int machine_set_page(struct machine *m, uint64_t gpa, void *page, bool mapped,
		     struct error *e) must_check;

/* Its vCPUs, exits and unanswered accesses, into `ret`. -ENOMEM. */
int machine_stats(struct machine *m, struct vm_stats *ret) must_check;

/*
 * For a snapshot (machine_state.c), halted. The two parts of a machine's state:
 * the interrupt controller's, after which memory may be saved and before which
 * it has to be loaded, and the CPUs'.
 */
int machine_save_gic(struct machine *m, struct state_out *out,
		     struct error *e) must_check;
int machine_save_cpus(struct machine *m, struct state_out *out,
		      struct error *e) must_check;
int machine_load_gic(struct machine *m, struct state_in *in,
		     struct error *e) must_check;
int machine_load_cpus(struct machine *m, struct state_in *in,
		      struct error *e) must_check;

#endif
