/*
 * The core of every virtio device: features, status, configuration space and
 * queues (VIRTIO 1.2, chapters 2 and 3), between a device (virtio_blk, ...)
 * below and a transport (virtio_pci, virtio_mmio) above.
 *
 * Two doors: the transport calls in with the device lock held, from a vCPU
 * thread (status, features, configuration) or the loop thread (queues). Host
 * completions come in on the loop thread between virtio_enter() and
 * virtio_leave(), which take the lock; devices know no lock besides.
 *
 * Life: x_new() → transport's _new (which owns it from then on) → the
 * transport's _free → ops->free.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_H
#define VMM_KVM_DEVICES_VIRTIO_H

#include "vmm-kvm/devices/bus.h"
#include "vmm-kvm/devices/virtqueue.h"

#define VIRTIO_QUEUES_MAX 17 /* virtio-net: 8 pairs and control */

enum {
	VIRTIO_ID_NET = 1,
	VIRTIO_ID_BLOCK = 2,
	VIRTIO_ID_CONSOLE = 3,
	VIRTIO_ID_RNG = 4,
	VIRTIO_ID_BALLOON = 5,
	VIRTIO_ID_VSOCK = 19,
	VIRTIO_ID_FS = 26,
};

/* Device status, 2.1. */
enum {
	VIRTIO_STATUS_ACKNOWLEDGE = 1,
	VIRTIO_STATUS_DRIVER = 2,
	VIRTIO_STATUS_DRIVER_OK = 4,
	VIRTIO_STATUS_FEATURES_OK = 8,
	VIRTIO_STATUS_NEEDS_RESET = 64,
	VIRTIO_STATUS_FAILED = 128,
};

/* Reserved feature bits, chapter 6. */
#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)
#define VIRTIO_F_RING_PACKED   (1ull << 34)

struct virtio_dev;

/* What a device implements. All called with the device lock held. */
struct virtio_dev_ops {
	const char *name;
	uint32_t device_id;
	uint32_t pci_class; /* 0xBBSSII, for the PCI transport */
	/* Queue `index` has new buffers, or became usable. Loop thread. */
	void (*kick)(struct virtio_dev *d, unsigned index);
	/* The queues are gone: forget what refers to them. Any thread, so no
	 * call of the loop or of a host end. Optional. */
	void (*reset)(struct virtio_dev *d);
	/* What the transport's call_fd() gives may be another now. Any thread,
	 * so no call of the loop. Optional. */
	void (*call_changed)(struct virtio_dev *d);
	/* The driver writes `size` (1, 2, 4 or 8) bytes of the configuration
	 * space. A vCPU thread, so no call of the loop or of a host end.
	 * Optional: without it the space is read-only. */
	void (*config_write)(struct virtio_dev *d, uint64_t offset,
			     unsigned size, uint64_t value);
	/* `doomed` was just set. Loop thread. Optional. */
	void (*doom)(struct virtio_dev *d);
	/*
	 * For a snapshot, all optional. The device shall touch neither guest
	 * memory nor its queues any more, with nothing under way (`held`), or
	 * may again. Loop thread.
	 */
	void (*hold)(struct virtio_dev *d, bool held);
	/* The fields of its own record; see lib/snapshot/state.h. */
	void (*save)(const struct virtio_dev *d, struct state_out *out);
	int (*load)(struct virtio_dev *d, struct state_in *in, struct error *e);
	/* Why it cannot be part of a snapshot now, as the end of a sentence;
	 * NULL: it can. */
	const char *(*no_snapshot)(const struct virtio_dev *d);
	/* Waits for host requests under way. Loop thread, *without* the lock,
	 * no vCPU running. */
	void (*free)(struct virtio_dev *d);
};

/* What a transport implements. Called with the device lock held. */
struct virtio_transport_ops {
	/* Raise the interrupt of a queue (loop thread), or of a configuration
	 * change (any thread). */
	void (*notify_queue)(void *transport, unsigned index);
	void (*notify_config)(void *transport);
	/* Have ops->kick called for the queue, soon, on the loop thread. */
	void (*kick_later)(void *transport, unsigned index);

	/* For queues that someone else serves; see virtio_vhost.h. */

	/* The eventfd that has the driver's notifications. */
	int (*kick_fd)(void *transport, unsigned index);
	/* Whether the loop looks at it, and calls ops->kick. Loop thread. */
	void (*kick_watch)(void *transport, unsigned index, bool watch);
	/* An eventfd that does what notify_queue() does; -1 where there is
	 * none now. It stays valid until call_changed() or the reset. */
	int (*call_fd)(void *transport, unsigned index);
};

struct virtio_dev {
	const struct virtio_dev_ops *ops;
	uint64_t features_offered, features;
	uint8_t status;
	uint8_t config_generation;
	const uint8_t *config; /* little-endian */
	size_t config_size;
	unsigned n_queues;
	struct virtqueue queues[VIRTIO_QUEUES_MAX];
	/* It is about to be taken from a guest that was not asked: requests
	 * fail, so that no driver waits for them for ever. */
	bool doomed;
	bool foreign_rings; /* see virtio_vhost.h */
	/* A snapshot is taken of it, or it is one that has not begun: it does
	 * nothing, as if no driver were there. */
	bool held;
	uint64_t epoch; /* counts resets: stale completions differ in it */
	const struct virtio_transport_ops *transport_ops;
	void *transport;
	struct bus *bus;
};

/* For devices. Sets up `n_queues` queues of `queue_size`; `config` borrowed. */
void virtio_dev_init(struct virtio_dev *d, const struct virtio_dev_ops *ops,
		     uint64_t features, const void *config, size_t config_size,
		     unsigned n_queues, uint16_t queue_size);

/* Offer packed rings, too; before the guest runs. A device whose rings someone
 * else serves is left as it is. */
void virtio_offer_packed(struct virtio_dev *d);

/* The host door, loop thread, never nested. */
void virtio_enter(struct virtio_dev *d);
void virtio_leave(struct virtio_dev *d);

/* DRIVER_OK and neither failed nor broken: queues may be used. */
bool virtio_live(const struct virtio_dev *d);

/* As virtqueue_pop(), but a malformed ring ends in virtio_fail() and 0. */
bool virtio_pop(struct virtio_dev *d, unsigned index, struct virtq_chain *ret);
/* As virtqueue_again(), likewise: false then. */
bool virtio_again(struct virtio_dev *d, unsigned index, uint16_t head,
		  struct virtq_chain *ret);
void virtio_push(struct virtio_dev *d, unsigned index, uint16_t head,
		 uint32_t written);
/* Interrupt the driver if it wants to hear of what was pushed. Loop thread. */
void virtio_notify(struct virtio_dev *d, unsigned index);
/* The device stopped before the queue was empty: kick it again. */
void virtio_kick_later(struct virtio_dev *d, unsigned index);
/* DEVICE_NEEDS_RESET (2.1.2): nothing is processed until the driver resets. */
void virtio_fail(struct virtio_dev *d);
/* The bytes of config changed: new generation, and tell the driver. */
void virtio_config_changed(struct virtio_dev *d);

/* For transports. */
void virtio_attach(struct virtio_dev *d, const struct virtio_transport_ops *ops,
		   void *transport, const struct guest_mem *mem,
		   struct bus *bus);
void virtio_reset(struct virtio_dev *d);
/* A write to the status register; 0 resets. */
void virtio_set_status(struct virtio_dev *d, uint8_t status);
/* A write to half `high` of the driver's features. */
void virtio_set_features(struct virtio_dev *d, bool high, uint32_t bits);
/* A write of 1 to queue_enable. */
void virtio_queue_enable(struct virtio_dev *d, unsigned index);
/* A write of 0 to it, which counts before DRIVER_OK only. */
void virtio_queue_disable(struct virtio_dev *d, unsigned index);
/* The driver notified a queue; loop thread. Others are ignored. */
void virtio_kick(struct virtio_dev *d, unsigned index);
uint64_t virtio_config_read(const struct virtio_dev *d, uint64_t offset,
			    unsigned size);
void virtio_config_write(struct virtio_dev *d, uint64_t offset, unsigned size,
			 uint64_t value);
/*
 * For a snapshot (virtio_state.c). From the hold on the queues and guest memory
 * stay as they are; when it ends every queue is looked at, and, since what was
 * under way to the guest may be lost, every interrupt is raised. Loop thread,
 * lock held, no vCPU running.
 */
void virtio_hold(struct virtio_dev *d, bool held);
const char *virtio_no_snapshot(const struct virtio_dev *d);
void virtio_save(const struct virtio_dev *d, struct state_out *out);
/* Of a device just made, held, after guest memory. -EOPNOTSUPP when the driver
 * uses features that are not offered here. */
int virtio_load(struct virtio_dev *d, struct state_in *in,
		struct error *e) must_check;

/* What call_fd() gives may be another now. */
void virtio_call_changed(struct virtio_dev *d);
/* Waits for host requests under way; without the lock. NULL is fine. */
struct virtio_dev *virtio_dev_free(struct virtio_dev *d);
DEFINE_CLEANUP(virtio_dev_free, struct virtio_dev *)

#endif
