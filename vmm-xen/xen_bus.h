/*
 * The paravirtual devices of one VM: disks (vbd) and network interfaces (vif),
 * served by dom0's kernel. What both ends have to know stands in xenstore and
 * is written here, all of a device in one transaction, with what libxl keeps
 * of its own devices, so that xl shows them and destroys them with the domain.
 * No hotplug script runs.
 *
 *   attach: requested → offered       the backend waits for the guest
 *                     → acknowledged  the guest's driver made its ring
 *                     → active        both ends are connected
 *   detach: releasing → released      the backend is gone, its file closed
 *
 * Invariants:
 *  1. A device's host part (loop device) is there from add to removal, also
 *     while there is no domain: a guest that reboots, which is another domain,
 *     gets the same ones.
 *  2. Nodes of a device are all there or none.
 *  3. What the guest writes decides about nothing but its own device: states
 *     are numbers from 1 to 8 or unknown, and no step is waited for without an
 *     end: give_up() takes an attach back, withdraws a detach.
 *
 * Thread: the loop thread. Calls wait for xenstored, no longer.
 */
#ifndef VMM_XEN_XEN_BUS_H
#define VMM_XEN_XEN_BUS_H

#include "lib/model/vm_stats.h"
#include "lib/vmm/vmm.h"

struct xen_bus;

struct xen_bus_events {
	/* A step of an attach or detach under way, each once and in order.
	 * VM_DEVICE_FAILED ends an attach that the backend refused: it is gone
	 * again, and `detail` says why. Both are borrowed. Not from within
	 * calls below, but for VM_DEVICE_RELEASING. */
	void (*device)(void *cookie, const struct vmm_device_status *status,
		       const char *detail);
	/* The connection to xenstored is lost, for good; once. */
	void (*lost)(void *cookie);
};

/* -ENODEV: no xenstored. `events` and `cookie` are borrowed. */
int xen_bus_new(uv_loop_t *loop, const struct xen_bus_events *events,
		void *cookie, struct xen_bus **ret, struct error *e) must_check;
/* Forget everything, touch nothing: what is connected goes on. NULL is fine. */
struct xen_bus *xen_bus_free(struct xen_bus *bus);

/*
 * A new device, as vmm_ops.attach has it: its descriptors are consumed, also
 * on failure, and the definition is borrowed during the call. With a domain
 * connected the guest is offered it, and events follow; else connecting does
 * that. -EOPNOTSUPP: a network interface without a bridge, for one.
 */
int xen_bus_add(struct xen_bus *bus, const struct vmm_device *device,
		uint32_t *ret_slot, struct error *e) must_check;

/*
 * Offer all devices to a domain, which was built and has not run; there must
 * be none so far. Steps of these devices are not told. On failure it has none.
 */
int xen_bus_connect(struct xen_bus *bus, uint32_t domid,
		    struct error *e) must_check;
/*
 * The domain is about to go, or gone: take all its devices' nodes away, and
 * wait for the backends to end (2 s at most). The devices stay, for the next
 * domain, and an attach under way goes on with that; a detach ends as released.
 */
void xen_bus_disconnect(struct xen_bus *bus);
/*
 * Take over a domain's devices as they are found in xenstore; there must be
 * none so far. A detach under way goes on, and its end is told.
 */
int xen_bus_adopt(struct xen_bus *bus, uint32_t domid,
		  struct error *e) must_check;

/* xenstored has ended: what is connected goes on as it is, and nothing comes or
 * goes any more; what is under way is given up when its time is up. */
void xen_bus_lose(struct xen_bus *bus);

/* Of devices that were found, take those away that nobody knows. Not told. */
void xen_bus_keep(struct xen_bus *bus,
		  bool (*known)(void *cookie, const char *id), void *cookie);

/* As the operations of vmm_ops of the same names. */
int xen_bus_detach(struct xen_bus *bus, const char *id, bool force,
		   struct error *e) must_check;
void xen_bus_give_up(struct xen_bus *bus, const char *id, struct error *why);
int xen_bus_device_status(struct xen_bus *bus, const char *id,
			  struct vmm_device_status *ret) must_check;
/* A backend notices with the guest's next request. */
int xen_bus_resize(struct xen_bus *bus, const char *id,
		   struct error *e) must_check;
/* dom0's end goes down; a guest has no carrier to see that by. */
int xen_bus_set_link(struct xen_bus *bus, const char *id, bool up,
		     struct error *e) must_check;
/* Adds disks and NICs. -ENOMEM. */
int xen_bus_stats(struct xen_bus *bus, struct vm_stats *ret,
		  struct error *e) must_check;

#endif
