/*
 * ARM PrimeCell GPIO (PL061, ARM DDI 0190): eight pins. Inputs are set by the
 * machine (a power key, say); what the guest drives on outputs goes nowhere
 * and is read back.
 *
 * Thread: every function with the device lock held.
 */
#ifndef VMM_KVM_DEVICES_PL061_H
#define VMM_KVM_DEVICES_PL061_H

#include "lib/snapshot/state.h"
#include "vmm-kvm/devices/bus.h"
#include "vmm-kvm/devices/irq.h"

#define PL061_PINS 8

struct pl061;

struct pl061_params {
	struct irq_line irq; /* copied */
};

int pl061_new(const struct pl061_params *params, struct pl061 **ret) must_check;
struct pl061 *pl061_free(struct pl061 *p);
DEFINE_CLEANUP(pl061_free, struct pl061 *)

/* Borrowed; the owner sets base and adds it to a bus. */
struct mmio_region *pl061_region(struct pl061 *p);

/* All registers to their reset values; input levels stay, they are outside. */
void pl061_reset(struct pl061 *p);

/* Whether the guest wants an interrupt from that pin: it has a driver for what
 * is connected there. */
bool pl061_watched(const struct pl061 *p, unsigned pin);

/* pin 0 to PL061_PINS-1; others are ignored. */
void pl061_set_input(struct pl061 *p, unsigned pin, bool level);

/* For a snapshot. A state that cannot be is refused (-EBADMSG), and nothing
 * changed. */
void pl061_save(const struct pl061 *p, struct state_out *out);
int pl061_load(struct pl061 *p, struct state_in *in,
	       struct error *e) must_check;

#endif
