/*
 * The driver's side of a packed ring for unit tests (VIRTIO 1.2, 2.8), next to
 * that of a split one in vring_fixture.h.
 */
#ifndef TESTS_UNIT_PACKED_FIXTURE_H
#define TESTS_UNIT_PACKED_FIXTURE_H

#include "tests/unit/vring_fixture.h"

#define PACKED_AVAIL 0x80u
#define PACKED_USED  0x8000u

/* As it lies in guest memory (2.8.13). */
struct packed_desc {
	uint64_t address;
	uint32_t length;
	uint16_t id, flags;
};

struct packed_ring {
	struct ram *ram;
	uint64_t desc, driver, device;
	uint16_t size, next, seen; /* where we write, and look */
	bool wrap, seen_wrap;
};

static inline void packed_init(struct packed_ring *p, struct ram *ram,
			       unsigned index, uint16_t size)
{
	uint64_t base = RAM_GPA + index * (uint64_t)RING_BYTES;

	*p = (struct packed_ring){ram, base, base + 0x800, base + 0xc00, size,
				  0,   0,    true,	   true};
	memset(ram_at(ram, base), 0, RING_BYTES);
}

static inline struct packed_desc *packed_at(const struct packed_ring *p,
					    unsigned at)
{
	return (struct packed_desc *)ram_at(p->ram, p->desc) + at;
}

static inline uint16_t *packed_event(const struct packed_ring *p, uint64_t gpa,
				     unsigned field)
{
	return (uint16_t *)ram_at(p->ram, gpa) + field;
}

/* What the driver wants of interrupts: the position, and RING_EVENT_FLAGS. */
static inline void packed_want(const struct packed_ring *p, unsigned at,
			       bool wrap, unsigned flags)
{
	*packed_event(p, p->driver, 0) = (uint16_t)(at | (wrap ? 0x8000 : 0));
	*packed_event(p, p->driver, 1) = (uint16_t)flags;
}

/* The next descriptor of a chain, whose last one has `id`. */
static inline void packed_add(struct packed_ring *p, uint64_t address,
			      uint32_t length, unsigned flags, uint16_t id)
{
	*packed_at(p, p->next) = (struct packed_desc){
		address, length, id,
		(uint16_t)(flags | (p->wrap ? PACKED_AVAIL : PACKED_USED))};
	if (++p->next == p->size) {
		p->next = 0;
		p->wrap = !p->wrap;
	}
}

/* The next used one; the caller knows how many descriptors its chain had. */
static inline bool packed_take(struct packed_ring *p, unsigned count,
			       uint16_t *id, uint32_t *written)
{
	const struct packed_desc *d = packed_at(p, p->seen);

	if (!!(d->flags & PACKED_AVAIL) != p->seen_wrap ||
	    !!(d->flags & PACKED_USED) != p->seen_wrap)
		return false;
	*id = d->id;
	*written = d->length;
	p->seen = (uint16_t)(p->seen + count);
	if (p->seen >= p->size) {
		p->seen = (uint16_t)(p->seen - p->size);
		p->seen_wrap = !p->seen_wrap;
	}
	return true;
}

#endif
