/*
 * How the machine tells its guest what it is: the device tree, laid where the
 * stock firmware looks for it.
 *
 * Sources: those of lib/fdt/fdt_nodes.h; EDK2's ArmVirtQemu for what the
 * firmware needs: the flash, pl011 and pcie nodes, chosen/stdout-path, memory,
 * psci, timer and GIC.
 * Thread: the loop thread, with no vCPU running.
 */
#ifndef VMM_KVM_BOOT_H
#define VMM_KVM_BOOT_H

#include "vmm-kvm/board.h"

/*
 * A tree for `n_cpus` with these affinity values (MPIDR_EL1). The blob is
 * malloc'ed and the caller's. It holds fresh seeds: one for every boot.
 */
int boot_build_fdt(const struct board_space *space, const uint64_t *affinities,
		   size_t n_cpus, void **ret_blob, size_t *ret_size,
		   struct error *e) must_check;

/* The same into the board's RAM: after every reset. */
int boot_write_fdt(struct board *b, const uint64_t *affinities, size_t n_cpus,
		   struct error *e) must_check;

#endif
