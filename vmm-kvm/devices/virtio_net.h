/*
 * virtio network device: VIRTIO 1.2, 5.1, over a netdev. Queue 0 receives,
 * queue 1 transmits. Offers MAC, STATUS, MRG_RXBUF, and to leave checksums
 * and the cutting of TCP into segments to the other side, in both directions.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_NET_H
#define VMM_KVM_DEVICES_VIRTIO_NET_H

#include <uv.h>

#include "vmm-kvm/devices/virtio.h"

struct virtio_net_params {
	uv_loop_t *loop; /* borrowed */
	int tap_fd; /* as netdev_open() wants it; consumed, also on failure */
	uint8_t mac[6];
};

/* *ret is for a transport's _new. Loop thread, before the guest runs. */
int virtio_net_new(const struct virtio_net_params *params,
		   struct virtio_dev **ret, struct error *e) must_check;

struct netdev_stats;

/* Frames from the guest ("sent") and to it ("received"). What it had no room
 * for at all is dropped; what waits is not. Loop thread, lock not held. */
void virtio_net_stats(struct virtio_dev *d, struct netdev_stats *ret);

#endif
