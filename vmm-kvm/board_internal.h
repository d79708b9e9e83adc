/*
 * What board.c, board_pci.c and boot.c share: the parts of a board.
 */
#ifndef VMM_KVM_BOARD_INTERNAL_H
#define VMM_KVM_BOARD_INTERNAL_H

#include "vmm-kvm/board.h"
#include "vmm-kvm/board_layout.h"
#include "vmm-kvm/devices/cfi_flash.h"
#include "vmm-kvm/devices/fw_cfg.h"
#include "vmm-kvm/devices/gicv2m.h"
#include "vmm-kvm/devices/pl011.h"
#include "vmm-kvm/devices/pl031.h"
#include "vmm-kvm/devices/pl061.h"
#include "vmm-kvm/devices/pvpanic.h"
#include "vmm-kvm/devices/sp805.h"
#include "vmm-kvm/devices/virtio_balloon.h"
#include "vmm-kvm/devices/virtio_mmio.h"
#include "vmm-kvm/devices/virtio_pci.h"

#define BOARD_FUNCTIONS_MAX (BOARD_PCI_SLOTS - BOARD_PCI_SLOT_FIRST)

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
	struct virtio_pci *functions[BOARD_FUNCTIONS_MAX];
	unsigned n_functions;
	/* Borrowed from the functions that own them. */
	struct blockdev *blockdevs[BOARD_FUNCTIONS_MAX];
	unsigned n_blockdevs;
	struct virtio_mmio *mmio[BOARD_VIRTIO_MMIO_MAX];
	unsigned n_mmio;
	const struct vm_config *config; /* borrowed */
	int kernel_fd, initrd_fd;	/* borrowed; -1 for none */
	uv_timer_t power_timer;		/* its closing frees the board */
	struct virtio_dev *balloon;	/* borrowed from its function */
	/* Of board_params. */
	void (*set_mapped)(void *cookie, enum board_bank bank, bool mapped);
	void (*commit)(void *cookie, uint64_t offset, uint64_t size);
	void (*note)(void *cookie, enum board_note note, uint64_t value);
	void *cookie;
};

static inline struct irq_line board_line(const struct board_params *p,
					 uint32_t intid)
{
	struct irq_line line = p->line;

	line.intid = intid;
	return line;
}

/* Devices on virtio over MMIO. The device is consumed. */
int board_add_mmio(struct board *b, const struct board_params *p,
		   struct virtio_dev *device, struct error *e) must_check;
void board_reset_mmio(struct board *b); /* with the device lock held */
void board_free_mmio(struct board *b);

_Static_assert(VM_DISKS_MAX + VM_NICS_MAX <= BOARD_VIRTIO_MMIO_MAX,
	       "all may be on MMIO");

/* The PCI host and every function on it, and what the definition has on
 * MMIO. */
int board_add_pci(struct board *b, const struct board_params *p,
		  struct error *e) must_check;

#endif
