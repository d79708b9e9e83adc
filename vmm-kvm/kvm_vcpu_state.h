/*
 * A vCPU in a snapshot: every register KVM lists (KVM_GET_REG_LIST: core,
 * system, timers, firmware's pseudo registers, SVE), pending exceptions, and
 * whether it is on.
 *
 * The virtual counter is one of the registers, so virtual time goes on where it
 * stood. What identifies the CPU is among them, too: KVM does not let those be
 * changed, so a host with another CPU is found out here, and refused by name.
 *
 * Source: the kernel's Documentation/virt/kvm/api.rst, 4.68 and following.
 * Thread: the loop thread, the vCPU's own thread waiting at its gate or not
 * made yet.
 */
#ifndef VMM_KVM_KVM_VCPU_STATE_H
#define VMM_KVM_KVM_VCPU_STATE_H

#include "lib/snapshot/state.h"
#include "vmm-kvm/kvm_vcpu.h"

int kvm_vcpu_save(struct kvm_vcpu *c, struct state_out *out,
		  struct error *e) must_check;
/* -EOPNOTSUPP: this host cannot give the guest that CPU; says what differs. */
int kvm_vcpu_load(struct kvm_vcpu *c, struct state_in *in,
		  struct error *e) must_check;

#endif
