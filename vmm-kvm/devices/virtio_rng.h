/*
 * virtio entropy device: VIRTIO 1.2, 5.4, from getrandom(2), at most
 * VIRTIO_RNG_KICK_BYTES each time the driver notifies or the loop turns.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_RNG_H
#define VMM_KVM_DEVICES_VIRTIO_RNG_H

#include "vmm-kvm/devices/virtio.h"

#define VIRTIO_RNG_KICK_BYTES KIB(64)

/* *ret is for a transport's _new. */
int virtio_rng_new(struct virtio_dev **ret, struct error *e) must_check;

#endif
