/*
 * One KVM virtual machine: its descriptor and its memory slots.
 *
 * Source: the kernel's Documentation/virt/kvm/api.rst.
 * Thread: creation and freeing on the loop thread; kvm_vm_map and
 * kvm_vm_unmap from any, one at a time (they are called with the device lock
 * held, or while no vCPU exists).
 */
#ifndef VMM_KVM_KVM_VM_H
#define VMM_KVM_KVM_VM_H

#include <stdbool.h>

#include "lib/base/error.h"

/*
 * What a host must offer for any of our machines. `kvm_fd` is an open
 * /dev/kvm, borrowed. *ret_ipa_bits is the widest guest physical address it
 * can give. -EOPNOTSUPP names what is missing.
 */
int kvm_check_host(int kvm_fd, unsigned *ret_ipa_bits,
		   struct error *e) must_check;

struct kvm_vm {
	int kvm_fd; /* borrowed */
	int fd;
};

/* A machine without memory or CPUs, with addresses of `ipa_bits`. */
int kvm_vm_new(int kvm_fd, unsigned ipa_bits, struct kvm_vm **ret,
	       struct error *e) must_check;
/* After its vCPUs and its interrupt controller. */
struct kvm_vm *kvm_vm_free(struct kvm_vm *vm);
DEFINE_CLEANUP(kvm_vm_free, struct kvm_vm *)

#define KVM_VM_SLOTS 16

/* Guest memory backed by ours. A guest's write to a read-only slot becomes an
 * MMIO exit. */
struct kvm_memory {
	const char *name;	  /* for errors */
	unsigned slot;		  /* the caller's, below KVM_VM_SLOTS */
	uint64_t gpa, size_bytes; /* multiples of the host's page */
	void *hva;		  /* borrowed while mapped */
	bool readonly;
};

int kvm_vm_map(struct kvm_vm *vm, const struct kvm_memory *m,
	       struct error *e) must_check;
/* Accesses become MMIO exits again. */
int kvm_vm_unmap(struct kvm_vm *vm, const struct kvm_memory *m,
		 struct error *e) must_check;

/*
 * The tags (MTE) of guest memory, a byte for each 16 of memory; `gpa` and
 * `size` are multiples of the host's page. Reading them takes memory that was
 * never touched. Any thread, no vCPU running.
 */
int kvm_vm_get_tags(struct kvm_vm *vm, uint64_t gpa, uint64_t size,
		    uint8_t *ret_tags, struct error *e) must_check;
int kvm_vm_set_tags(struct kvm_vm *vm, uint64_t gpa, uint64_t size,
		    const uint8_t *tags, struct error *e) must_check;

#endif
