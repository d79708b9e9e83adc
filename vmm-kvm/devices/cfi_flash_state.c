/* The flash in a snapshot: all of struct cfi_flash but its patches, which are
 * made anew from the mode. */
#include "vmm-kvm/devices/cfi_flash_internal.h"

void cfi_flash_hold(struct cfi_flash *f, bool held)
{
	if (held)
		view_restore(f);
	else
		view_set(f, f->mode, f->address);
}

void cfi_flash_save(const struct cfi_flash *f, struct state_out *out)
{
	size_t began = state_begin(out, "cfi-flash", 1);

	state_put_u8(out, (uint8_t)f->mode);
	state_put_u8(out, (uint8_t)f->step);
	state_put_u8(out, f->status);
	state_put_u64(out, f->address);
	state_put_u8(out, (uint8_t)f->n_expected);
	state_put_u8(out, (uint8_t)f->n_buffer);
	for (unsigned i = 0; i < f->n_buffer; i++) {
		state_put_u64(out, f->buffer[i].offset);
		state_put_u32(out, f->buffer[i].value);
		state_put_u32(out, f->buffer[i].mask);
	}
	state_put_u64(out, f->dirty_start);
	state_put_u64(out, f->dirty_end);
	state_put_u8(out, (uint8_t)f->rewrite);
	if (f->rewrite != REWRITE_NONE) {
		state_put_u64(out, f->rewrite_block);
		state_put(out, f->before, block_size(f, f->rewrite_block));
	}
	state_end(out, began);
}

/* A word of the bank. */
static bool is_word(const struct cfi_flash *f, uint64_t offset)
{
	return offset < f->p.bank_size && offset % 4 == 0;
}

static void get_buffer(struct cfi_flash *next, struct state_in *r)
{
	next->n_expected = state_get_u8(r);
	next->n_buffer = state_get_u8(r);
	if (next->n_buffer > BUFFER_WORDS)
		r->failed = true;
	for (unsigned i = 0; !r->failed && i < next->n_buffer; i++) {
		next->buffer[i].offset = state_get_u64(r);
		next->buffer[i].value = state_get_u32(r);
		next->buffer[i].mask = state_get_u32(r);
	}
}

static bool buffer_possible(const struct cfi_flash *f)
{
	for (unsigned i = 0; i < f->n_buffer; i++)
		if (!is_word(f, f->buffer[i].offset))
			return false;
	if (f->step == STEP_DATA)
		return f->n_expected <= BUFFER_WORDS &&
		       f->n_buffer < f->n_expected;
	return true;
}

static bool possible(const struct cfi_flash *f)
{
	bool dirty = f->dirty_start < f->dirty_end;

	if (f->mode > MODE_QUERY || f->step > STEP_CONFIRM ||
	    f->rewrite > REWRITE_FILLING || !is_word(f, f->address))
		return false;
	if (!buffer_possible(f) ||
	    (dirty && f->dirty_end > f->p.content_size) ||
	    (!dirty && f->dirty_start != f->dirty_end))
		return false;
	if (f->p.readonly && (dirty || f->rewrite != REWRITE_NONE))
		return false;
	return f->rewrite == REWRITE_NONE ||
	       (content_has(f, f->rewrite_block) &&
		f->rewrite_block == block_of(f->rewrite_block));
}

static int get_rewrite(struct cfi_flash *f, struct cfi_flash *next,
		       struct state_in *r, struct error *e)
{
	const uint8_t *before;
	uint64_t size;
	int err;

	next->rewrite_block = next->rewrite == REWRITE_NONE ? 0
							    : state_get_u64(r);
	if (r->failed || !possible(next))
		return state_bad(r, e, "cannot be");
	if (next->rewrite == REWRITE_NONE)
		return state_close(r, e);
	size = block_size(f, next->rewrite_block);
	before = r->at;
	if (state_left(r) < size)
		return state_bad(r, e, "is too short");
	r->at += size;
	err = state_close(r, e);
	if (!err)
		memcpy(f->before, before, size);
	return err;
}

int cfi_flash_load(struct cfi_flash *f, struct state_in *in, struct error *e)
{
	struct cfi_flash next = *f;
	struct state_in r;
	int err = state_open(in, "cfi-flash", 1, &r, e);

	if (err)
		return err;
	next.mode = (enum mode)state_get_u8(&r);
	next.step = (enum step)state_get_u8(&r);
	next.status = state_get_u8(&r);
	next.address = state_get_u64(&r);
	get_buffer(&next, &r);
	next.dirty_start = state_get_u64(&r);
	next.dirty_end = state_get_u64(&r);
	next.rewrite = (enum rewrite)state_get_u8(&r);
	err = get_rewrite(f, &next, &r, e);
	if (err)
		return err;
	delay_end(f, true);
	/* The content is as recorded: what was patched before is not. */
	next.n_patches = 0;
	/* Nobody wrote down whether its driver had asked. */
	next.delayed = false;
	next.queried = true;
	*f = next;
	content_publish(f, 0, f->p.content_size);
	view_set(f, f->mode, f->address);
	return 0;
}
