/*
 * Between the parts of the flash: cfi_flash.c understands what is written,
 * cfi_flash_view.c decides what is read, cfi_flash_journal.c when a change is
 * given to commit().
 */
#ifndef VMM_KVM_DEVICES_CFI_FLASH_INTERNAL_H
#define VMM_KVM_DEVICES_CFI_FLASH_INTERNAL_H

#include "vmm-kvm/devices/cfi_flash.h"

/* Words a write buffer of the pair holds (32 halfwords in each chip). */
#define BUFFER_WORDS 32
#define BUFFER_BYTES (4 * BUFFER_WORDS)
/* Pieces of a block that are patched ahead; see delay_patch(). */
#define AHEAD_MAX   512
#define PATCHES_MAX (3 + AHEAD_MAX)

/* What reading shows. */
enum mode { MODE_ARRAY, MODE_STATUS, MODE_ID, MODE_QUERY };

/* What the next write means. */
enum step {
	STEP_COMMAND,
	STEP_PROGRAM,
	STEP_ERASE,
	STEP_LOCK,
	STEP_COUNT,
	STEP_DATA,
	STEP_CONFIRM,
};

/* How far the rewriting of a block is; invariants 4 to 6 of cfi_flash.h. */
enum rewrite {
	REWRITE_NONE,	/* what changed is committed with the array */
	REWRITE_ERASED, /* erased, nothing programmed since: not yet */
	REWRITE_FILLING /* being programmed: the array ends it */
};

/* One write as the chips see it: a word, and which of its bytes are meant. */
struct cycle {
	uint64_t offset; /* multiple of 4, inside the bank */
	uint32_t value, mask;
};

struct patch {
	uint32_t offset, truth; /* a bank has at most 4 GiB */
};

struct cfi_flash {
	struct mmio_region region;
	struct cfi_flash_params p;
	enum mode mode;
	enum step step;
	uint64_t address; /* of the last command */
	uint8_t status;
	bool mapped;

	struct patch patches[PATCHES_MAX];
	unsigned n_patches;
	bool delayed; /* data words may come late */
	bool queried; /* a driver that asks is not ArmVirt's */

	struct cycle buffer[BUFFER_WORDS];
	unsigned n_buffer, n_expected;

	uint64_t dirty_start, dirty_end; /* equal: nothing */
	enum rewrite rewrite;
	uint64_t rewrite_block; /* unless REWRITE_NONE */
	uint8_t *before;	/* that block as it was before its erase */
};

static inline uint64_t block_of(uint64_t offset)
{
	return ALIGN_DOWN(offset, CFI_FLASH_BLOCK_BYTES);
}

/* What the content has of a block that starts inside it. */
static inline uint64_t block_size(const struct cfi_flash *f, uint64_t block)
{
	return MIN(CFI_FLASH_BLOCK_BYTES, f->p.content_size - block);
}

static inline uint32_t *content_word(const struct cfi_flash *f, uint64_t offset)
{
	return (uint32_t *)((uint8_t *)f->p.content + offset);
}

static inline bool content_has(const struct cfi_flash *f, uint64_t offset)
{
	return offset < f->p.content_size; /* both multiples of 4 */
}

/* Whole words, because vCPUs read the mapped content while we write it. */
static inline uint32_t content_load(const struct cfi_flash *f, uint64_t offset)
{
	return __atomic_load_n(content_word(f, offset), __ATOMIC_RELAXED);
}

/* Let the guest see `size` bytes just stored at `offset`. */
void content_publish(const struct cfi_flash *f, uint64_t offset, uint64_t size);
void content_store(const struct cfi_flash *f, uint64_t offset, uint32_t value);

/* Show this at a word of the content, unless it is patched already. */
void patch_set(struct cfi_flash *f, uint64_t offset, uint32_t shown);
/* Put the true words back. Needed before content is judged or changed. */
void view_restore(struct cfi_flash *f);
/* Show `mode` on behalf of a command at `address`. */
void view_set(struct cfi_flash *f, enum mode mode, uint64_t address);
/* mmio_ops.read */
uint64_t view_read(void *dev, uint64_t offset, unsigned size);

/* A buffer was programmed; its confirmation came at `confirmed`. */
void delay_recognize(struct cfi_flash *f, uint64_t confirmed);
/* No driver is known to be there any more; or it is one that asks. */
void delay_end(struct cfi_flash *f, bool queried);
/* Patch what a driver reads before its delayed writes have come. */
void delay_patch(struct cfi_flash *f);

/* -ENOMEM. A read-only bank needs no journal. */
int journal_init(struct cfi_flash *f) must_check;
void journal_done(struct cfi_flash *f);

/* These bytes changed. */
void journal_changed(struct cfi_flash *f, uint64_t offset, uint64_t size);
/* This block of the content is about to be erased; no patches are set. */
void journal_erase(struct cfi_flash *f, uint64_t block);
/* A command to program at this place was given. */
void journal_program(struct cfi_flash *f, uint64_t offset);
/* The array is shown: commit what may be. */
void journal_array(struct cfi_flash *f);
/* The guest stops here: undo a rewrite that has not ended, so that all that
 * is left may be committed. No patches are set. */
void journal_cut(struct cfi_flash *f);

#endif
