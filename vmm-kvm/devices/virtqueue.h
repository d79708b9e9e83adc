/*
 * The device's side of a virtqueue, split (VIRTIO 1.2, 2.7) or packed (2.8),
 * with indirect descriptors (2.7.5.3, 2.8.7) and the event index (2.7.7.2,
 * 2.7.10, 2.8.10). Which of them a driver has chosen is nobody else's matter: a
 * chain's `head` is only good for handing it back.
 *
 * Everything in guest memory is hostile: a descriptor is copied once and then
 * judged, every address goes through guest_mem_ptr(), and a ring that breaks
 * the rules makes virtqueue_pop() fail for good. The owner then sets
 * DEVICE_NEEDS_RESET.
 *
 * Invariants:
 *  1. After a failure the queue is `broken`: nothing is read from or written
 *     to the rings until virtqueue_reset().
 *  2. While `ready`, the three rings lay in RAM when it was set, and RAM does
 *     not change while the guest runs: the ring pointers stay valid.
 *  3. When virtqueue_pop() returns 0 the driver has been told to notify of the
 *     next buffer it adds, or once there are as many as virtqueue_ask_for()
 *     asks for: fewer may then wait unseen.
 *
 * Thread: with the device lock held.
 */
#ifndef VMM_KVM_DEVICES_VIRTQUEUE_H
#define VMM_KVM_DEVICES_VIRTQUEUE_H

#include <stdbool.h>
#include <sys/uio.h>

#include "lib/base/iov.h"
#include "lib/snapshot/state.h"
#include "vmm-kvm/devices/guest_mem.h"

/* Largest queue size we offer, and so the longest chain. */
#define VIRTQUEUE_SIZE_MAX 256

enum {
	VIRTQ_DESC_NEXT = 1,
	VIRTQ_DESC_WRITE = 2,
	VIRTQ_DESC_INDIRECT = 4,
	VIRTQ_AVAIL_NO_INTERRUPT = 1,
};

/* As it lies in guest memory, little-endian (2.7.5). */
struct virtq_desc {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct virtqueue {
	const struct guest_mem *mem;
	uint16_t size_max; /* what the device offers */
	uint16_t size;	   /* what the driver chose; split: a power of two */
	/* Packed: descriptor ring, and the event suppression structures of
	 * driver and device. */
	uint64_t desc_gpa, avail_gpa, used_gpa;
	bool ready, broken;
	bool event_index, indirect, packed; /* negotiated features */
	uint8_t *desc, *avail, *used;
	struct virtqueue_packed *ring; /* owned; a ready packed one's state */
	/* Of a split one. */
	uint16_t last_avail, used_index, signalled;
	uint16_t batch; /* virtqueue_ask_for(); 0: 1 */
};

/* A popped chain: buffers the device reads (out), then those it writes (in). */
struct virtq_chain {
	uint16_t head;
	unsigned n_out, n_in;
	uint64_t out_bytes, in_bytes;
	struct iovec iov[VIRTQUEUE_SIZE_MAX]; /* n_out, then n_in */
};

/* How far a ring has come, when no chain is out: chains or descriptors taken
 * and handed back, and for a packed one the two wrap counters (2.8.1). */
struct virtqueue_position {
	uint16_t avail, used;
	bool avail_wrap, used_wrap;
};

/* size_max: a power of two up to VIRTQUEUE_SIZE_MAX. `mem` is borrowed. What
 * was initialised ends with virtqueue_reset(). */
void virtqueue_init(struct virtqueue *q, const struct guest_mem *mem,
		    uint16_t size_max);
/* As after device reset: not ready, size size_max, addresses 0. */
void virtqueue_reset(struct virtqueue *q);

/*
 * Begin to use the rings at the addresses and size set in `q`. -EINVAL for a
 * size that is 0, no power of two (split) or over size_max or misaligned rings,
 * -EFAULT when a ring is not RAM, -ENOMEM; the queue is then broken.
 */
int virtqueue_enable(struct virtqueue *q) must_check;

/*
 * 1: *ret is the next chain. 0: none now (invariant 3). -errno: the ring is
 * malformed and the queue now broken; -ESHUTDOWN if it was not usable before.
 */
int virtqueue_pop(struct virtqueue *q, struct virtq_chain *ret) must_check;
/*
 * From when the queue is found empty next, have the driver notify only when `n`
 * chains wait, at least 1 and at most what it may have out. Who asks for more
 * than one has to look at the queue after a while. Drivers without the event
 * index, and packed rings, notify of each. Forgotten by virtqueue_reset().
 */
void virtqueue_ask_for(struct virtqueue *q, unsigned n);
/* For who saves and restores it: a ready queue, not broken, no chain out. A
 * packed ring takes positions below its size: else -EINVAL. */
void virtqueue_position(const struct virtqueue *q,
			struct virtqueue_position *ret);
int virtqueue_set_position(struct virtqueue *q,
			   const struct virtqueue_position *p) must_check;
/* Someone else served the split ring up to the chain before index `next`, and
 * handed all he took back: go on from there. */
void virtqueue_continue(struct virtqueue *q, uint16_t next);
/* A chain that was popped and not pushed yet, looked at again: 0, or -errno as
 * virtqueue_pop(). */
int virtqueue_again(struct virtqueue *q, uint16_t head,
		    struct virtq_chain *ret) must_check;
/* Take back the last `n` chains popped, of which none was pushed. */
void virtqueue_unpop(struct virtqueue *q, unsigned n);

/* Hand a chain back: `written` bytes of its in-buffers were written. */
void virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written);
/*
 * The same for `n` chains that the driver must see appear together: fill the
 * ring at index +0..n-1, then publish.
 */
void virtqueue_fill(struct virtqueue *q, uint16_t head, uint32_t written,
		    unsigned ahead);
void virtqueue_publish(struct virtqueue *q, unsigned n);
/* Whether the driver wants an interrupt for what was pushed since the last
 * time this was asked. */
bool virtqueue_should_notify(struct virtqueue *q);

/*
 * For a snapshot (virtqueue_state.c). All that was popped was pushed, or its
 * heads are accounted for by the device. Loading comes after guest memory and
 * the features, and judges the rings like virtqueue_enable(); a queue that was
 * broken stays so.
 */
void virtqueue_save(const struct virtqueue *q, struct state_out *out);
int virtqueue_load(struct virtqueue *q, struct state_in *in,
		   struct error *e) must_check;

#endif
