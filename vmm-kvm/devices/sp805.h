/*
 * ARM SP805 watchdog: DDI 0270, registers in section 3.2. It counts down at
 * SP805_CLOCK_HZ; reaching 0 first raises its interrupt, and reaching 0 again
 * with that not cleared is told to the owner, in the place of its reset line.
 *
 * Time passes only while the machine runs: see sp805_hold().
 */
#ifndef VMM_KVM_DEVICES_SP805_H
#define VMM_KVM_DEVICES_SP805_H

#include <uv.h>

#include "lib/snapshot/state.h"
#include "vmm-kvm/devices/bus.h"
#include "vmm-kvm/devices/irq.h"

struct sp805;

struct sp805_params {
	uv_loop_t *loop;     /* borrowed; where its timer runs */
	struct bus *bus;     /* borrowed; its lock is taken when it fires */
	struct irq_line irq; /* copied */
	uint32_t clock_hz;
	/* The guest did not come in time. Loop thread, device lock held. */
	void (*expired)(void *cookie);
	void *cookie;
};

int sp805_new(const struct sp805_params *params, struct sp805 **ret) must_check;
/* Its memory goes once the loop has run a turn more (closing handles). Not
 * with the device lock held. */
struct sp805 *sp805_free(struct sp805 *w);
DEFINE_CLEANUP(sp805_free, struct sp805 *)

/* Borrowed; the owner sets base and adds it to a bus. */
struct mmio_region *sp805_region(struct sp805 *w);
/* With the device lock held. */
void sp805_reset(struct sp805 *w);

/* The machine stands still, or goes on: then a whole period begins anew, for a
 * guest that was held is not late. Loop thread, device lock held. */
void sp805_hold(struct sp805 *w, bool held);

/* For a snapshot. A state that cannot be is refused (-EBADMSG), and nothing
 * changed. */
void sp805_save(const struct sp805 *w, struct state_out *out);
int sp805_load(struct sp805 *w, struct state_in *in,
	       struct error *e) must_check;

#endif
