/*
 * virtio socket device: VIRTIO 1.2, 5.10. The kernel serves the two data
 * queues (vhost-vsock); the third, of events, is ours.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_VSOCK_H
#define VMM_KVM_DEVICES_VIRTIO_VSOCK_H

#include <uv.h>

#include "lib/host/vhost.h"
#include "vmm-kvm/devices/virtio.h"

struct virtio_vsock_params {
	uv_loop_t *loop;     /* borrowed */
	struct vhost *vhost; /* consumed, also on failure */
	uint32_t cid;	     /* the guest's; 3 and up */
	/* See struct virtio_vhost_params. */
	void (*failed)(void *cookie, const char *why);
	void *cookie;
};

/* *ret is for a transport's _new. Loop thread, before the guest runs. */
int virtio_vsock_new(const struct virtio_vsock_params *params,
		     struct virtio_dev **ret, struct error *e) must_check;

/*
 * The guest goes on elsewhere than where its connections were made: tell it
 * that they are gone (5.10.6.7), as soon as it has a buffer for that. Loop
 * thread, lock not held.
 */
void virtio_vsock_moved(struct virtio_dev *d);

#endif
