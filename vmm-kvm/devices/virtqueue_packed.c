/*
 * Packed rings: VIRTIO 1.2, 2.8. One ring of descriptors that driver and device
 * both write; two wrap counters say whose a descriptor is.
 *
 * Invariants:
 *  1. The nodes are either free or belong to one chain that is out; so chains
 *     out never have more descriptors than the ring. A chain is out exactly
 *     while the count of its head is not 0.
 *  2. Nothing is written to the ring before virtqueue_packed_publish(): what is
 *     taken back by unpop is there as the driver left it.
 */
#include "vmm-kvm/devices/virtqueue_internal.h"

/* A descriptor (2.8.13) and an event suppression structure (2.8.14). */
enum {
	DESC_ADDRESS = 0,
	DESC_LENGTH = 8,
	DESC_ID = 12,
	DESC_FLAGS = 14,
	EVENT_OFFSET = 0,
	EVENT_FLAGS = 2,
	EVENT_BYTES = 4,
};

#define FLAG_AVAIL 0x0080u
#define FLAG_USED  0x8000u
#define WRAP_BIT   0x8000u

/* RING_EVENT_FLAGS_*, 2.8.10. */
enum { EVENTS_ENABLE = 0, EVENTS_DISABLE = 1, EVENTS_DESC = 2 };

#define NO_NODE UINT16_MAX

int virtqueue_packed_enable(struct virtqueue *q)
{
	struct virtqueue_packed *p;
	uint16_t size = q->size;

	/* 2.8.10.1: any size will do. */
	if (size == 0 || size > q->size_max)
		return -EINVAL;
	if (q->desc_gpa % 16 || q->avail_gpa % 4 || q->used_gpa % 4)
		return -EINVAL;
	q->desc = guest_mem_ptr(q->mem, q->desc_gpa,
				size * (uint64_t)VIRTQ_DESC_BYTES);
	q->avail = guest_mem_ptr(q->mem, q->avail_gpa, EVENT_BYTES);
	q->used = guest_mem_ptr(q->mem, q->used_gpa, EVENT_BYTES);
	if (!q->desc || !q->avail || !q->used)
		return -EFAULT;
	if ((uintptr_t)q->desc % 8 || (uintptr_t)q->avail % 4 ||
	    (uintptr_t)q->used % 4)
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->avail_wrap = p->used_wrap = true; /* 2.8.1 */
	p->n_free = size;
	for (uint16_t i = 0; i < size; i++)
		p->nodes[i].next = (uint16_t)(i + 1);
	q->ring = p;
	return 0;
}

void virtqueue_packed_done(struct virtqueue *q)
{
	free(q->ring);
	q->ring = NULL;
}

const uint8_t *virtqueue_packed_table(const struct virtqueue *q)
{
	return (const uint8_t *)q->ring->nodes;
}

static uint8_t *desc_at(const struct virtqueue *q, uint16_t at)
{
	return q->desc + (size_t)at * VIRTQ_DESC_BYTES;
}

/* Position and wrap counter, `n` descriptors (up to size) on. */
static void advance(const struct virtqueue *q, uint16_t *at, bool *wrap,
		    unsigned n)
{
	unsigned next = *at + n;

	if (next >= q->size) {
		next -= q->size;
		*wrap = !*wrap;
	}
	*at = (uint16_t)next;
}

/* 2.8.1: available is one whose AVAIL bit is the driver's wrap counter and
 * whose USED bit is not. */
static bool is_available(const struct virtqueue *q)
{
	const struct virtqueue_packed *p = q->ring;
	/* Pairs with the driver's barrier before it writes the flags. */
	uint16_t flags = virtq_load16(desc_at(q, p->avail) + DESC_FLAGS);

	return !!(flags & FLAG_AVAIL) == p->avail_wrap &&
	       !!(flags & FLAG_USED) != p->avail_wrap;
}

/* Ask for a notification of the next chain, and look again: the driver may
 * have added one before it saw the request. */
static bool wait_for_more(struct virtqueue *q)
{
	const struct virtqueue_packed *p = q->ring;

	if (!q->event_index) {
		/* Always on; but memory holds what it held before. */
		virtq_store16(q->used + EVENT_FLAGS, EVENTS_ENABLE);
	} else {
		virtq_store16(
			q->used + EVENT_OFFSET,
			(uint16_t)(p->avail | (p->avail_wrap ? WRAP_BIT : 0)));
		virtq_store16(q->used + EVENT_FLAGS, EVENTS_DESC);
	}
	virtq_full_barrier();
	return is_available(q);
}

static void put_back(struct virtqueue_packed *p, uint16_t first, unsigned count)
{
	uint16_t last = first;

	for (unsigned i = 1; i < count; i++)
		last = p->nodes[last].next;
	p->nodes[last].next = p->free;
	p->free = first;
	p->n_free = (uint16_t)(p->n_free + count);
}

/* The ring's descriptor at `at` into a free node; its id, too. */
static uint16_t take_node(struct virtqueue *q, uint16_t at, uint16_t *ret_id)
{
	struct virtqueue_packed *p = q->ring;
	uint16_t node = p->free, flags;
	struct virtq_desc *d = &p->nodes[node];
	uint8_t copy[VIRTQ_DESC_BYTES];

	p->free = d->next;
	p->n_free--;
	memcpy(copy, desc_at(q, at), sizeof(copy));
	memcpy(&d->address, copy + DESC_ADDRESS, sizeof(d->address));
	memcpy(&d->length, copy + DESC_LENGTH, sizeof(d->length));
	memcpy(ret_id, copy + DESC_ID, sizeof(*ret_id));
	memcpy(&flags, copy + DESC_FLAGS, sizeof(flags));
	d->flags = flags &
		   (VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE | VIRTQ_DESC_INDIRECT);
	return node;
}

/* Its descriptors follow each other in the ring; the last one's id counts
 * (2.8.6). One that is longer than what the driver may have out has
 * descriptors that are not the driver's. */
static int take_chain(struct virtqueue *q, uint16_t *ret_head)
{
	struct virtqueue_packed *p = q->ring;
	uint16_t at = p->avail, first = NO_NODE, last = NO_NODE, id = 0;
	bool wrap = p->avail_wrap, more = true;
	unsigned count = 0;

	while (more) {
		uint16_t node;

		if (p->n_free == 0) {
			if (count)
				put_back(p, first, count);
			return -EPROTO;
		}
		node = take_node(q, at, &id);
		if (count++)
			p->nodes[last].next = node;
		else
			first = node;
		last = node;
		more = p->nodes[node].flags & VIRTQ_DESC_NEXT;
		advance(q, &at, &wrap, 1);
	}
	p->avail = at;
	p->avail_wrap = wrap;
	p->heads[first].id = id;
	p->heads[first].count = (uint16_t)count;
	p->taken[p->n_taken++ % ARRAY_SIZE(p->taken)] = first;
	*ret_head = first;
	return 1;
}

int virtqueue_packed_take(struct virtqueue *q, uint16_t *ret_head)
{
	if (!is_available(q) && !wait_for_more(q))
		return 0;
	return take_chain(q, ret_head);
}

void virtqueue_packed_unpop(struct virtqueue *q, unsigned n)
{
	struct virtqueue_packed *p = q->ring;

	for (; n; n--) {
		uint16_t head = p->taken[--p->n_taken % ARRAY_SIZE(p->taken)];
		unsigned count = p->heads[head].count;

		if (p->avail < count) {
			p->avail = (uint16_t)(p->avail + q->size);
			p->avail_wrap = !p->avail_wrap;
		}
		p->avail = (uint16_t)(p->avail - count);
		put_back(p, head, count);
		p->heads[head].count = 0;
	}
}

int virtqueue_packed_fill(struct virtqueue *q, uint16_t head, uint32_t written,
			  unsigned ahead)
{
	struct virtqueue_packed *p = q->ring;

	if (head >= q->size || !p->heads[head].count)
		return -EPROTO;
	p->staged[ahead].head = head;
	p->staged[ahead].written = written;
	return 0;
}

/* All but the flags, which make it the driver's. */
static uint16_t write_used(struct virtqueue *q, uint16_t at, bool wrap,
			   uint16_t id, uint32_t written)
{
	uint8_t *d = desc_at(q, at);

	memcpy(d + DESC_LENGTH, &written, sizeof(written));
	memcpy(d + DESC_ID, &id, sizeof(id));
	return (uint16_t)((wrap ? FLAG_AVAIL | FLAG_USED : 0) |
			  (written ? VIRTQ_DESC_WRITE : 0));
}

/* The driver looks at them in order, so the first one's flags, written last,
 * show them all. */
void virtqueue_packed_publish(struct virtqueue *q, unsigned n)
{
	struct virtqueue_packed *p = q->ring;
	uint8_t *first = desc_at(q, p->used) + DESC_FLAGS;
	uint16_t first_flags = 0;

	for (unsigned i = 0; i < n; i++) {
		uint16_t head = p->staged[i].head;
		unsigned count = p->heads[head].count;
		uint16_t flags = write_used(q, p->used, p->used_wrap,
					    p->heads[head].id,
					    p->staged[i].written);

		if (i == 0)
			first_flags = flags;
		else
			virtq_store16(desc_at(q, p->used) + DESC_FLAGS, flags);
		advance(q, &p->used, &p->used_wrap, count);
		p->used_total += count;
		put_back(p, head, count);
		p->heads[head].count = 0;
	}
	if (n)
		virtq_store16(first, first_flags);
}

/* How far `at` with its wrap counter is, in a ring unrolled twice. */
static unsigned unrolled(const struct virtqueue *q, unsigned at, bool wrap)
{
	return at % q->size + (wrap ? 0 : q->size);
}

bool virtqueue_packed_should_notify(struct virtqueue *q)
{
	struct virtqueue_packed *p = q->ring;
	uint32_t moved = p->used_total - p->signalled_total;
	uint16_t flags, event;
	unsigned behind;

	if (moved == 0)
		return false;
	p->signalled_total = p->used_total;
	/* What was used is written before the driver's wish is read; pairs
	 * with the driver's barrier after it wrote the wish. */
	virtq_full_barrier();
	flags = virtq_load16(q->avail + EVENT_FLAGS) & 3;
	if (flags != EVENTS_DESC || !q->event_index)
		return flags != EVENTS_DISABLE;
	/* Whether the descriptor it waits for is among those just used. */
	event = virtq_load16(q->avail + EVENT_OFFSET);
	behind = (unrolled(q, p->used, p->used_wrap) + 2u * q->size -
		  unrolled(q, event & (WRAP_BIT - 1), event & WRAP_BIT)) %
		 (2u * q->size);
	return behind >= 1 && behind <= moved;
}

void virtqueue_packed_position(const struct virtqueue *q,
			       struct virtqueue_position *ret)
{
	const struct virtqueue_packed *p = q->ring;

	*ret = (struct virtqueue_position){p->avail, p->used, p->avail_wrap,
					   p->used_wrap};
}

int virtqueue_packed_set_position(struct virtqueue *q,
				  const struct virtqueue_position *position)
{
	struct virtqueue_packed *p = q->ring;

	if (position->avail >= q->size || position->used >= q->size)
		return -EINVAL;
	p->avail = position->avail;
	p->used = position->used;
	p->avail_wrap = position->avail_wrap;
	p->used_wrap = position->used_wrap;
	return 0;
}
