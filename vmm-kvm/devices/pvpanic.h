/*
 * The pvpanic device on PCI, by which a guest's kernel tells that it panicked:
 * QEMU, docs/specs/pvpanic.txt (one byte: reading says which events are taken,
 * writing tells of some). Only the panic itself is taken: a guest that has a
 * crash kernel loaded helps itself.
 */
#ifndef VMM_KVM_DEVICES_PVPANIC_H
#define VMM_KVM_DEVICES_PVPANIC_H

#include "vmm-kvm/devices/pci_host.h"

struct pvpanic;

struct pvpanic_params {
	struct pci_host *host; /* borrowed */
	uint8_t devfn;
	/* A vCPU thread, with the device lock held. */
	void (*panicked)(void *cookie);
	void *cookie;
};

/* Loop thread, no vCPU running. */
int pvpanic_new(const struct pvpanic_params *params, struct pvpanic **ret,
		struct error *e) must_check;
/* Likewise, with the device lock held; NULL is fine. */
struct pvpanic *pvpanic_free(struct pvpanic *p);
DEFINE_CLEANUP(pvpanic_free, struct pvpanic *)

/* For a snapshot, with the device lock held; it is all configuration space. */
void pvpanic_save(const struct pvpanic *p, struct state_out *out);
int pvpanic_load(struct pvpanic *p, struct state_in *in,
		 struct error *e) must_check;

#endif
