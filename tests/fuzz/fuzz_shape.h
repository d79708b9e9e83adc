/*
 * What a queue is about to be shown, for fuzz_kinds.h: the chain a live device
 * takes next, judged from guest memory alone.
 */
#ifndef TESTS_FUZZ_FUZZ_SHAPE_H
#define TESTS_FUZZ_FUZZ_SHAPE_H

#include "tests/fuzz/fuzz_dma.h"
#include "tests/fuzz/fuzz_kinds.h"

/* Copied from memory; false: it is not there. */
static inline bool fuzz_peek_at(uint64_t gpa, void *to, size_t bytes)
{
	size_t at = fuzz_ram_index(gpa, bytes);

	if (at == SIZE_MAX)
		return false;
	memcpy(to, fuzz_ram_byte(at), bytes);
	return true;
}

static inline void fuzz_shape_buffer(const struct virtq_desc *d)
{
	if (fuzz_ram_index(d->address, d->length) == SIZE_MAX)
		fuzz_kind(KIND_OUTSIDE);
}

/* In a packed table flags are where a split one has its link. */
static inline void fuzz_shape_table(const struct virtqueue *q,
				    const struct virtq_desc *from)
{
	unsigned n = from->length / 16;

	if (fuzz_ram_index(from->address, from->length) == SIZE_MAX) {
		fuzz_kind(KIND_OUTSIDE);
		return;
	}
	if (n > q->size)
		fuzz_kind(KIND_LONG);
	for (unsigned i = 0; i < n; i++) {
		struct virtq_desc d;

		if (!fuzz_peek_at(from->address + 16ull * i, &d, sizeof(d)))
			return;
		if ((q->packed ? d.next : d.flags) & VIRTQ_DESC_INDIRECT) {
			fuzz_kind(KIND_NESTED);
			return;
		}
		fuzz_shape_buffer(&d);
	}
}

static inline void fuzz_shape_split(const struct virtqueue *q)
{
	uint16_t index, waiting, at, seen = 0;

	if (!fuzz_peek_at(q->avail_gpa + 2, &index, 2))
		return;
	waiting = (uint16_t)(index - q->last_avail);
	if (waiting > q->size) {
		fuzz_kind(KIND_JUMP);
		return;
	}
	if (!waiting ||
	    !fuzz_peek_at(q->avail_gpa + 4 + 2ull * (q->last_avail % q->size),
			  &at, 2))
		return;
	while (at < q->size && seen++ < q->size) {
		struct virtq_desc d;

		if (!fuzz_peek_at(q->desc_gpa + 16ull * at, &d, sizeof(d)))
			return;
		if (d.flags & VIRTQ_DESC_INDIRECT) {
			fuzz_shape_table(q, &d);
			return;
		}
		fuzz_shape_buffer(&d);
		if (!(d.flags & VIRTQ_DESC_NEXT))
			return;
		at = d.next;
	}
	fuzz_kind(at < q->size ? KIND_LOOP : KIND_OUTSIDE);
}

static inline void fuzz_shape_packed(const struct virtqueue *q)
{
	struct virtqueue_position p;
	unsigned n;

	virtqueue_position(q, &p);
	for (n = 0; n < q->size; n++) {
		struct virtq_desc d;
		uint16_t flags;

		if (!fuzz_peek_at(q->desc_gpa + 16ull * p.avail, &d, sizeof(d)))
			return;
		flags = d.next;
		if (!!(flags & 0x80) != p.avail_wrap ||
		    !!(flags & 0x8000) == p.avail_wrap) {
			/* Its owner is neither driver nor device. */
			if (n > 0 || !!(flags & 0x80) != !!(flags & 0x8000))
				fuzz_kind(KIND_JUMP);
			return;
		}
		fuzz_kind(KIND_PACKED);
		if (flags & VIRTQ_DESC_INDIRECT) {
			fuzz_shape_table(q, &d);
			return;
		}
		fuzz_shape_buffer(&d);
		if (!(flags & VIRTQ_DESC_NEXT))
			return;
		if (++p.avail == q->size) {
			p.avail = 0;
			p.avail_wrap = !p.avail_wrap;
		}
	}
	/* Linked to the descriptor it began with. */
	fuzz_kind(KIND_LOOP);
}

/* The device is told to look at this queue. */
static inline void fuzz_shape(const struct virtio_dev *d, unsigned queue)
{
	const struct virtqueue *q = &d->queues[queue];

	if (!virtio_live(d) || !q->ready || q->broken)
		return;
	if (q->packed)
		fuzz_shape_packed(q);
	else
		fuzz_shape_split(q);
}

#endif
