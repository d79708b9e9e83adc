/*
 * Inside the PCI transport: what virtio_pci.c (function, interrupts, life) and
 * virtio_pci_regs.c (the structures in BAR 0) share. Nobody else includes it.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_PCI_INTERNAL_H
#define VMM_KVM_DEVICES_VIRTIO_PCI_INTERNAL_H

#include "lib/host/loop_event.h"
#include "vmm-kvm/devices/msix.h"
#include "vmm-kvm/devices/virtio_pci.h"

/* BAR 0: one page per structure, so that any may be mapped alone. */
#define VIRTIO_PCI_BAR_BYTES	   KIB(16)
#define VIRTIO_PCI_REGS_BAR	   0
#define VIRTIO_PCI_COMMON_AT	   0x0000
#define VIRTIO_PCI_ISR_AT	   0x1000
#define VIRTIO_PCI_DEVICE_AT	   0x2000
#define VIRTIO_PCI_NOTIFY_AT	   0x3000
#define VIRTIO_PCI_STRUCTURE_BYTES 0x1000
#define VIRTIO_PCI_NOTIFY_STRIDE   4 /* notify_off_multiplier */
#define VIRTIO_PCI_COMMON_BYTES	   0x38
/* Of it, selector, size and vector of a queue: EDK2's driver writes the first
 * twice for each notification. */
#define VIRTIO_PCI_QUEUE_AT    0x16
#define VIRTIO_PCI_QUEUE_BYTES 6

#define VIRTIO_MSI_NO_VECTOR 0xffff

enum {
	VIRTIO_ISR_QUEUE = 1,
	VIRTIO_ISR_CONFIG = 2,
};

/* The way of one queue's notifications to the loop. */
struct virtio_pci_kick {
	struct virtio_pci *v;
	unsigned index;
	int fd;		       /* eventfd */
	bool doorbell;	       /* registered with the doorbell sink */
	uint64_t doorbell_gpa; /* where */
	struct loop_event *heard;
};

struct virtio_pci {
	struct pci_dev pci;
	struct msix msix;
	struct virtio_dev *device;
	struct virtio_pci_params params;
	unsigned cfg_cap; /* VIRTIO_PCI_CAP_PCI_CFG, in config space */
	/* Registers of the common structure. */
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select, config_vector;
	uint16_t queue_vectors[VIRTIO_QUEUES_MAX];
	uint8_t isr;
	struct virtio_pci_kick kicks[VIRTIO_QUEUES_MAX];
	unsigned n_kicks;
	uint64_t delayed_gpa; /* where writes are kept back; 0: nowhere */
	/* virtio_pci_shown.c */
	struct reg_page_user shown_user;
	unsigned quiet_reads;
	uint64_t shown_gpa; /* where registers are memory; 0: nowhere */
	uint16_t shown_select;
};

extern const struct mmio_ops virtio_pci_bar_ops;

/* Have the queue processed on the loop thread. */
void virtio_pci_kick(struct virtio_pci *v, unsigned index);
/* Makes the eventfds; what was made is closed by the other. With the lock. */
int virtio_pci_kicks_init(struct virtio_pci *v, struct error *e) must_check;
/* Frees `v`, now or when its handles are closed. */
void virtio_pci_kicks_close(struct virtio_pci *v);
/* struct virtio_transport_ops. */
void virtio_pci_kick_watch(void *transport, unsigned index, bool watch);
/* Registers as after device reset. */
void virtio_pci_regs_reset(struct virtio_pci *v);
/* Tell the owner that the device status may have changed. */
void virtio_pci_status_changed(struct virtio_pci *v);
/* Keep writes to selector, size and vector back there; 0: nowhere. */
void virtio_pci_delay(struct virtio_pci *v, uint64_t gpa);
/* All of the common structure, as it reads now. */
void virtio_pci_common_image(struct virtio_pci *v,
			     uint8_t ret[VIRTIO_PCI_COMMON_BYTES]);
void virtio_pci_shown_init(struct virtio_pci *v);
/* The driver read what only says again what it knows. */
void virtio_pci_quiet_read(struct virtio_pci *v);
/* Registers change, or move: they are read by exits again. */
void virtio_pci_hide(struct virtio_pci *v);
/* Register, move or remove doorbells after the status or the BAR changed. */
void virtio_pci_sync_doorbells(struct virtio_pci *v);

#endif
