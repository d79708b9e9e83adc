/*
 * virtio block device: VIRTIO 1.2, 5.2, over a blockdev. Read, write,
 * flush, get-id, discard, write-zeroes; one or more queues, all served on the
 * loop thread. Data moves straight between the file and guest memory.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_BLK_H
#define VMM_KVM_DEVICES_VIRTIO_BLK_H

#include "lib/host/blockdev.h"
#include "vmm-kvm/devices/virtio.h"

#define VIRTIO_BLK_SERIAL_MAX 20

struct virtio_blk_params {
	struct blockdev *blockdev; /* consumed, also on failure */
	const char *serial; /* copied; the first 20 bytes count; NULL: "" */
	unsigned n_queues;  /* up to VIRTIO_QUEUES_MAX; 0: one */
};

/* *ret is for a transport's _new. Before the guest runs. */
int virtio_blk_new(const struct virtio_blk_params *params,
		   struct virtio_dev **ret, struct error *e) must_check;

/* The blockdev's size changed (or is to be told again): new capacity, new
 * configuration generation, interrupt. Loop thread, lock not held. */
void virtio_blk_resized(struct virtio_dev *d);

#endif
