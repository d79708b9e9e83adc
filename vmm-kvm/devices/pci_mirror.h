/*
 * Configuration space as memory: what the guest reads of the lowest buses it
 * finds in a read-only memory slot, without an exit; its writes arrive at the
 * PCI host as ever. Linux and the firmware read some 10,000 registers of it in
 * a boot.
 *
 * A page is 4 KiB, one function. Of the root bus each function has a page of
 * its own, and of every other bus number the place of function 0, for there is
 * no more behind a port; all else is one stretch of all ones, mapped again and
 * again. Functions keep their registers in config[]; this only follows it.
 *
 * Invariant: as long as it is mapped, a read of memory gives what
 * pci_host_find() and pci_config_read() would answer.
 *
 * Where a register has to be computed when it is read (the data window of
 * VIRTIO 1.2, 4.1.4.9, once a guest has opened it) no memory can show it: then
 * the owner is asked to unmap, until the next reset.
 *
 * Thread: pci_mirror_new() and _free() with no vCPU running, all else with the
 * device lock held.
 */
#ifndef VMM_KVM_DEVICES_PCI_MIRROR_H
#define VMM_KVM_DEVICES_PCI_MIRROR_H

#include "vmm-kvm/devices/pci_host.h"

struct pci_mirror;

struct pci_mirror_params {
	struct pci_host *host; /* borrowed; all its root functions are there */
	unsigned n_buses;      /* shown: 1 to 256 */
	/* Show the memory to the guest, or have its reads come to the bus;
	 * starts as mapped. */
	void (*set_mapped)(void *cookie, bool mapped);
	void *cookie;
};

/* The host then keeps it up to date. -EOPNOTSUPP where pages are not of 4 KiB;
 * -EINVAL; -ENOMEM. */
int pci_mirror_new(const struct pci_mirror_params *params,
		   struct pci_mirror **ret, struct error *e) must_check;
/* Before the host; NULL is fine. */
struct pci_mirror *pci_mirror_free(struct pci_mirror *m);

/* Its n_buses * PCI_HOST_BUS_BYTES, of which nothing may be written. */
void *pci_mirror_memory(struct pci_mirror *m);

/* For the PCI host and its functions; `m` may be NULL. */

/* Registers of `d` changed. */
void pci_mirror_update(struct pci_mirror *m, const struct pci_dev *d);
/* What answers behind a bridge changed: bus numbers, power, what is there. */
void pci_mirror_walk(struct pci_mirror *m);
/* A register is to be computed from now on. */
void pci_mirror_trap(struct pci_mirror *m);
/* The machine is reset. */
void pci_mirror_reset(struct pci_mirror *m);

#endif
