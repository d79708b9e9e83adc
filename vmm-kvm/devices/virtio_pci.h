/*
 * virtio over PCI, modern only: VIRTIO 1.2, 4.1.
 *
 * BAR 0 holds the common, ISR, device and notification structures, BAR 2 the
 * MSI-X table. A driver's notification reaches the loop thread through one
 * eventfd per queue: directly from the kernel while a doorbell is registered
 * (device running, BAR decoded), else by way of a trapped write. Without
 * MSI-X, and for pci=nomsi, the ISR and pin INTA serve.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_PCI_H
#define VMM_KVM_DEVICES_VIRTIO_PCI_H

#include <uv.h>

#include "vmm-kvm/devices/guest_mem.h"
#include "vmm-kvm/devices/irq.h"
#include "vmm-kvm/devices/pci_host.h"
#include "vmm-kvm/devices/reg_page.h"
#include "vmm-kvm/devices/virtio.h"

struct virtio_pci;

/* All borrowed, and outliving the device, but for `device`. */
struct virtio_pci_params {
	struct pci_host *host;
	struct pci_bus *behind;	   /* of a port; NULL: the root bus */
	uint8_t devfn;		   /* PCI_DEVFN(slot, 0) */
	struct virtio_dev *device; /* consumed, also on failure */
	const struct guest_mem *mem;
	struct bus *bus;
	uv_loop_t *loop;
	const struct msi_sink *msi;
	const struct doorbell_sink *doorbells; /* NULL: every kick traps */
	struct reg_page *reg_page; /* NULL: registers are read by exits */
	/* The driver wrote the device status, or it was reset; with the lock
	 * held, on any thread. Optional. */
	void (*status_changed)(void *cookie);
	void *cookie;
};

/* Loop thread, lock not held. vCPUs may run when `behind` is dark. */
int virtio_pci_new(const struct virtio_pci_params *params,
		   struct virtio_pci **ret, struct error *e) must_check;
/*
 * Takes the function off the bus, then waits for I/O under way. Loop thread,
 * lock not held; vCPUs may run. Memory goes once the loop has run again (uv
 * handles close there).
 */
struct virtio_pci *virtio_pci_free(struct virtio_pci *v);
DEFINE_CLEANUP(virtio_pci_free, struct virtio_pci *)

/* A driver has it in use (DRIVER_OK). With the device lock held. */
bool virtio_pci_live(const struct virtio_pci *v);

/* From now on requests fail instead of reaching the host; see struct
 * virtio_dev. With the device lock held. */
void virtio_pci_doom(struct virtio_pci *v);

/* For a snapshot: of the function with its device (virtio_pci_state.c).
 * Loading: see msix_load(). With the device lock held. */
void virtio_pci_hold(struct virtio_pci *v, bool held);
/* Why it cannot be part of one, as the end of a sentence; NULL: it can. */
const char *virtio_pci_no_snapshot(const struct virtio_pci *v);
void virtio_pci_save(const struct virtio_pci *v, struct state_out *out);
int virtio_pci_load(struct virtio_pci *v, struct state_in *in,
		    struct error *e) must_check;

/* Machine reset of this function alone, with the device lock held;
 * pci_host_reset() includes it. */
void virtio_pci_reset(struct virtio_pci *v);

#endif
