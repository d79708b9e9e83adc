/*
 * Inside the virtqueue: what virtqueue.c (split rings, and what both have) and
 * virtqueue_packed.c share, and virtqueue_state.c. Nobody else includes it.
 */
#ifndef VMM_KVM_DEVICES_VIRTQUEUE_INTERNAL_H
#define VMM_KVM_DEVICES_VIRTQUEUE_INTERNAL_H

#include "vmm-kvm/devices/virtqueue.h"

#define VIRTQ_DESC_BYTES 16

/* Ring fields are naturally aligned: virtqueue_enable() saw to that. */
static inline uint16_t virtq_load16(const uint8_t *at)
{
	return __atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE);
}

static inline void virtq_store16(uint8_t *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)at, value, __ATOMIC_RELEASE);
}

/* ThreadSanitizer knows no __atomic fence. */
static inline void virtq_full_barrier(void)
{
	__sync_synchronize();
}

/* Of a packed ring, what its own file and virtqueue_state.c know. */
struct virtqueue_packed {
	uint16_t avail, used; /* positions in the ring */
	bool avail_wrap, used_wrap;
	uint32_t used_total, signalled_total; /* descriptors, ever */
	/* Descriptors of chains that are out, linked by `next` and each but the
	 * last with VIRTQ_DESC_NEXT; the free ones likewise, from `free`. */
	struct virtq_desc nodes[VIRTQUEUE_SIZE_MAX];
	uint16_t free, n_free;
	struct {
		uint16_t id, count; /* by the chain's first node */
	} heads[VIRTQUEUE_SIZE_MAX];
	/* The chains taken last, for unpop. */
	uint16_t taken[VIRTQUEUE_SIZE_MAX], n_taken;
	struct {
		uint16_t head;
		uint32_t written;
	} staged[VIRTQUEUE_SIZE_MAX];
};

/* One buffer more: -EPROTO for the order or too many, -EFAULT outside RAM. */
int virtqueue_chain_add(struct virtqueue *q, struct virtq_chain *chain,
			const struct virtq_desc *desc) must_check;

/* The functions of virtqueue.h, for a packed ring. Ready and not broken but
 * for the first, and none of them sets `broken`. */
int virtqueue_packed_enable(struct virtqueue *q) must_check;
void virtqueue_packed_done(struct virtqueue *q);
/* 1, with the head in *ret_head and its buffers in virtqueue_packed_table();
 * 0 or -EPROTO. */
int virtqueue_packed_take(struct virtqueue *q, uint16_t *ret_head) must_check;
void virtqueue_packed_unpop(struct virtqueue *q, unsigned n);
/* -EPROTO: no such chain is out, which only a snapshot file can bring about. */
int virtqueue_packed_fill(struct virtqueue *q, uint16_t head, uint32_t written,
			  unsigned ahead) must_check;
void virtqueue_packed_publish(struct virtqueue *q, unsigned n);
bool virtqueue_packed_should_notify(struct virtqueue *q);
void virtqueue_packed_position(const struct virtqueue *q,
			       struct virtqueue_position *ret);
int virtqueue_packed_set_position(
	struct virtqueue *q, const struct virtqueue_position *p) must_check;
/* Our copy of what is out, as a split table of q->size descriptors: the ring
 * itself is overwritten by what is handed back in another order (2.8.8). */
const uint8_t *virtqueue_packed_table(const struct virtqueue *q);

#endif
