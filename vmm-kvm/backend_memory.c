/*
 * The memory of a machine on its way into a snapshot. It stands still: no vCPU
 * runs and no device touches it.
 */
#include <sys/mman.h>

#include "vmm-kvm/backend_internal.h"

/* Between two looks at how far it is. */
#define STEP MIB(16)
/* Whose tags are read at once: no huge page is split for it. */
#define TAGS_STEP MIB(2)

/* Asking for its tags filled memory that the guest never had; that is given
 * back. Untouched memory reads as zero, and so do its tags. */
static void give_back(const struct vmm *v, void *hva, uint64_t size)
{
	int backing = v->params.config->memory_backing;

	if (backing == VM_MEMORY_ANONYMOUS)
		(void)!madvise(hva, size, MADV_DONTNEED);
}

/* `tags` has room for those of TAGS_STEP bytes. */
static int write_tags(struct vmm *v, struct snapshot_writer *w,
		      const struct board_bank_memory *bank, uint64_t at,
		      uint64_t size, uint8_t *tags, struct error *e)
{
	uint64_t end = at + size;
	int r = 0;

	while (!r && at < end) {
		uint64_t n = MIN(TAGS_STEP, end - at);
		uint8_t *hva = (uint8_t *)bank->hva + at;

		r = kvm_vm_get_tags(v->machine.vm, bank->gpa + at, n, tags, e);
		if (!r)
			r = snapshot_write_tags(w, bank->gpa + at, tags, n, e);
		if (!r && snapshot_is_zero(tags, n / SNAPSHOT_GRANULE) &&
		    snapshot_is_zero(hva, n))
			give_back(v, hva, n);
		at += n;
	}
	return r;
}

static int write_step(struct snapshot_writer *w,
		      const struct board_bank_memory *bank, uint64_t at,
		      uint64_t size, struct error *e)
{
	const uint8_t *hva = (const uint8_t *)bank->hva + at;

	return bank->fd >= 0
		       ? snapshot_write_mapped(w, bank->gpa + at, hva, size,
					       bank->fd, at, e)
		       : snapshot_write_memory(w, bank->gpa + at, hva, size, e);
}

int backend_write_bank(struct vmm *v, enum board_bank which,
		       struct snapshot_writer *w, atomic_uint_least64_t *done,
		       struct error *e)
{
	const struct board_bank_memory *bank = board_bank(v->board, which);
	bool tagged = which == BOARD_BANK_RAM && v->machine.env.abi.mte;
	_cleanup_free_ uint8_t *tags =
		tagged ? malloc(TAGS_STEP / SNAPSHOT_GRANULE) : NULL;
	uint64_t at = 0;
	int r = tagged && !tags ? error_set(e, -ENOMEM, "out of memory") : 0;

	while (!r && at < bank->size_bytes) {
		uint64_t n = MIN(STEP, bank->size_bytes - at);

		r = write_step(w, bank, at, n, e);
		if (!r && tagged)
			r = write_tags(v, w, bank, at, n, tags, e);
		at += n;
		atomic_fetch_add(done, n);
	}
	return r;
}

int backend_read_tags(struct vmm *v, struct snapshot_reader *reader,
		      const struct snapshot_section *s, struct error *e)
{
	const struct board_bank_memory *ram = board_bank(v->board,
							 BOARD_BANK_RAM);
	_cleanup_free_ uint8_t *tags = malloc(s->size / SNAPSHOT_GRANULE);
	int r;

	if (!tags)
		return error_set(e, -ENOMEM, "out of memory");
	if (!v->machine.env.abi.mte || s->address < ram->gpa)
		return error_set(e, -EBADMSG,
				 "the snapshot has tags of memory at %#llx, "
				 "where the machine has none",
				 (unsigned long long)s->address);
	r = snapshot_run(reader, s, tags, e);
	return r ? r
		 : kvm_vm_set_tags(v->machine.vm, s->address, s->size, tags, e);
}
