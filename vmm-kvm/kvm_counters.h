/*
 * What KVM counts of a vCPU itself (its binary statistics, since Linux 5.14):
 * exits it handled without user space, by their reason.
 *
 * Source: the kernel's Documentation/virt/kvm/api.rst, 4.133. Asking for the
 * descriptor waits while the vCPU is in the guest, reading from it does not.
 */
#ifndef VMM_KVM_KVM_COUNTERS_H
#define VMM_KVM_KVM_COUNTERS_H

#include "lib/model/vm_stats.h"

#define KVM_COUNTERS 7

struct kvm_counters {
	int fd; /* -1: the kernel does not tell */
	/* Where each is in the file; 0: the kernel has no such counter. */
	uint64_t at[KVM_COUNTERS];
};

/* Before the vCPU runs. */
void kvm_counters_open(struct kvm_counters *c, int vcpu_fd);
void kvm_counters_close(struct kvm_counters *c);
/* Adds what was counted to *sum. Any thread. */
void kvm_counters_add(const struct kvm_counters *c, struct vm_stats_vcpu *sum);

#endif
