/*
 * How the machine tells its guest what it is, and where the guest begins: in
 * the firmware, with the device tree laid where that looks for it; or in a
 * Linux kernel that we loaded ourselves (boot_kernel.c).
 *
 * Sources: those of lib/fdt/fdt_nodes.h; EDK2's ArmVirtQemu for what the
 * firmware needs: the flash, pl011 and pcie nodes, chosen/stdout-path, memory,
 * psci, timer and GIC.
 * Thread: the loop thread, with no vCPU running.
 */
#ifndef VMM_KVM_BOOT_H
#define VMM_KVM_BOOT_H

#include "vmm-kvm/board.h"

/* What a device tree tells. */
struct boot_tree {
	const struct board_space *space;
	const struct guest_abi *abi;
	const uint64_t *affinities; /* MPIDR_EL1 of n_cpus */
	size_t n_cpus;
	bool flash;
	bool no_stdout;			  /* no console is named */
	unsigned n_mmio;		  /* devices on virtio over MMIO */
	const char *cmdline;		  /* or NULL */
	uint64_t initrd_gpa, initrd_size; /* size 0: none */
};

/*
 * The blob is malloc'ed and the caller's. It holds fresh seeds: one for every
 * boot.
 */
int boot_build_fdt(const struct boot_tree *tree, void **ret_blob,
		   size_t *ret_size, struct error *e) must_check;

/* Where the first CPU begins, and what it has in x0 to x3 (r0 to r3). */
struct boot_entry {
	uint64_t pc;
	uint64_t args[4];
};

/*
 * Fills the board's RAM for the first instruction, after every reset, for CPUs
 * with these affinity values.
 */
int boot_prepare(struct board *b, const uint64_t *affinities, size_t n_cpus,
		 struct boot_entry *ret, struct error *e) must_check;

/* boot_kernel.c: where a kernel, its initrd and its tree were put. */
struct boot_kernel {
	uint64_t gpa, fdt_gpa, initrd_gpa, initrd_size;
};

/* Loads kernel and initrd of the board into its RAM. */
int boot_kernel_load(struct board *b, struct boot_kernel *ret,
		     struct error *e) must_check;

#endif
