/*
 * When a change is given to commit(): invariants 3 to 7 of cfi_flash.h.
 *
 * What ArmVirt's VirtNorFlashDxe (EDK2 2022.11) gives the variable bank, seen
 * and as its source says; [..] are of one FvbWrite or FvbEraseBlocks:
 *   bits to clear only   [FF 90, E8 program 70 50, FF]
 *   a block anew         [FF FF 90, 20 D0 70, FF, (E8 program 70 50)*, FF]
 *   a block erased       [90, 20 D0 70, FF]
 * Of a block anew, pieces of 128 bytes that are all ones are not programmed,
 * so neither the last address nor the number of pieces tells its end.
 */
#include <sys/mman.h>

#include "vmm-kvm/devices/cfi_flash_internal.h"

int journal_init(struct cfi_flash *f)
{
	void *at;

	if (f->p.readonly)
		return 0;
	at = mmap(NULL, CFI_FLASH_BLOCK_BYTES, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return -ENOMEM;
	f->before = at;
	return 0;
}

void journal_done(struct cfi_flash *f)
{
	if (f->before)
		munmap(f->before, CFI_FLASH_BLOCK_BYTES);
	f->before = NULL;
}

/* Seconds of a guest's life need it; its pages go back in between. */
static void rewrite_end(struct cfi_flash *f)
{
	if (f->rewrite != REWRITE_NONE)
		(void)madvise(f->before, CFI_FLASH_BLOCK_BYTES, MADV_DONTNEED);
	f->rewrite = REWRITE_NONE;
}

static bool dirty(const struct cfi_flash *f)
{
	return f->dirty_start < f->dirty_end;
}

void journal_changed(struct cfi_flash *f, uint64_t offset, uint64_t size)
{
	if (!dirty(f)) {
		f->dirty_start = offset;
		f->dirty_end = offset + size;
		return;
	}
	f->dirty_start = MIN(f->dirty_start, offset);
	f->dirty_end = MAX(f->dirty_end, offset + size);
}

static void rewrite_begin(struct cfi_flash *f, uint64_t block)
{
	uint64_t size = block_size(f, block);

	for (uint64_t at = 0; at < size; at += 4) {
		uint32_t word = content_load(f, block + at);

		memcpy(f->before + at, &word, sizeof(word));
	}
	f->rewrite = REWRITE_ERASED;
	f->rewrite_block = block;
}

void journal_erase(struct cfi_flash *f, uint64_t block)
{
	bool again = f->rewrite_block == block;

	switch (f->rewrite) {
	case REWRITE_NONE:
		/* Programmed, and not back to the array yet: invariant 5. */
		if (!dirty(f))
			rewrite_begin(f, block);
		break;
	case REWRITE_ERASED:
		/* Still what was there before the first erase. */
		if (!again)
			rewrite_begin(f, block);
		break;
	case REWRITE_FILLING:
		/* Begun again; or the other block is finished, and not back
		 * to the array yet. */
		if (again)
			f->rewrite = REWRITE_ERASED;
		else
			rewrite_end(f);
		break;
	}
}

void journal_program(struct cfi_flash *f, uint64_t offset)
{
	if (f->rewrite != REWRITE_ERASED)
		return;
	/* Elsewhere: the erase was all there was to it. */
	if (f->rewrite_block == block_of(offset))
		f->rewrite = REWRITE_FILLING;
	else
		rewrite_end(f);
}

static void commit(struct cfi_flash *f)
{
	uint64_t start = f->dirty_start, size = f->dirty_end - start;

	rewrite_end(f);
	f->dirty_start = f->dirty_end = 0;
	if (size && f->p.commit)
		f->p.commit(f->p.cookie, start, size);
}

void journal_array(struct cfi_flash *f)
{
	if (f->rewrite != REWRITE_ERASED)
		commit(f);
}

static void rewrite_undo(struct cfi_flash *f)
{
	uint64_t block = f->rewrite_block, size = block_size(f, block);

	for (uint64_t at = 0; at < size; at += 4) {
		uint32_t word;

		memcpy(&word, f->before + at, sizeof(word));
		__atomic_store_n(content_word(f, block + at), word,
				 __ATOMIC_RELAXED);
	}
	content_publish(f, block, size);
}

void journal_cut(struct cfi_flash *f)
{
	if (f->rewrite == REWRITE_FILLING)
		rewrite_undo(f);
	rewrite_end(f);
}
