/*
 * A PCI Express host bridge: the ECAM window (PCI Express Base 4.0, 7.2.2) in
 * front of a tree of functions, the windows in which BARs are decoded, and the
 * four interrupt wires.
 *
 * In the device tree this is "pci-host-ecam-generic": reg is the ECAM window,
 * bus-range 0..n_buses-1, ranges are the windows, mapped 1:1. There is no
 * function for the bridge itself, as that binding wants; give devices slots
 * from 1 up (devfn = PCI_DEVFN(slot, 0)) so that slot 0 stays free.
 *
 * interrupt-map: pin INTA..INTD (1..4) of slot s is wire (s + pin - 1) % 4.
 * msi-map: the requester id of a function is bus << 8 | devfn.
 *
 * Thread: see each function.
 */
#ifndef VMM_KVM_DEVICES_PCI_HOST_H
#define VMM_KVM_DEVICES_PCI_HOST_H

#include "vmm-kvm/devices/irq.h"
#include "vmm-kvm/devices/pci.h"

#define PCI_HOST_BUS_BYTES   MIB(1) /* of ECAM, per bus */
#define PCI_HOST_WINDOWS_MAX 4
#define PCI_HOST_WIRES	     4

struct pci_window {
	uint64_t base, size_bytes;
};

struct pci_host_params {
	struct bus *bus; /* borrowed, outlives the host */
	uint64_t ecam_base;
	unsigned n_buses; /* 1 to 256 */
	/* Memory a BAR may be placed in. A BAR outside all of them is not
	 * decoded; with no window none is. */
	struct pci_window windows[PCI_HOST_WINDOWS_MAX];
	size_t n_windows;
	/* Level triggered; the OR of all functions on a wire. */
	struct irq_line intx[PCI_HOST_WIRES];
};

/*
 * Adds the ECAM region to the bus. -EINVAL for bad parameters, -EEXIST when
 * the bus has something there already. Before the guest runs.
 */
int pci_host_new(const struct pci_host_params *params, struct pci_host **ret,
		 struct error *e) must_check;
/* After every function was removed, with no vCPU running. */
struct pci_host *pci_host_free(struct pci_host *h);
DEFINE_CLEANUP(pci_host_free, struct pci_host *)

/*
 * Put `d` (borrowed until removed) at devfn of the root bus, and its BARs on
 * the bus, disabled. -EBUSY when devfn is taken. With no vCPU running, or with
 * the device lock held; so is removing, after which no access of a vCPU
 * reaches `d` any more.
 */
int pci_host_add(struct pci_host *h, struct pci_dev *d, uint8_t devfn,
		 struct error *e) must_check;
/* The same on a bus behind a bridge of this host. */
int pci_host_add_behind(struct pci_host *h, struct pci_bus *bus,
			struct pci_dev *d, uint8_t devfn,
			struct error *e) must_check;
void pci_host_remove(struct pci_host *h, struct pci_dev *d);

/* Machine reset of every function. With the device lock held, loop thread or
 * any other, while no vCPU runs. */
void pci_host_reset(struct pci_host *h);

/*
 * The function that answers at bus:devfn now, or NULL. Buses behind bridges
 * are found by the bus numbers the guest gave them.
 */
struct pci_dev *pci_host_find(struct pci_host *h, uint8_t bus, uint8_t devfn);

/* For pci.c: the wires, the windows, the memory bus, the requester id. */
void pci_host_intx(struct pci_host *h, const struct pci_dev *d, bool level);
bool pci_host_decodes(const struct pci_host *h, uint64_t base,
		      uint64_t size_bytes);
struct bus *pci_host_bus(struct pci_host *h);
uint32_t pci_requester_id(const struct pci_dev *d);

/* Borrowed from its owner; NULL: reads come here. */
struct pci_mirror;
void pci_host_set_mirror(struct pci_host *h, struct pci_mirror *mirror);
struct pci_mirror *pci_host_mirror(const struct pci_host *h);

/* One bus of the tree; bridges embed one as their secondary. */
struct pci_bus {
	struct pci_dev *bridge; /* NULL: the root bus */
	bool dark;		/* no power or no link: nothing on it answers */
	struct pci_dev *devs[256];
};

#endif
