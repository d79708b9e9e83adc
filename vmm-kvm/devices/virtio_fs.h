/*
 * virtio file system device: VIRTIO 1.2, 5.11. All its queues are served by a
 * program on the host (vhost-user), which speaks FUSE with the guest; what is
 * here is the configuration space, and what follows when that program ends.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_FS_H
#define VMM_KVM_DEVICES_VIRTIO_FS_H

#include <uv.h>

#include "lib/host/vhost.h"
#include "vmm-kvm/devices/virtio.h"

/* One more is for requests of high priority. */
#define VIRTIO_FS_QUEUES_MAX (VIRTIO_QUEUES_MAX - 1)

struct virtio_fs_params {
	uv_loop_t *loop;     /* borrowed */
	struct vhost *vhost; /* consumed, also on failure */
	const char *tag;     /* what the guest mounts; copied, 36 bytes count */
	unsigned n_queues;   /* of requests; 1 to VIRTIO_FS_QUEUES_MAX */
	/* See struct virtio_vhost_params. */
	void (*failed)(void *cookie, const char *why);
	void *cookie;
};

/* *ret is for a transport's _new. Loop thread, before the guest runs. */
int virtio_fs_new(const struct virtio_fs_params *params,
		  struct virtio_dev **ret, struct error *e) must_check;

/* Both on the loop thread, lock not held. */

/* Its server ended: a driver that uses it finds it in NEEDS_RESET. */
void virtio_fs_lost(struct virtio_dev *d, const char *why);
/* Another server, which the next driver that resets the device gets. Consumed,
 * also on failure: -EOPNOTSUPP when it cannot do what the guest was offered. */
int virtio_fs_replace(struct virtio_dev *d, struct vhost *vhost,
		      struct error *e) must_check;

#endif
