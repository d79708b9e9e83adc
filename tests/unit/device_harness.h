/*
 * For tests of memory-mapped devices: register access through a real bus, a
 * table of registers with their reset value and writable bits, an interrupt
 * line that remembers its level, and a repeatable source of nonsense.
 */
#ifndef TESTS_UNIT_DEVICE_HARNESS_H
#define TESTS_UNIT_DEVICE_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vmm-kvm/devices/bus.h"
#include "vmm-kvm/devices/irq.h"

#define HARNESS_BASE 0x09000000

struct wire {
	bool level;
	unsigned rises;
};

static inline void wire_set(void *cookie, uint32_t intid, bool level)
{
	struct wire *w = cookie;

	assert_int_equal(intid, 33);
	w->rises += level && !w->level;
	w->level = level;
}

static inline struct irq_line wire_line(struct wire *w)
{
	return (struct irq_line){.set = wire_set, .cookie = w, .intid = 33};
}

static inline uint64_t reg_read_n(struct bus *b, uint64_t offset, unsigned n)
{
	uint64_t v;

	assert_true(bus_read(b, HARNESS_BASE + offset, n, &v));
	return v;
}

static inline void reg_write_n(struct bus *b, uint64_t offset, unsigned n,
			       uint64_t value)
{
	assert_true(bus_write(b, HARNESS_BASE + offset, n, value));
}

static inline uint32_t reg_read(struct bus *b, uint64_t offset)
{
	return (uint32_t)reg_read_n(b, offset, 4);
}

static inline void reg_write(struct bus *b, uint64_t offset, uint32_t value)
{
	reg_write_n(b, offset, 4, value);
}

static inline struct bus *harness_bus(struct mmio_region *r)
{
	struct bus *b;

	assert_int_equal(bus_new(&b), 0);
	r->base = HARNESS_BASE;
	assert_int_equal(bus_add(b, r), 0);
	return b;
}

struct reg_row {
	const char *name;
	uint32_t offset, reset, writable;
};

/* Every row reads its reset value, and holds exactly its writable bits. */
static inline void check_registers(struct bus *b, const struct reg_row *rows,
				   size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct reg_row *r = &rows[i];

		if (reg_read(b, r->offset) != r->reset)
			fail_msg("%s resets to %#x", r->name,
				 reg_read(b, r->offset));
	}
	for (size_t i = 0; i < n; i++) {
		const struct reg_row *r = &rows[i];
		uint32_t fixed = r->reset & ~r->writable;

		reg_write(b, r->offset, UINT32_MAX);
		if (reg_read(b, r->offset) != (fixed | r->writable))
			fail_msg("%s holds %#x after ones", r->name,
				 reg_read(b, r->offset));
		reg_write(b, r->offset, 0);
		if (reg_read(b, r->offset) != fixed)
			fail_msg("%s holds %#x after zeroes", r->name,
				 reg_read(b, r->offset));
	}
}

/* The way Linux's AMBA bus identifies a part. */
static inline uint32_t primecell_word(struct bus *b, uint32_t offset)
{
	uint32_t id = 0;

	for (unsigned i = 0; i < 4; i++)
		id |= (reg_read(b, offset + 4 * i) & 0xff) << (8 * i);
	return id;
}

/* xorshift64: repeatable, and the state is the seed. */
static inline uint64_t noise(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Accesses of every size at any offset of the region with any value. */
static inline void throw_nonsense(struct bus *b, const struct mmio_region *r,
				  unsigned rounds, uint64_t seed)
{
	for (unsigned i = 0; i < rounds; i++) {
		unsigned size = 1u << (noise(&seed) & 3);
		uint64_t room = r->size_bytes - size + 1;
		uint64_t at = HARNESS_BASE + noise(&seed) % room;
		uint64_t ignored;

		/* Mostly where the registers are. */
		if (noise(&seed) & 3)
			at = HARNESS_BASE + (at & 0x7c);
		if (noise(&seed) & 1)
			bus_write(b, at, size, noise(&seed));
		else
			bus_read(b, at, size, &ignored);
	}
}

#endif
