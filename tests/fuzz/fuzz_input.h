/*
 * What the fuzz targets share: bytes read as numbers and choices, checks that
 * end a run, and an interrupt line.
 *
 * A target reads its input as a little program: while fuzz_more(), one byte
 * chooses the step, the following ones its operands. Input that has ended
 * reads as zeroes, so that every prefix of a program is a program. No target
 * keeps anything from one run to the next, or asks the clock or chance: the
 * same input does the same again.
 */
#ifndef TESTS_FUZZ_FUZZ_INPUT_H
#define TESTS_FUZZ_FUZZ_INPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "tests/fuzz/fuzz_kinds.h"
#include "vmm-kvm/devices/bus.h"
#include "vmm-kvm/devices/irq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): it must hold in every build. */
#define fuzz_check(condition)                                         \
	do {                                                          \
		if (!(condition)) {                                   \
			fprintf(stderr, "%s:%d: does not hold: %s\n", \
				__FILE__, __LINE__, #condition);      \
			abort();                                      \
		}                                                     \
	} while (0)

/* Steps of one run: more bytes than that say nothing new, only slowly. */
#define FUZZ_STEPS_MAX 200

struct fuzz_input {
	const uint8_t *at;
	size_t left;
	unsigned steps;
};

static inline struct fuzz_input fuzz_begin(const uint8_t *data, size_t size)
{
	return (struct fuzz_input){data, size, 0};
}

static inline bool fuzz_more(struct fuzz_input *in)
{
	return in->left > 0 && in->steps++ < FUZZ_STEPS_MAX;
}

static inline uint64_t fuzz_number(struct fuzz_input *in, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && in->left > 0; i++) {
		value |= (uint64_t)*in->at++ << (8 * i);
		in->left--;
	}
	return value;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	return (uint8_t)fuzz_number(in, 1);
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
	return (uint16_t)fuzz_number(in, 2);
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
	return (uint32_t)fuzz_number(in, 4);
}

static inline uint64_t fuzz_u64(struct fuzz_input *in)
{
	return fuzz_number(in, 8);
}

/* 0 to n-1; n is at most 65536. */
static inline unsigned fuzz_below(struct fuzz_input *in, unsigned n)
{
	return (unsigned)fuzz_number(in, n > 256 ? 2 : 1) % n;
}

/* The width of an access; a bus takes no other. */
static inline unsigned fuzz_width(struct fuzz_input *in)
{
	return 1u << (fuzz_u8(in) & 3);
}

/* Up to `max` bytes of the input itself, borrowed; as many as are left. */
static inline const uint8_t *fuzz_bytes(struct fuzz_input *in, size_t max,
					size_t *ret_size)
{
	const uint8_t *bytes = in->at;

	*ret_size = MIN(max, in->left);
	in->at += *ret_size;
	in->left -= *ret_size;
	return bytes;
}

static inline uint64_t fuzz_mask(unsigned width)
{
	return width == 8 ? UINT64_MAX : (1ull << (8 * width)) - 1;
}

/* One access to a region of the bus. What is read must fit its width. */
static inline void fuzz_access(struct fuzz_input *in, struct bus *bus,
			       const struct mmio_region *r)
{
	unsigned how = fuzz_u8(in), width = 1u << (how & 3);
	uint64_t offset = fuzz_u16(in) % (r->size_bytes - width + 1), value;

	if (how & 4) /* mostly where registers are */
		offset = offset & 0x7c;
	if (width != 4)
		fuzz_kind(KIND_WIDTH);
	if (how & 8) {
		fuzz_check(bus_write(bus, r->base + offset, width,
				     fuzz_number(in, width)));
		return;
	}
	fuzz_check(bus_read(bus, r->base + offset, width, &value));
	fuzz_check((value & ~fuzz_mask(width)) == 0);
}

static inline void fuzz_line_set(void *cookie, uint32_t intid, bool level)
{
	fuzz_check(intid == 33);
	*(bool *)cookie = level;
}

static inline struct irq_line fuzz_line(bool *level)
{
	return (struct irq_line){fuzz_line_set, level, 33};
}

/* A bus with one region. */
static inline struct bus *fuzz_bus(struct mmio_region *r)
{
	struct bus *bus;

	fuzz_check(bus_new(&bus) == 0);
	r->base = 0x09000000;
	fuzz_check(bus_add(bus, r) == 0);
	return bus;
}

static inline uint32_t fuzz_peek(struct bus *bus, const struct mmio_region *r,
				 uint64_t offset)
{
	uint64_t value;

	fuzz_check(bus_read(bus, r->base + offset, 4, &value));
	return (uint32_t)value;
}

#endif
