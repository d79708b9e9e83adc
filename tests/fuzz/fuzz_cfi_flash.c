/*
 * The flash: any writes of any width, and the command sequences of drivers.
 * After each step: what the array holds (patched words undone) only changed
 * by clearing bits in words the guest has just given as data, or by the erase
 * of a whole block, or back to what was committed when the guest stopped; a
 * read-only bank never changed; nothing is patched while the array shows; and
 * what was committed is what is there.
 *
 * Input: byte 0 the shape (bit 0 read-only, bit 1 two blocks), then steps of
 * 1 byte and operands, see run().
 */
#include "tests/fuzz/fuzz_input.h"
#include "vmm-kvm/devices/cfi_flash_internal.h"

#define BLOCK CFI_FLASH_BLOCK_BYTES
#define BANK  (2 * BLOCK)
/* A block that ends early; the second one, where there is one. */
#define SMALL 512
#define LARGE (BLOCK + SMALL)
/* Comparing all of two blocks at every step would take too long. */
#define WINDOW 2048

struct fixture {
	struct cfi_flash *flash;
	struct bus *bus;
	struct mmio_region *region;
	uint32_t *content, *truth, *durable;
	uint64_t size;
	bool readonly, delayed[97]; /* by where a range begins */
	/* Words written to lately: only they may be programmed. */
	uint64_t given[4 * (BUFFER_WORDS + 8)];
	unsigned n_given;
};

static uint32_t content[LARGE / 4], truth[LARGE / 4], durable[LARGE / 4];

/* What the array holds at a word of the content. */
static uint32_t held(const struct fixture *f, uint64_t offset)
{
	for (unsigned i = 0; i < f->flash->n_patches; i++)
		if (f->flash->patches[i].offset == offset)
			return f->flash->patches[i].truth;
	return f->content[offset / 4];
}

/* Kept back are the words of a buffer alone: nothing waits for the others. */
static void on_delay(void *cookie, uint64_t offset, uint64_t size, bool on)
{
	struct fixture *f = cookie;

	fuzz_check(!f->readonly && size > 0 && offset < f->size &&
		   size <= f->size - offset && f->delayed[offset % 97] != on);
	fuzz_check(offset % BLOCK >= 12 && offset % BLOCK + size <= BLOCK &&
		   (offset > 0x154 || offset + size <= 0x154));
	f->delayed[offset % 97] = on;
}

static void on_commit(void *cookie, uint64_t offset, uint64_t size)
{
	struct fixture *f = cookie;

	fuzz_check(!f->readonly && size > 0 && offset < f->size &&
		   size <= f->size - offset);
	fuzz_check(f->flash->n_patches == 0);
	memcpy((uint8_t *)f->durable + offset, (uint8_t *)f->content + offset,
	       size);
	/* All that differs was named. */
	fuzz_check(memcmp(f->durable, f->content, f->size) == 0);
}

static bool was_given(const struct fixture *f, uint64_t offset)
{
	for (unsigned i = 0; i < ARRAY_SIZE(f->given); i++)
		if (f->given[i] == offset)
			return true;
	return false;
}

static void check_word(struct fixture *f, uint64_t at, bool erased)
{
	uint32_t now = held(f, at), was = f->truth[at / 4];

	f->truth[at / 4] = now;
	if (now == was)
		return;
	fuzz_check(!f->readonly);
	if (erased && now == UINT32_MAX)
		return;
	fuzz_check((now & ~was) == 0 && was_given(f, at));
}

/* Erased: the block's ends are, and its first word has just become so. */
static bool block_erased(const struct fixture *f, uint64_t block)
{
	uint64_t size = MIN(BLOCK, f->size - block);

	for (uint64_t at = 0; at < MIN(size, WINDOW); at += 4)
		if (held(f, block + at) != UINT32_MAX)
			return false;
	return held(f, block + size - 4) == UINT32_MAX;
}

static void check_changes(struct fixture *f)
{
	for (uint64_t block = 0; block < f->size; block += BLOCK) {
		uint64_t size = MIN(BLOCK, f->size - block);
		bool erased = block_erased(f, block);

		for (uint64_t at = 0; at < MIN(size, WINDOW); at += 4)
			check_word(f, block + at, erased);
		check_word(f, block + size - 4, erased);
	}
	if (f->flash->mode == MODE_ARRAY)
		fuzz_check(f->flash->n_patches == 0);
	if (f->flash->mode == MODE_ARRAY && f->flash->step == STEP_COMMAND &&
	    f->flash->rewrite != REWRITE_ERASED)
		fuzz_check(f->readonly || memcmp(f->durable, f->truth,
						 MIN(f->size, WINDOW)) == 0);
}

/* The guest stops: rewrites that did not end are undone, so all there is has
 * been committed. */
static void stop(struct fixture *f, bool reset)
{
	if (reset)
		cfi_flash_reset(f->flash);
	else
		cfi_flash_sync(f->flash);
	fuzz_check(f->flash->n_patches == 0);
	fuzz_check(memcmp(f->content, f->durable, f->size) == 0);
	memcpy(f->truth, f->content, f->size);
}

static void word_write(struct fixture *f, uint64_t offset, unsigned width,
		       uint64_t value)
{
	offset %= BANK - width + 1;
	if (width != 4)
		fuzz_kind(KIND_WIDTH);
	for (uint64_t at = ALIGN_DOWN(offset, 4ull); at < offset + width;
	     at += 4)
		f->given[f->n_given++ % ARRAY_SIZE(f->given)] = at;
	fuzz_check(bus_write(f->bus, f->region->base + offset, width, value));
}

static void command(struct fixture *f, uint64_t offset, uint32_t byte)
{
	if (f->flash->step != STEP_COMMAND)
		fuzz_kind(KIND_FLASH);
	word_write(f, offset, 4, byte << 16 | byte);
}

/* Where things begin, end, or just are. */
static uint64_t place(struct fuzz_input *in)
{
	uint16_t raw = fuzz_u16(in);
	uint64_t at = (raw & 0x1ff) + (raw & 0x1000 ? BLOCK - 256 : 0);

	return raw & 0x2000 ? at + BLOCK : at;
}

/* What programming whole words of a writable block must have left. */
static void check_programmed(const struct fixture *f, uint64_t at,
			     const uint32_t *words, unsigned n)
{
	/* Only the window's words are followed, so only of them the truth is
	 * known. */
	bool whole = at % 4 == 0 && at % BLOCK + 4ull * n <= WINDOW;

	for (unsigned i = 0; whole && i < n && at + 4 * n <= f->size; i++)
		fuzz_check(f->readonly ||
			   held(f, at + 4 * i) ==
				   (f->truth[at / 4 + i] & words[i]));
}

/* E8, count, words, D0: as a driver, or with one of them wrong. */
static void buffered_at(struct fixture *f, struct fuzz_input *in, uint64_t at,
			unsigned count, uint8_t how)
{
	bool right = f->flash->step == STEP_COMMAND && !(how & 3) &&
		     count < BUFFER_WORDS;
	uint32_t words[BUFFER_WORDS + 2];

	command(f, at, 0xe8);
	command(f, at, count);
	for (unsigned i = 0; i <= count && !(how & 1 && i > 2); i++) {
		words[i] = fuzz_u32(in);
		word_write(f, at + 4 * (uint64_t)i, 4, words[i]);
	}
	command(f, 0, how & 2 ? fuzz_u8(in) : 0xd0);
	if (right)
		check_programmed(f, at, words, count + 1);
	if (how & 4)
		command(f, 0, 0xff);
}

static void buffered(struct fixture *f, struct fuzz_input *in)
{
	uint64_t at = ALIGN_DOWN(place(in), 4ull);
	unsigned count = fuzz_below(in, BUFFER_WORDS + 2);
	uint8_t how = fuzz_u8(in);

	if (how & 8) { /* a whole piece, by which ArmVirt's driver is known */
		at = ALIGN_DOWN(at, (uint64_t)BUFFER_BYTES);
		count = BUFFER_WORDS - 1;
	}
	buffered_at(f, in, at, count, how);
}

static void program(struct fixture *f, struct fuzz_input *in)
{
	bool right = f->flash->step == STEP_COMMAND;
	uint64_t at = place(in);
	unsigned width;
	uint32_t word;

	command(f, at, fuzz_u8(in) & 1 ? 0x10 : 0x40);
	width = fuzz_width(in);
	word = fuzz_u32(in);
	word_write(f, at, width, word);
	if (right && width == 4)
		check_programmed(f, at, &word, 1);
}

static void erase(struct fixture *f, struct fuzz_input *in)
{
	uint64_t at = place(in);

	command(f, at, 0x20);
	command(f, at, 0xd0);
}

static void read_some(struct fixture *f, struct fuzz_input *in)
{
	unsigned width = fuzz_width(in);
	uint64_t at = place(in) % (BANK - width + 1), value;

	fuzz_check(bus_read(f->bus, f->region->base + at, width, &value));
	fuzz_check((value & ~fuzz_mask(width)) == 0);
}

static void run(struct fixture *f, struct fuzz_input *in)
{
	static const uint8_t commands[] = {0xff, 0x90, 0x98, 0x70, 0x50, 0x40,
					   0xe8, 0x20, 0x60, 0xd0, 0xf0};
	unsigned width;

	while (fuzz_more(in)) {
		uint8_t step = fuzz_u8(in);
		uint64_t at;

		switch (step & 7) {
		case 0:
			command(f, place(in),
				commands[(step >> 3) % ARRAY_SIZE(commands)]);
			break;
		case 1:
			buffered(f, in);
			break;
		case 2:
			program(f, in);
			break;
		case 3:
			erase(f, in);
			break;
		case 4:
			command(f, 0, 0xff);
			break;
		case 5:
			read_some(f, in);
			break;
		case 6:
			width = 1u << ((step >> 3) & 3);
			at = place(in);
			word_write(f, at, width, fuzz_number(in, width));
			break;
		default:
			if (step & 8)
				stop(f, step & 16);
			break;
		}
		check_changes(f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	uint8_t shape = fuzz_u8(&in);
	struct fixture f = {.content = content,
			    .truth = truth,
			    .durable = durable,
			    .readonly = shape & 1,
			    .size = shape & 2 ? LARGE : SMALL};
	struct cfi_flash_params params = {.name = "flash",
					  .content = content,
					  .content_size = f.size,
					  .bank_size = BANK,
					  .readonly = f.readonly,
					  .commit = on_commit,
					  .delay = on_delay,
					  .cookie = &f};

	for (uint64_t i = 0; i < f.size / 4; i++)
		content[i] = (uint32_t)(0xffff0000 | i * 0x9e37);
	memcpy(truth, content, f.size);
	memcpy(durable, content, f.size);
	fuzz_check(cfi_flash_new(&params, &f.flash) == 0);
	f.region = cfi_flash_region(f.flash);
	f.bus = fuzz_bus(f.region);
	run(&f, &in);
	stop(&f, true);
	bus_free(f.bus);
	cfi_flash_free(f.flash);
	return 0;
}
