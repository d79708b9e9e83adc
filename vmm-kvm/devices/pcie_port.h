/*
 * A PCI Express root port with one hot-pluggable slot behind it (PCI Express
 * Base 4.0, 6.7 and 7.5.3): attention button, power controller, both
 * indicators, surprise removal, data link layer reporting. Native hotplug:
 * the operating system needs neither ACPI nor firmware for it.
 *
 * The slot has power while its operating system gives it (or, after a reset,
 * when something is in it); the link is up while something is in it, it has
 * power and the link is not disabled. Without link nothing behind the port
 * answers, and what is there is reset when it goes down.
 *
 *   inserted → the button event and "presence changed" → the guest switches
 *   power on → the link is up → the guest configures the device
 *   button pressed → the guest blinks for 5 s (a second press cancels), lets
 *   go of the device, switches power off: that is the release
 *   leaving → presence and link change at once: a surprise to the guest.
 *   What was in the slot answers on until the guest has switched power off, so
 *   that its driver is not left waiting, or until it is ejected
 *
 * Thread: pcie_port_new and _free with no vCPU running, or with the device
 * lock held; everything else with the device lock held.
 */
#ifndef VMM_KVM_DEVICES_PCIE_PORT_H
#define VMM_KVM_DEVICES_PCIE_PORT_H

#include "vmm-kvm/devices/irq.h"
#include "vmm-kvm/devices/pci_host.h"

struct pcie_port;

struct pcie_port_params {
	struct pci_host *host; /* borrowed, outlives the port */
	uint8_t devfn;
	bool multifunction; /* its device has more functions than 0 */
	uint16_t slot;	    /* physical slot number, 1 to 8191 */
	const struct msi_sink *msi;
	/* The guest wrote to the slot's registers; with the device lock held,
	 * on any thread. Optional. */
	void (*changed)(void *cookie);
	void *cookie;
};

int pcie_port_new(const struct pcie_port_params *params, struct pcie_port **ret,
		  struct error *e) must_check;
/* After what is behind it was removed. NULL is fine. */
struct pcie_port *pcie_port_free(struct pcie_port *p);
DEFINE_CLEANUP(pcie_port_free, struct pcie_port *)

/* The bus behind the port, for one function at devfn 0. */
struct pci_bus *pcie_port_bus(struct pcie_port *p);

/*
 * There is something in the slot now; add it to the bus first. `cold`: it was
 * there at power-on, so the slot has power and nobody needs to be told.
 */
void pcie_port_insert(struct pcie_port *p, bool cold);
/* The guest is to believe that the slot is empty, while it is not yet. */
void pcie_port_leave(struct pcie_port *p);
/* The slot is empty now; remove what was in it from the bus first. */
void pcie_port_eject(struct pcie_port *p);
void pcie_port_press_button(struct pcie_port *p);
/*
 * Undo a press that was not followed: take it back when the guest has not
 * noticed it, or press again while it blinks. False when it is past that.
 */
bool pcie_port_cancel_press(struct pcie_port *p);

bool pcie_port_powered(const struct pcie_port *p);
/* A hotplug driver has asked to be told of the button. */
bool pcie_port_listened(const struct pcie_port *p);
/* The last press was not acknowledged yet. */
bool pcie_port_unnoticed(const struct pcie_port *p);
/* The guest has acknowledged that what was there has left. */
bool pcie_port_departure_seen(const struct pcie_port *p);
/* The guest blinks the power indicator: it is in between. */
bool pcie_port_blinking(const struct pcie_port *p);
/* PCI bus number behind the port, as the guest gave it; 0: none yet. */
uint8_t pcie_port_bus_number(const struct pcie_port *p);

/*
 * For a snapshot; no operation is under way. Loading: with in the slot what was
 * in it then (-EBADMSG otherwise), and before what is behind the port.
 */
void pcie_port_save(const struct pcie_port *p, struct state_out *out);
int pcie_port_load(struct pcie_port *p, struct state_in *in,
		   struct error *e) must_check;

#endif
