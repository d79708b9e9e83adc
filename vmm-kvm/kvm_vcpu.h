/*
 * A virtual CPU and its thread.
 *
 * Life: new → (start → kick*)? → free. A thread runs the guest while the gate
 * lets it pass, hands MMIO exits to the bus, and reports through
 * `kvm_vcpu_env.stopped` when the guest asks for the machine to stop or KVM
 * cannot go on; then it closes the gate and waits there.
 *
 * Source: the kernel's Documentation/virt/kvm/api.rst, section 5.
 * Thread: the loop thread, but for the callback.
 */
#ifndef VMM_KVM_KVM_VCPU_H
#define VMM_KVM_KVM_VCPU_H

#include "lib/model/host_caps.h"
#include "lib/model/vm_stats.h"
#include "vmm-kvm/devices/bus.h"
#include "vmm-kvm/kvm_vm.h"
#include "vmm-kvm/run_gate.h"

enum kvm_vcpu_stop {
	KVM_VCPU_POWEROFF, /* PSCI SYSTEM_OFF */
	KVM_VCPU_RESET,	   /* PSCI SYSTEM_RESET */
	KVM_VCPU_CRASH,	   /* the guest says it crashed */
	KVM_VCPU_FATAL,	   /* KVM cannot go on */
};

/* What all vCPUs of a machine share; outlives them. */
struct kvm_vcpu_env {
	struct bus *bus;
	struct run_gate *gate;
	struct guest_abi abi;
	/* The lengths of SVE vectors, as KVM_REG_ARM64_SVE_VLS has them, when
	 * `vls_set`: of a machine that was saved. Else what the host has. */
	uint64_t vls[8];
	bool vls_set;
	/* On the vCPU's thread, gate already closed; `detail` is "" or a
	 * sentence, valid during the call. */
	void (*stopped)(void *cookie, enum kvm_vcpu_stop why,
			const char *detail);
	void *cookie;
};

struct kvm_vcpu_stats {
	struct vm_stats_vcpu vcpu;
	struct vm_stats_exits exits;
	uint64_t unanswered; /* accesses that no device claimed */
	uint64_t late_writes;
};

struct kvm_vcpu;

/* vCPU 0 starts when its thread does; others wait for PSCI CPU_ON. */
int kvm_vcpu_new(struct kvm_vm *vm, unsigned index,
		 const struct kvm_vcpu_env *env, struct kvm_vcpu **ret,
		 struct error *e) must_check;
/* Ends the thread, if there is one: the gate must be stopped. */
void kvm_vcpu_end(struct kvm_vcpu *c);
/* Likewise. */
struct kvm_vcpu *kvm_vcpu_free(struct kvm_vcpu *c);
DEFINE_CLEANUP(kvm_vcpu_free, struct kvm_vcpu *)

/* After the interrupt controller was made, for each vCPU. pvtime_gpa is where
 * the records of stolen time of all of them begin. Before start. */
int kvm_vcpu_finish(struct kvm_vcpu *c, uint32_t pmu_ppi, uint64_t pvtime_gpa,
		    struct error *e) must_check;
/* The affinity by which PSCI and the GIC know it. Before start. */
int kvm_vcpu_affinity(struct kvm_vcpu *c, uint64_t *ret,
		      struct error *e) must_check;
/* Where vCPU 0 begins, with its MMU off and args in x0 to x3. Before start. */
int kvm_vcpu_set_entry(struct kvm_vcpu *c, uint64_t pc, const uint64_t args[4],
		       struct error *e) must_check;

int kvm_vcpu_start(struct kvm_vcpu *c, struct error *e) must_check;
/* Makes the thread leave the guest and look at the gate. After
 * run_gate_set(). */
void kvm_vcpu_kick(struct kvm_vcpu *c);

/* What of its last exit KVM has yet to do (the result of an access, and the
 * program counter past it) is done. While it waits at the gate, closed. */
int kvm_vcpu_settle(struct kvm_vcpu *c, struct error *e) must_check;
/* For kvm_vcpu_state.c; borrowed. */
int kvm_vcpu_fd(const struct kvm_vcpu *c);
/* Which SVE vectors it has; zeroes without SVE. */
int kvm_vcpu_vls(struct kvm_vcpu *c, uint64_t ret[8],
		 struct error *e) must_check;

/* Adds this vCPU's counts. Any time. */
void kvm_vcpu_stats_add(struct kvm_vcpu *c, struct kvm_vcpu_stats *sum);

/* Installs the handler of the signal by which threads are kicked. Once per
 * process, before the first start; the caller's own signals stay as they
 * are. */
int kvm_vcpu_signal_init(struct error *e) must_check;

#endif
