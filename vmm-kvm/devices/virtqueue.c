#include "vmm-kvm/devices/virtqueue_internal.h"

/* Layout of the rings (VIRTIO 1.2, 2.7): descriptors of 16 bytes, then
 * flags, index, entries and an event field each for available and used. */
#define DESC_BYTES	  VIRTQ_DESC_BYTES
#define RING_FLAGS	  0
#define RING_INDEX	  2
#define RING_ENTRIES	  4
#define AVAIL_BYTES(n)	  (RING_ENTRIES + 2 * (size_t)(n) + 2)
#define USED_BYTES(n)	  (RING_ENTRIES + 8 * (size_t)(n) + 2)
#define AVAIL_ENTRY(i)	  (RING_ENTRIES + 2 * (size_t)(i))
#define USED_ENTRY(i)	  (RING_ENTRIES + 8 * (size_t)(i))
#define USED_EVENT(size)  AVAIL_ENTRY(size) /* in the available ring */
#define AVAIL_EVENT(size) USED_ENTRY(size)  /* in the used ring */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "virtio structures are read in place");
_Static_assert(sizeof(struct virtq_desc) == DESC_BYTES, "2.7.5");

void virtqueue_init(struct virtqueue *q, const struct guest_mem *mem,
		    uint16_t size_max)
{
	*q = (struct virtqueue){.mem = mem, .size_max = size_max};
	virtqueue_reset(q);
}

void virtqueue_reset(struct virtqueue *q)
{
	virtqueue_packed_done(q);
	*q = (struct virtqueue){
		.mem = q->mem,
		.size_max = q->size_max,
		.size = q->size_max,
	};
}

static int fail(struct virtqueue *q, int err)
{
	q->broken = true;
	return err;
}

static int split_enable(struct virtqueue *q)
{
	uint16_t size = q->size;

	if (size == 0 || size > q->size_max || (size & (size - 1)) != 0)
		return -EINVAL;
	/* 2.7: alignments of 16, 2 and 4. */
	if (q->desc_gpa % 16 || q->avail_gpa % 2 || q->used_gpa % 4)
		return -EINVAL;
	q->desc = guest_mem_ptr(q->mem, q->desc_gpa, size * DESC_BYTES);
	q->avail = guest_mem_ptr(q->mem, q->avail_gpa, AVAIL_BYTES(size));
	q->used = guest_mem_ptr(q->mem, q->used_gpa, USED_BYTES(size));
	if (!q->desc || !q->avail || !q->used)
		return -EFAULT;
	/* Host addresses must be aligned as the guest's are. */
	if ((uintptr_t)q->avail % 2 || (uintptr_t)q->used % 4)
		return -EINVAL;
	return 0;
}

int virtqueue_enable(struct virtqueue *q)
{
	int r = q->packed ? virtqueue_packed_enable(q) : split_enable(q);

	if (r < 0)
		return fail(q, r);
	q->ready = true;
	return 0;
}

int virtqueue_chain_add(struct virtqueue *q, struct virtq_chain *chain,
			const struct virtq_desc *desc)
{
	unsigned n = chain->n_out + chain->n_in;
	bool in = desc->flags & VIRTQ_DESC_WRITE;
	void *host;

	/* 2.7.4.2: what the device writes comes last. */
	if (n >= ARRAY_SIZE(chain->iov) || (!in && chain->n_in))
		return -EPROTO;
	/* Out of RAM, wrapping or empty. */
	host = guest_mem_ptr(q->mem, desc->address, desc->length);
	if (!host)
		return -EFAULT;
	chain->iov[n] = (struct iovec){host, desc->length};
	if (in) {
		chain->n_in++;
		chain->in_bytes += desc->length;
	} else {
		chain->n_out++;
		chain->out_bytes += desc->length;
	}
	return 0;
}

/*
 * Walk a table of `size` descriptors from `at`. A loop is a chain longer than
 * its table. -ELOOP for that, or -EPROTO; *ret_indirect is set to the
 * descriptor that refers to an indirect table, if one ends the walk.
 */
static int walk(struct virtqueue *q, const uint8_t *table, unsigned size,
		unsigned at, bool allow_indirect, struct virtq_chain *chain,
		struct virtq_desc *ret_indirect)
{
	for (unsigned n = 0; n < size; n++) {
		struct virtq_desc desc;
		int r;

		if (at >= size)
			return -EPROTO;
		memcpy(&desc, table + (size_t)at * DESC_BYTES, sizeof(desc));
		if (desc.flags & VIRTQ_DESC_INDIRECT) {
			/* 2.7.5.3.1: not nested, and the last of its chain. */
			if (!allow_indirect || (desc.flags & VIRTQ_DESC_NEXT))
				return -EPROTO;
			*ret_indirect = desc;
			return 0;
		}
		r = virtqueue_chain_add(q, chain, &desc);
		if (r < 0)
			return r;
		if (!(desc.flags & VIRTQ_DESC_NEXT))
			return 0;
		at = desc.next;
	}
	return -ELOOP;
}

/* 2.8.7: a packed table has no links, and of the flags only WRITE counts. Its
 * descriptors differ in what is behind the length alone. */
static int walk_packed_table(struct virtqueue *q, const uint8_t *table,
			     unsigned size, struct virtq_chain *chain)
{
	int r = 0;

	for (unsigned i = 0; i < size && r == 0; i++) {
		struct virtq_desc desc;

		memcpy(&desc, table + (size_t)i * DESC_BYTES, sizeof(desc));
		desc.flags = desc.next; /* where a packed one has them */
		r = virtqueue_chain_add(q, chain, &desc);
	}
	return r;
}

static int walk_indirect(struct virtqueue *q, const struct virtq_desc *from,
			 struct virtq_chain *chain)
{
	struct virtq_desc unused;
	uint8_t *table;

	if (from->length == 0 || from->length % DESC_BYTES != 0)
		return -EPROTO;
	table = guest_mem_ptr(q->mem, from->address, from->length);
	if (!table)
		return -EFAULT;
	if (q->packed)
		return walk_packed_table(q, table, from->length / DESC_BYTES,
					 chain);
	return walk(q, table, from->length / DESC_BYTES, 0, false, chain,
		    &unused);
}

static int fill_chain(struct virtqueue *q, struct virtq_chain *chain)
{
	struct virtq_desc indirect = {0};
	int r;

	chain->n_out = chain->n_in = 0;
	chain->out_bytes = chain->in_bytes = 0;
	r = walk(q, q->packed ? virtqueue_packed_table(q) : q->desc, q->size,
		 chain->head, q->indirect, chain, &indirect);
	if (r == 0 && indirect.flags)
		r = walk_indirect(q, &indirect, chain);
	if (r == 0 && chain->n_out + chain->n_in == 0)
		r = -EPROTO;
	return r;
}

/*
 * How many chains wait, or -EPROTO when the index jumped. All that was made
 * available and not handed back fits the ring, or the driver uses descriptors
 * it does not own; this also bounds the requests a device has under way.
 */
static int available(struct virtqueue *q)
{
	/* Pairs with the driver's barrier between ring and index. */
	uint16_t index = virtq_load16(q->avail + RING_INDEX);
	uint16_t waiting = (uint16_t)(index - q->last_avail);
	uint16_t owned = (uint16_t)(index - q->used_index);

	return waiting > owned || owned > q->size ? -EPROTO : waiting;
}

/* Ask for a notification of the next chain, or of as many as are to come, and
 * look again: the driver may have added them before it saw the request
 * (2.7.10). */
static int wait_for_more(struct virtqueue *q)
{
	uint16_t ahead = q->batch ? q->batch - 1 : 0;
	int r;

	if (!q->event_index)
		return 0; /* without it we never suppress notifications */
	virtq_store16(q->used + AVAIL_EVENT(q->size),
		      (uint16_t)(q->last_avail + ahead));
	virtq_full_barrier();
	r = available(q);
	return r > 0 && r <= ahead ? 0 : r;
}

void virtqueue_ask_for(struct virtqueue *q, unsigned n)
{
	q->batch = (uint16_t)MIN(n, q->size);
}

/* 1: *ret_head is the next chain's. As virtqueue_pop() otherwise. */
static int split_take(struct virtqueue *q, uint16_t *ret_head)
{
	int r = available(q);

	if (r == 0)
		r = wait_for_more(q);
	if (r <= 0)
		return r;
	*ret_head = virtq_load16(q->avail +
				 AVAIL_ENTRY(q->last_avail % q->size));
	q->last_avail++;
	return 1;
}

int virtqueue_pop(struct virtqueue *q, struct virtq_chain *ret)
{
	int r;

	if (!q->ready || q->broken)
		return -ESHUTDOWN;
	r = q->packed ? virtqueue_packed_take(q, &ret->head)
		      : split_take(q, &ret->head);
	if (r <= 0)
		return r ? fail(q, r) : 0;
	r = fill_chain(q, ret);
	return r < 0 ? fail(q, r) : 1;
}

void virtqueue_position(const struct virtqueue *q,
			struct virtqueue_position *ret)
{
	if (q->packed)
		virtqueue_packed_position(q, ret);
	else
		*ret = (struct virtqueue_position){.avail = q->last_avail,
						   .used = q->used_index};
}

int virtqueue_set_position(struct virtqueue *q,
			   const struct virtqueue_position *p)
{
	if (q->packed)
		return virtqueue_packed_set_position(q, p);
	q->last_avail = p->avail;
	q->used_index = q->signalled = p->used;
	return 0;
}

void virtqueue_continue(struct virtqueue *q, uint16_t next)
{
	if (!q->ready || q->broken || q->packed)
		return;
	q->last_avail = next;
	q->used_index = q->signalled = virtq_load16(q->used + RING_INDEX);
}

int virtqueue_again(struct virtqueue *q, uint16_t head, struct virtq_chain *ret)
{
	int r;

	if (!q->ready || q->broken)
		return -ESHUTDOWN;
	ret->head = head;
	r = fill_chain(q, ret);
	return r < 0 ? fail(q, r) : 0;
}

void virtqueue_unpop(struct virtqueue *q, unsigned n)
{
	if (q->packed && q->ring)
		virtqueue_packed_unpop(q, n);
	q->last_avail = (uint16_t)(q->last_avail - n);
}

void virtqueue_fill(struct virtqueue *q, uint16_t head, uint32_t written,
		    unsigned ahead)
{
	const uint32_t element[2] = {head, written};
	uint16_t slot;

	/* A queue that is not ready may have size 0: the driver's choice. */
	if (!q->ready || q->broken)
		return;
	if (q->packed) {
		q->broken = virtqueue_packed_fill(q, head, written, ahead) < 0;
		return;
	}
	slot = (uint16_t)(q->used_index + ahead) % q->size;
	memcpy(q->used + USED_ENTRY(slot), element, sizeof(element));
}

void virtqueue_publish(struct virtqueue *q, unsigned n)
{
	if (!q->ready || q->broken)
		return;
	if (q->packed) {
		virtqueue_packed_publish(q, n);
		return;
	}
	q->used_index = (uint16_t)(q->used_index + n);
	/* Release: the elements are seen before the index. */
	virtq_store16(q->used + RING_INDEX, q->used_index);
}

void virtqueue_push(struct virtqueue *q, uint16_t head, uint32_t written)
{
	virtqueue_fill(q, head, written, 0);
	virtqueue_publish(q, 1);
}

bool virtqueue_should_notify(struct virtqueue *q)
{
	uint16_t before = q->signalled, event;

	if (!q->ready || q->broken)
		return false;
	if (q->packed)
		return virtqueue_packed_should_notify(q);
	if (q->used_index == before)
		return false;
	q->signalled = q->used_index;
	/* Our used index is written before the driver's wish is read; pairs
	 * with the driver's barrier after it wrote the wish (2.7.7.2). */
	virtq_full_barrier();
	if (!q->event_index)
		return !(virtq_load16(q->avail + RING_FLAGS) &
			 VIRTQ_AVAIL_NO_INTERRUPT);
	/* Whether used_event lies within what was used since last time. */
	event = virtq_load16(q->avail + USED_EVENT(q->size));
	return (uint16_t)(q->used_index - event - 1) <
	       (uint16_t)(q->used_index - before);
}
