/*
 * What ARM's PrimeCell peripherals (PL011, PL031, PL061) share: registers are
 * words at word addresses, and the last 32 bytes of the 4 KiB frame identify
 * the part, one byte per word (e.g. DDI 0183 section 3.3.15 and following).
 *
 * An access counts only at a register's own address; a narrower one sees or
 * writes the low bits, a wider one touches that one register alone.
 */
#ifndef VMM_KVM_DEVICES_PRIMECELL_H
#define VMM_KVM_DEVICES_PRIMECELL_H

#include <stdbool.h>

#include "lib/base/util.h"

#define PRIMECELL_SIZE	 KIB(4)
#define PRIMECELL_ID	 0xfe0 /* PeriphID0..3, then PCellID0..3 */
#define PRIMECELL_ID_END 0x1000

static inline bool primecell_aligned(uint64_t offset)
{
	return (offset & 3) == 0;
}

static inline bool primecell_is_id(uint64_t offset)
{
	return offset >= PRIMECELL_ID && offset < PRIMECELL_ID_END;
}

/* `periph_id` is the four id bytes, the first in the low bits, the way
 * Linux's AMBA bus matches them. */
static inline uint32_t primecell_id(uint64_t offset, uint32_t periph_id)
{
	const uint32_t pcell_id = 0xb105f00d;
	unsigned i = (unsigned)(offset - PRIMECELL_ID) / 4;

	return (i < 4 ? periph_id >> (8 * i) : pcell_id >> (8 * (i - 4))) &
	       0xff;
}

#endif
