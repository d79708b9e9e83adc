/*
 * ARM PrimeCell real time clock (PL031, ARM DDI 0224): counts seconds of the
 * host's wall clock, shifted by what the guest set, and raises an alarm.
 *
 * The shift survives a reset, as a battery-backed clock would; it does not
 * survive the machine.
 *
 * Thread: pl031_new and pl031_free on the loop thread; the rest with the
 * device lock held.
 */
#ifndef VMM_KVM_DEVICES_PL031_H
#define VMM_KVM_DEVICES_PL031_H

#include <uv.h>

#include "lib/snapshot/state.h"
#include "vmm-kvm/devices/bus.h"
#include "vmm-kvm/devices/irq.h"

struct pl031;

struct pl031_params {
	uv_loop_t *loop;     /* borrowed; where the alarm's timer runs */
	struct bus *bus;     /* borrowed; its lock is taken when it fires */
	struct irq_line irq; /* copied */
	/* Seconds since 1970 UTC; NULL for the host's clock. */
	int64_t (*now)(void *cookie);
	void *cookie;
};

int pl031_new(const struct pl031_params *params, struct pl031 **ret) must_check;
/* Its memory goes once the loop has run a turn more (closing handles). Not
 * with the device lock held. */
struct pl031 *pl031_free(struct pl031 *p);
DEFINE_CLEANUP(pl031_free, struct pl031 *)

/* Borrowed; the owner sets base and adds it to a bus. */
struct mmio_region *pl031_region(struct pl031 *p);
void pl031_reset(struct pl031 *p);

/* For a snapshot. A state that cannot be is refused (-EBADMSG), and nothing
 * changed. */
void pl031_save(const struct pl031 *p, struct state_out *out);
int pl031_load(struct pl031 *p, struct state_in *in,
	       struct error *e) must_check;

#endif
