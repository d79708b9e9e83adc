/*
 * A GICv2m MSI frame: messages become SPIs of a GICv2, which has no ITS. The
 * guest reads which SPIs are the frame's and gives their numbers, as data, and
 * the address of MSI_SETSPI to its devices; a write there raises the SPI.
 *
 * Our devices do not write: vmm-kvm turns the message they were given into a
 * route (kvm_irq.h). Only a CPU's own write arrives at the registers.
 *
 * Source: ARM Server Base System Architecture (DEN0029), appendix E.
 * Thread: with the device lock held.
 */
#ifndef VMM_KVM_DEVICES_GICV2M_H
#define VMM_KVM_DEVICES_GICV2M_H

#include "vmm-kvm/devices/bus.h"
#include "vmm-kvm/devices/irq.h"

#define GICV2M_SIZE   KIB(4)
#define GICV2M_SETSPI 0x40

struct gicv2m;

struct gicv2m_params {
	struct irq_line line; /* copied; its intid is not looked at */
	uint32_t first_intid, n_intids;
};

int gicv2m_new(const struct gicv2m_params *params,
	       struct gicv2m **ret) must_check;
struct gicv2m *gicv2m_free(struct gicv2m *g);
DEFINE_CLEANUP(gicv2m_free, struct gicv2m *)

/* Borrowed; the owner sets base and adds it to a bus. */
struct mmio_region *gicv2m_region(struct gicv2m *g);

#endif
