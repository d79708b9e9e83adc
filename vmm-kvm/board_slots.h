/*
 * The slots of a board: PCI Express ports, each with at most one disk or
 * network interface, that devices are plugged into before the machine starts
 * and while it runs.
 *
 * Slot N is port N-1 from PCI device BOARD_PCI_PORTS_FIRST on, eight functions
 * to a device, so that a device keeps its place whatever else comes and goes.
 *
 * An operation is under way on a slot from attach or detach until the guest
 * has followed, or it is given up. The guest's steps are seen in its writes to
 * the port and to the device's status: board_params.slots_changed asks, from
 * whichever thread, for a board_slots_poll() on the loop.
 *
 * Thread: the loop thread, lock not held; vCPUs may run.
 */
#ifndef VMM_KVM_BOARD_SLOTS_H
#define VMM_KVM_BOARD_SLOTS_H

#include "vmm-kvm/board.h"

/* Look how far the guest is; what it did since the last time is told through
 * board_params.device_event. */
void board_slots_poll(struct board *b);

/* As the operations of struct vmm_ops. */
int board_attach(struct board *b, const struct vmm_device *device,
		 uint32_t *ret_slot, struct error *e) must_check;
int board_detach(struct board *b, const char *id, bool force,
		 struct error *e) must_check;
void board_give_up(struct board *b, const char *id, struct error *why);
int board_device_status(struct board *b, const char *id,
			struct vmm_device_status *ret) must_check;

#endif
