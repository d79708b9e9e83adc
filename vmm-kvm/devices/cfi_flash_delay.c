/*
 * Which writes may come late, and what is read before they do: invariant 8 of
 * cfi_flash.h. The driver is VirtNorFlashDxe (EDK2 2022.11 to 2025.02) as its
 * source says: NorFlashWriteBuffer() for data, commands at word 0 of the bank,
 * and at words 0 and 2 of a block.
 */
#include "vmm-kvm/devices/cfi_flash_internal.h"

#define COMMAND_BYTES 12	 /* of each block */
#define QUERY_AT      (4 * 0x55) /* JESD68.01, 2.4, in words of the pair */
#define BLOCKS_MAX    4		 /* as many as the variables have, and more */
#define READY	      0x00800080u
/* Pieces that are erased one after the other: behind them is nothing. */
#define ERASED_MAX 8

static void zone_set(struct cfi_flash *f, uint64_t from, uint64_t to, bool on)
{
	f->p.delay(f->p.cookie, from, to - from, on);
}

static void zones_set(struct cfi_flash *f, bool on)
{
	for (uint64_t i = 0; i < BLOCKS_MAX; i++) {
		uint64_t block = i * CFI_FLASH_BLOCK_BYTES;
		uint64_t from = block + COMMAND_BYTES;

		if (!content_has(f, from))
			break;
		if (i == 0) {
			zone_set(f, from, QUERY_AT, on);
			from = QUERY_AT + 4;
		}
		zone_set(f, from, block + block_size(f, block), on);
	}
	f->delayed = on;
}

void delay_recognize(struct cfi_flash *f, uint64_t confirmed)
{
	if (f->delayed || f->queried || !f->p.delay || confirmed != 0 ||
	    f->p.content_size < CFI_FLASH_BLOCK_BYTES)
		return;
	/* In the first piece a driver of another kind would confirm at 0. */
	if (f->address < BUFFER_BYTES || f->address % BUFFER_BYTES ||
	    f->n_buffer != BUFFER_WORDS)
		return;
	for (unsigned i = 0; i < f->n_buffer; i++)
		if (f->buffer[i].offset != f->address + 4 * i ||
		    f->buffer[i].mask != UINT32_MAX)
			return;
	zones_set(f, true);
}

void delay_end(struct cfi_flash *f, bool queried)
{
	f->queried = queried;
	if (f->delayed)
		zones_set(f, false);
}

/* Before it programs within a block the driver asks for its lock, so its id is
 * shown; for all pieces but the first, which shows an id there. */
static void pieces_ready(struct cfi_flash *f, uint64_t block)
{
	uint64_t end = block + block_size(f, block);
	unsigned erased = 0;

	for (uint64_t at = block + BUFFER_BYTES;
	     at < end && erased < ERASED_MAX && f->n_patches < PATCHES_MAX;
	     at += BUFFER_BYTES) {
		uint32_t word = content_load(f, at);

		erased = word == UINT32_MAX ? erased + 1 : 0;
		if ((word & READY) != READY)
			patch_set(f, at, word | READY);
	}
}

void delay_patch(struct cfi_flash *f)
{
	uint64_t next = ALIGN_DOWN(f->address, (uint64_t)BUFFER_BYTES) +
			BUFFER_BYTES;

	if (f->mode == MODE_ID)
		pieces_ready(f, block_of(f->address));
	else if (f->mode == MODE_STATUS && f->step == STEP_COMMAND)
		patch_set(f, next, f->status << 16 | f->status);
}
