/*
 * What all virtio devices have in common whose queues someone else serves
 * (lib/host/vhost.h): the first `n_rings` of them; the device serves the rest
 * itself. Driver and server meet without us: notifications go from the
 * doorbell to the server, its interrupts go to the vector (MSI-X) or come by
 * the loop (INTx, MMIO).
 *
 * It is started by the first kick after DRIVER_OK and stopped by reset. A ring
 * the server calls malformed, or a server that fails, puts the device into
 * NEEDS_RESET.
 *
 * A device embeds it and calls it from its own ops:
 *     kick, for the first n_rings queues   virtio_vhost_kick()
 *     reset                                virtio_vhost_reset()
 *     call_changed                         virtio_vhost_call_changed()
 *     free                                 virtio_vhost_close()
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_VHOST_H
#define VMM_KVM_DEVICES_VIRTIO_VHOST_H

#include <uv.h>

#include "lib/host/vhost.h"
#include "vmm-kvm/devices/virtio.h"

struct virtio_vhost;

struct virtio_vhost_ring {
	struct virtio_vhost *vh;
	unsigned index;
	bool started; /* the server has it */
	bool watched; /* the loop has its notifications */
	int relay_fd; /* eventfd: interrupts that come by the loop */
	int call_fd;  /* what the server has now; that, or the vector's */
	uv_poll_t relay;
};

struct virtio_vhost {
	struct virtio_dev *dev;
	struct vhost *vhost;
	unsigned n_rings;
	unsigned n_active; /* the server gets the first of them */
	uint64_t needed;   /* of what is offered, by the server */
	bool started;	   /* the server has the rings */
	struct virtio_vhost_ring rings[VIRTIO_QUEUES_MAX];
	int error_fd; /* eventfd of all rings */
	uv_poll_t error;
	uv_async_t changed; /* from any thread: look at it again */
	void (*failed)(void *cookie, const char *why);
	bool (*blameless)(void *cookie);
	void *cookie;
	unsigned open_handles;
	void (*closed)(struct virtio_dev *d);
};

struct virtio_vhost_params {
	uv_loop_t *loop;	/* borrowed */
	struct virtio_dev *dev; /* initialised; what it offers is reduced */
	struct vhost *vhost;	/* consumed, also on failure */
	unsigned n_rings;
	uint64_t own_features; /* offered whatever the server can do */
	/* The server is of no use any more: a sentence. Loop thread, with the
	 * device lock held. Optional. */
	void (*failed)(void *cookie, const char *why);
	/* Asked first, likewise: neither the server nor the guest is to blame,
	 * the device has seen to it, and all is as after a stop. Optional. */
	bool (*blameless)(void *cookie);
	void *cookie;
};

/* -EOPNOTSUPP for a server that is too old for VIRTIO 1. In any case
 * virtio_vhost_close() is due. Loop thread. */
int virtio_vhost_init(struct virtio_vhost *vh,
		      const struct virtio_vhost_params *params,
		      struct error *e) must_check;
/*
 * Another server in the place of one that failed; consumed, also on failure:
 * -EOPNOTSUPP when it cannot do all that the guest was offered. A driver that
 * used the old one meets it after a reset. Loop thread, device lock held.
 */
int virtio_vhost_replace(struct virtio_vhost *vh, struct vhost *vhost,
			 struct error *e) must_check;
/* Ends it, and calls `closed` when the loop has let go of it, which may be at
 * once. Loop thread. */
void virtio_vhost_close(struct virtio_vhost *vh,
			void (*closed)(struct virtio_dev *d));

/* With the device lock held: */

/* Loop thread. */
void virtio_vhost_kick(struct virtio_vhost *vh);
/* Any thread. Guest memory is left alone when they return; after a stop the
 * queues say how far the server came, and the next kick starts it again. */
void virtio_vhost_reset(struct virtio_vhost *vh);
void virtio_vhost_stop(struct virtio_vhost *vh);
void virtio_vhost_call_changed(struct virtio_vhost *vh);
/* The server gets the first `n` rings from the next kick on, not all. Loop
 * thread. */
void virtio_vhost_set_active(struct virtio_vhost *vh, unsigned n);
/* The server failed: stopped, NEEDS_RESET, told. Loop thread. */
void virtio_vhost_fail(struct virtio_vhost *vh, const char *why);

#endif
