/*
 * Guest memory for fuzz targets: two regions with a hole between them, in one
 * host block where forbidden pages lie around each. A device that leaves its
 * guest's memory is caught at once when instrumented code does it, and at the
 * end of the run when the kernel did.
 */
#ifndef TESTS_FUZZ_FUZZ_RAM_H
#define TESTS_FUZZ_FUZZ_RAM_H

#include <sanitizer/asan_interface.h>

#include "tests/fuzz/fuzz_input.h"
#include "vmm-kvm/devices/guest_mem.h"

#define FUZZ_LOW_GPA	0x40000000ull
#define FUZZ_LOW_BYTES	0x4000
#define FUZZ_HIGH_GPA	0x80000000ull
#define FUZZ_HIGH_BYTES 0x2000
#define FUZZ_PAGE	0x1000
#define FUZZ_CANARY	0xc5

struct fuzz_ram {
	struct guest_mem mem;
};

/* canary, low, canary, high, canary */
static uint8_t fuzz_host[3 * FUZZ_PAGE + FUZZ_LOW_BYTES + FUZZ_HIGH_BYTES]
	__attribute__((aligned(FUZZ_PAGE)));

#define FUZZ_LOW  (fuzz_host + FUZZ_PAGE)
#define FUZZ_HIGH (FUZZ_LOW + FUZZ_LOW_BYTES + FUZZ_PAGE)

static inline uint8_t *fuzz_canary(unsigned i)
{
	uint8_t *const pages[] = {fuzz_host, FUZZ_LOW + FUZZ_LOW_BYTES,
				  FUZZ_HIGH + FUZZ_HIGH_BYTES};

	return pages[i];
}

static inline void fuzz_ram_init(struct fuzz_ram *r)
{
	*r = (struct fuzz_ram){0};
	/* Rings and tables begin empty; the rest is something, to be seen
	 * where it should not be. */
	memset(FUZZ_LOW, 0, FUZZ_PAGE);
	memset(FUZZ_LOW + FUZZ_PAGE, 0x5a, FUZZ_LOW_BYTES - FUZZ_PAGE);
	memset(FUZZ_HIGH, 0, FUZZ_PAGE);
	memset(FUZZ_HIGH + FUZZ_PAGE, 0x5a, FUZZ_HIGH_BYTES - FUZZ_PAGE);
	for (unsigned i = 0; i < 3; i++) {
		ASAN_UNPOISON_MEMORY_REGION(fuzz_canary(i), FUZZ_PAGE);
		memset(fuzz_canary(i), FUZZ_CANARY, FUZZ_PAGE);
		ASAN_POISON_MEMORY_REGION(fuzz_canary(i), FUZZ_PAGE);
	}
	fuzz_check(guest_mem_add(&r->mem, FUZZ_LOW_GPA, FUZZ_LOW_BYTES,
				 FUZZ_LOW) == 0);
	fuzz_check(guest_mem_add(&r->mem, FUZZ_HIGH_GPA, FUZZ_HIGH_BYTES,
				 FUZZ_HIGH) == 0);
}

static inline void fuzz_ram_done(struct fuzz_ram *r)
{
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *page = fuzz_canary(i);

		ASAN_UNPOISON_MEMORY_REGION(page, FUZZ_PAGE);
		fuzz_check(page[0] == FUZZ_CANARY &&
			   memcmp(page, page + 1, FUZZ_PAGE - 1) == 0);
	}
}

/* A guest physical address: mostly in RAM, often where it begins or ends, and
 * sometimes nowhere. */
static inline uint64_t fuzz_address(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	uint64_t at = fuzz_u16(in);

	switch (how & 15) {
	case 0:
		return FUZZ_LOW_GPA + FUZZ_LOW_BYTES - at % 32;
	case 1:
		return FUZZ_HIGH_GPA + FUZZ_HIGH_BYTES - at % 32;
	case 2:
		return FUZZ_LOW_GPA - at % 32;
	case 3:
		return UINT64_MAX - at % 32;
	case 4:
		return 0x08000000 + at; /* device registers */
	case 5:
		return fuzz_u64(in);
	case 6:
	case 7:
		return FUZZ_HIGH_GPA + at % FUZZ_HIGH_BYTES;
	default:
		return FUZZ_LOW_GPA + at % FUZZ_LOW_BYTES;
	}
}

/* The guest's own write, where it can. */
static inline void fuzz_poke(struct fuzz_ram *r, uint64_t gpa, const void *data,
			     size_t size)
{
	if (size && guest_mem_write(&r->mem, gpa, data, size) < 0)
		return; /* a fault of the guest's own */
}

#endif
