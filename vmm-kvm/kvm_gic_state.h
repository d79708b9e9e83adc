/*
 * The interrupt controller in a snapshot. On a GICv3 part of its state is in
 * guest memory, in tables the guest gave it (pending LPIs, the ITS's): saving
 * has KVM write those first, so memory is saved afterwards; loading reads them,
 * so memory is loaded before, as are the vCPUs' affinities by their creation.
 *
 * Source: the kernel's Documentation/virt/kvm/devices/arm-vgic-v3.rst,
 * arm-vgic-its.rst ("ITS Restore Sequence") and arm-vgic.rst; registers in the
 * GIC architecture, IHI 0069 and IHI 0048B.
 * Thread: the loop thread, with no vCPU in KVM_RUN.
 */
#ifndef VMM_KVM_KVM_GIC_STATE_H
#define VMM_KVM_KVM_GIC_STATE_H

#include "lib/snapshot/state.h"
#include "vmm-kvm/kvm_gic.h"

/* The vCPUs' affinities, in order. */
struct kvm_gic_cpus {
	const uint64_t *affinities;
	unsigned n;
};

int kvm_gic_save(const struct kvm_gic *gic, const struct kvm_gic_cpus *cpus,
		 struct state_out *out, struct error *e) must_check;
int kvm_gic_load(const struct kvm_gic *gic, const struct kvm_gic_cpus *cpus,
		 struct state_in *in, struct error *e) must_check;

#endif
