/*
 * The driver's side of a split ring for unit tests: guest RAM, descriptors and
 * ring fields written as a driver would, or as none ever should.
 */
#ifndef TESTS_UNIT_VRING_FIXTURE_H
#define TESTS_UNIT_VRING_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include "vmm-kvm/devices/virtqueue.h"

#define RAM_GPA	   0x40000000ull
#define RAM_BYTES  MIB(1)
#define RING_SIZE  8
#define DATA_GPA   (RAM_GPA + 0x10000) /* above the rings of a few queues */
#define RING_BYTES 0x1000	       /* from one queue's rings to the next */

struct ram {
	struct guest_mem mem;
	uint8_t *bytes;
};

static inline void ram_init(struct ram *r)
{
	*r = (struct ram){0};
	r->bytes = aligned_alloc(4096, RAM_BYTES);
	assert_non_null(r->bytes);
	memset(r->bytes, 0, RAM_BYTES);
	assert_int_equal(guest_mem_add(&r->mem, RAM_GPA, RAM_BYTES, r->bytes),
			 0);
}

static inline void ram_done(struct ram *r)
{
	free(r->bytes);
}

static inline void *ram_at(const struct ram *r, uint64_t gpa)
{
	return r->bytes + (gpa - RAM_GPA);
}

struct vring {
	struct ram *ram;
	uint64_t desc, avail, used;
	uint16_t size, added, seen;
};

static inline void vring_init(struct vring *v, struct ram *ram, unsigned index,
			      uint16_t size)
{
	uint64_t base = RAM_GPA + index * (uint64_t)RING_BYTES;

	*v = (struct vring){ram, base, base + 0x800, base + 0xc00, size, 0, 0};
	memset(ram_at(ram, base), 0, RING_BYTES);
}

static inline uint16_t *vring_u16(const struct vring *v, uint64_t gpa)
{
	return ram_at(v->ram, gpa);
}

static inline void vring_desc(struct vring *v, uint64_t table, unsigned i,
			      uint64_t address, uint32_t length, unsigned flags,
			      unsigned next)
{
	struct virtq_desc d = {address, length, (uint16_t)flags,
			       (uint16_t)next};

	memcpy((uint8_t *)ram_at(v->ram, table) + 16 * i, &d, sizeof(d));
}

/* Make chain `head` available. */
static inline void vring_add(struct vring *v, uint16_t head)
{
	*vring_u16(v, v->avail + 4 + 2 * (v->added % v->size)) = head;
	*vring_u16(v, v->avail + 2) = ++v->added;
}

static inline uint16_t vring_used_index(const struct vring *v)
{
	return *vring_u16(v, v->used + 2);
}

/* The next used element; false when there is none. */
static inline bool vring_take(struct vring *v, uint32_t *head,
			      uint32_t *written)
{
	uint32_t element[2];

	if (v->seen == vring_used_index(v))
		return false;
	memcpy(element,
	       (uint8_t *)ram_at(v->ram, v->used) + 4 + 8 * (v->seen % v->size),
	       sizeof(element));
	v->seen++;
	*head = element[0];
	*written = element[1];
	return true;
}

#endif
