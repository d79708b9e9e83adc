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

/* What becomes of a request that fails. */
enum virtio_blk_on_error {
	VIRTIO_BLK_REPORT, /* the guest is told */
	VIRTIO_BLK_HOLD,   /* it is kept, to be tried again */
	/* Kept when the host has no space left, else told. */
	VIRTIO_BLK_HOLD_NO_SPACE,
};

/* One that did. */
struct virtio_blk_failure {
	struct virtio_dev *disk;
	const char *what; /* "read", "write", "flush", "discard", "zeroing" */
	int err;	  /* positive errno */
	bool held;
};

struct virtio_blk_params {
	struct blockdev *blockdev; /* consumed, also on failure */
	const char *serial; /* copied; the first 20 bytes count; NULL: "" */
	unsigned n_queues;  /* up to VIRTIO_QUEUES_MAX; 0: one */
	enum virtio_blk_on_error on_error;
	/* Loop thread, with the device lock held. May be NULL. */
	void (*failed)(void *cookie, const struct virtio_blk_failure *f);
	void *cookie;
};

/* *ret is for a transport's _new. Before the guest runs. */
int virtio_blk_new(const struct virtio_blk_params *params,
		   struct virtio_dev **ret, struct error *e) must_check;

/* Requests that were held are started again, in the order in which they failed,
 * or fail if the device is doomed.
 * A driver that resets the device gives them up. Loop thread, lock not held. */
void virtio_blk_retry(struct virtio_dev *d);

/* The blockdev's size changed (or is to be told again): new capacity, new
 * configuration generation, interrupt. Loop thread, lock not held. */
void virtio_blk_resized(struct virtio_dev *d);

#endif
