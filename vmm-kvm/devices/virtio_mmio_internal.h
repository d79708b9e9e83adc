/*
 * Inside the MMIO transport: what virtio_mmio.c (interrupt, notifications,
 * life) and virtio_mmio_regs.c (the registers) share. Nobody else includes it.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_MMIO_INTERNAL_H
#define VMM_KVM_DEVICES_VIRTIO_MMIO_INTERNAL_H

#include "lib/host/loop_event.h"
#include "vmm-kvm/devices/virtio_mmio.h"

#define VIRTIO_MMIO_QUEUE_NOTIFY 0x050

enum {
	VIRTIO_MMIO_IRQ_QUEUE = 1,
	VIRTIO_MMIO_IRQ_CONFIG = 2,
};

/* The way of one queue's notifications to the loop. */
struct virtio_mmio_kick {
	struct virtio_mmio *v;
	unsigned index;
	int fd; /* eventfd */
	struct loop_event *heard;
};

struct virtio_mmio {
	struct mmio_region region;
	bool on_bus, doorbells;
	struct virtio_dev *device;
	struct virtio_mmio_params params;
	uint32_t device_feature_select, driver_feature_select, queue_select;
	uint32_t irq_status;
	struct virtio_mmio_kick kicks[VIRTIO_QUEUES_MAX];
	unsigned n_kicks;
};

extern const struct mmio_ops virtio_mmio_ops;

/* Have the queue processed on the loop thread. */
void virtio_mmio_kick(struct virtio_mmio *v, unsigned index);
/* Change the interrupt status; the wire follows. */
void virtio_mmio_irq(struct virtio_mmio *v, uint32_t clear, uint32_t set);
/* Registers as after device reset. */
void virtio_mmio_regs_reset(struct virtio_mmio *v);
/* Register or remove doorbells after the status changed. */
void virtio_mmio_sync_doorbells(struct virtio_mmio *v);

#endif
