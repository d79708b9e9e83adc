/*
 * What board.c, board_pci.c and boot.c share: the parts of a board.
 */
#ifndef VMM_KVM_BOARD_INTERNAL_H
#define VMM_KVM_BOARD_INTERNAL_H

#include "vmm-kvm/board.h"
#include "vmm-kvm/board_layout.h"
#include "vmm-kvm/board_slots.h"
#include "vmm-kvm/devices/cfi_flash.h"
#include "vmm-kvm/devices/fw_cfg.h"
#include "vmm-kvm/devices/gicv2m.h"
#include "vmm-kvm/devices/pci_mirror.h"
#include "vmm-kvm/devices/pcie_port.h"
#include "vmm-kvm/devices/pl011.h"
#include "vmm-kvm/devices/pl031.h"
#include "vmm-kvm/devices/pl061.h"
#include "vmm-kvm/devices/pvpanic.h"
#include "vmm-kvm/devices/sp805.h"
#include "vmm-kvm/devices/virtio_balloon.h"
#include "vmm-kvm/devices/virtio_mmio.h"
#include "vmm-kvm/devices/virtio_pci.h"

#define BOARD_FUNCTIONS_MAX (BOARD_PCI_PORTS_FIRST - BOARD_PCI_SLOT_FIRST)

/* What is under way on a slot. */
enum board_slot_op {
	BOARD_SLOT_IDLE,
	BOARD_SLOT_ATTACH, /* offered to the guest */
	BOARD_SLOT_DETACH, /* the guest was asked */
	BOARD_SLOT_TAKE,   /* the guest was told */
};

struct board_nic; /* in board_nic.c */

/* A disk or network interface; borrowed from the transport that owns it. What
 * is built in and stands on MMIO is one without an id. */
struct board_device {
	enum vm_device_kind kind;
	char id[VM_DEVICE_ID_MAX + 1];
	struct virtio_dev *virtio;
	struct blockdev *blockdev; /* of a disk; the device's own */
};

struct board_slot {
	struct pcie_port *port;
	struct virtio_pci *function; /* NULL: the slot is empty */
	struct board_device device;  /* then zeroed */
	enum board_slot_op op;
	enum vm_device_state told; /* the last step of an attach */
	bool pressed;		   /* a detach: the button was */
	unsigned ticks;		   /* since it began to be taken */
	uint64_t emptied_ns;	   /* of uv_hrtime(); 0: never filled */
};

#define BOARD_TAKE_TICK_MS 100

struct board {
	struct board_space space;
	struct guest_abi abi;
	struct board_memory memory;
	struct guest_mem guest_mem;
	struct bus *bus;
	struct cfi_flash *flash_code, *flash_vars;
	struct pl011 *pl011;
	struct pl031 *pl031;
	struct pl061 *pl061;
	struct fw_cfg *fw_cfg;
	struct gicv2m *gicv2m; /* NULL on a GICv3 */
	struct sp805 *sp805;
	struct pvpanic *pvpanic;
	struct pci_host *pci;
	struct pci_mirror *pci_mirror; /* NULL: not on this host */
	struct reg_page *reg_page;     /* likewise */
	struct virtio_pci *functions[BOARD_FUNCTIONS_MAX];
	unsigned n_functions;
	struct virtio_mmio *mmio[BOARD_VIRTIO_MMIO_MAX];
	struct board_device mmio_devices[BOARD_VIRTIO_MMIO_MAX];
	unsigned n_mmio;
	struct board_slot *slots; /* slots[0] is slot 1 */
	unsigned n_slots;
	struct board_nic *nics;
	uv_timer_t slots_timer;			  /* while one is taken */
	unsigned take_tick_ms;			  /* its period */
	struct virtio_pci_params function_params; /* the same for all */
	unsigned open_timers; /* the closing of the last frees the board */
	const struct vm_config *config; /* borrowed */
	int kernel_fd, initrd_fd;	/* borrowed; -1 for none */
	uv_timer_t power_timer;
	struct board_filesystem *filesystems[VM_FILESYSTEMS_MAX];
	size_t n_filesystems;
	struct virtio_dev *vsock;   /* likewise; NULL: none */
	struct virtio_dev *balloon; /* borrowed from its function */
	/* Of board_params. */
	void (*set_mapped)(void *cookie, enum board_bank bank, bool mapped);
	void (*commit)(void *cookie, uint64_t offset, uint64_t size);
	void (*io_error)(void *cookie, const char *what, bool held);
	void (*note)(void *cookie, enum board_note note, uint64_t value);
	void (*device_failed)(void *cookie, const char *why);
	void (*filesystem_lost)(void *cookie, size_t index, const char *why);
	void (*slots_changed)(void *cookie);
	void (*device_event)(void *cookie,
			     const struct vmm_device_status *status);
	void (*nic_failed)(void *cookie, const char *id, const char *why);
	void *cookie;
};

static inline struct irq_line board_line(const struct board_params *p,
					 uint32_t intid)
{
	struct irq_line line = p->line;

	line.intid = intid;
	return line;
}

/* Devices on virtio over MMIO. device->virtio is consumed. */
int board_add_mmio(struct board *b, const struct board_params *p,
		   const struct board_device *device,
		   struct error *e) must_check;
void board_reset_mmio(struct board *b); /* with the device lock held */
void board_free_mmio(struct board *b);

_Static_assert(VM_DISKS_MAX + VM_NICS_MAX +
			       sizeof(struct vm_buses) / sizeof(int) +
			       VM_FILESYSTEMS_MAX <=
		       BOARD_VIRTIO_MMIO_MAX,
	       "all may be on MMIO");
_Static_assert(BOARD_SPI_VIRTIO_MMIO + BOARD_VIRTIO_MMIO_MAX <= BOARD_GIC_IRQS,
	       "each has a line");

/* What the definition offers the drivers of all devices of ours. */
void board_offer(const struct board *b, struct virtio_dev *device);
/* Builds a device (consumed) into the root bus, or beside it: `bus` is an enum
 * vm_device_bus. */
int board_build_in(struct board *b, const struct board_params *p, int bus,
		   struct virtio_dev *device, struct error *e) must_check;

/* board_filesystem.c */
int board_add_filesystems(struct board *b, const struct board_params *p,
			  struct error *e) must_check;
void board_free_filesystems(struct board *b);

/* The PCI host and every function on it, and what the definition has on
 * MMIO. */
int board_add_pci(struct board *b, const struct board_params *p,
		  struct error *e) must_check;

/* board_slots.c: empty slots; then what a definition has in them. */
int board_slots_new(struct board *b, unsigned n, struct error *e) must_check;
void board_slots_free(struct board *b);
/* Waits for the I/O of all disks. Lock not held. */
void board_slots_drain(struct board *b);
/* board_hotplug.c, at the end of board_reset(): no guest holds any more what
 * it was asked for. */
void board_slots_reset(struct board *b);
/* The virtio end, owned by the caller; device->fd is consumed. */
int board_device_new(struct board *b, const struct vmm_device *device,
		     struct board_device *ret, struct error *e) must_check;
/* NULL when it is none of the disks and network interfaces. */
struct board_device *board_device_of(struct board *b,
				     const struct virtio_dev *virtio);
/* board_nic.c: the virtio end of a NIC, which a transport then takes;
 * device->nic_host is consumed. Forgotten when that is gone. */
int board_nic_new(struct board *b, const struct vmm_device *device,
		  struct virtio_dev **ret, struct error *e) must_check;
void board_nic_forget(struct board *b, const char *id);
void board_nics_free(struct board *b);
/* Tell of host ends that failed. */
void board_nics_poll(struct board *b);
struct board_slot *board_slot_find(struct board *b, const char *id);
/* Into the slot asked for or another; device->fd is consumed. */
int board_slot_fill(struct board *b, const struct vmm_device *device, bool cold,
		    struct board_slot **ret, struct error *e) must_check;
/* Waits for its I/O, as long as that takes. */
void board_slot_empty(struct board *b, struct board_slot *s);
int board_slots_plug_cold(struct board *b, const struct vmm_device *device,
			  struct error *e) must_check;

#endif
