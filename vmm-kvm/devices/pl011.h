/*
 * ARM PrimeCell UART (PL011 r1p5, ARM DDI 0183) before a chardev.
 *
 * Output is on its way the moment it is written: the transmit FIFO is always
 * empty. The line has no speed, and the divisors, parity and modem lines
 * change nothing (CTS, DSR and DCD read as asserted). Output is taken even
 * from a UART that was not enabled, since early consoles rely on firmware
 * for that; input waits in the chardev until the guest enables reception.
 *
 * Thread: pl011_new and pl011_free on the loop thread, not with the device
 * lock held; the rest with it.
 */
#ifndef VMM_KVM_DEVICES_PL011_H
#define VMM_KVM_DEVICES_PL011_H

#include "lib/host/chardev.h"
#include "lib/snapshot/state.h"
#include "vmm-kvm/devices/bus.h"
#include "vmm-kvm/devices/irq.h"

struct pl011;

struct pl011_params {
	struct chardev *chardev; /* borrowed; the UART is its guest */
	struct bus *bus;	 /* borrowed; its lock is taken for input */
	struct irq_line irq;	 /* copied */
};

int pl011_new(const struct pl011_params *params, struct pl011 **ret) must_check;
struct pl011 *pl011_free(struct pl011 *u);
DEFINE_CLEANUP(pl011_free, struct pl011 *)

/* Borrowed; the owner sets base and adds it to a bus. */
struct mmio_region *pl011_region(struct pl011 *u);
void pl011_reset(struct pl011 *u);

/* For a snapshot. A state that cannot be is refused (-EBADMSG), and nothing
 * changed. */
void pl011_save(const struct pl011 *u, struct state_out *out);
int pl011_load(struct pl011 *u, struct state_in *in,
	       struct error *e) must_check;

#endif
