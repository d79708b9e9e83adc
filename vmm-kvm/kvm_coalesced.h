/*
 * Writes that KVM keeps back instead of leaving the guest for each: it puts
 * them into a ring of one page, one for all vCPUs of a machine, as long as
 * there is room.
 *
 * Source: the kernel's Documentation/virt/kvm/api.rst, 4.116 and 5;
 * virt/kvm/coalesced_mmio.c. AArch64 has it wherever it has KVM_MMIO.
 */
#ifndef VMM_KVM_KVM_COALESCED_H
#define VMM_KVM_KVM_COALESCED_H

#include "vmm-kvm/devices/bus.h"
#include "vmm-kvm/kvm_vm.h"

struct kvm_coalesced_mmio_ring;

/* The ring as one vCPU has it mapped. */
struct kvm_coalesced {
	struct kvm_coalesced_mmio_ring *ring; /* NULL: this host has none */
	unsigned n;			      /* entries it has room for */
};

/* Keep writes inside [gpa, gpa+size) back, or do so no more. Where KVM cannot,
 * nothing changes: they arrive at once. With the device lock held, any thread.
 */
void kvm_coalesced_zone(struct kvm_vm *vm, uint64_t gpa, uint64_t size,
			bool on);

/* `run` is a vCPU's area of `size` bytes, borrowed. */
struct kvm_coalesced kvm_coalesced_of(const struct kvm_vm *vm, void *run,
				      size_t size);
/* What was kept back goes to the bus, in order; before anything else of an
 * exit is looked at. Returns how many writes those were, and adds how many of
 * them nothing answered. A vCPU's thread, without the device lock. */
unsigned kvm_coalesced_drain(const struct kvm_coalesced *c, struct bus *bus,
			     unsigned *unanswered);

#endif
