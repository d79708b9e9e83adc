/*
 * When changes are committed. The durable copy only changes in a commit, so
 * what a kill at any instant leaves behind is judged there.
 */
#include "tests/unit/cfi_flash_harness.h"

#define PIECES (BLOCK / PIECE)

/* A block with `n` pieces in use, each telling `tag`. */
static uint8_t *image_new(unsigned n, uint8_t tag)
{
	uint8_t *image = malloc(BLOCK);

	assert_non_null(image);
	memset(image, 0xff, BLOCK);
	for (unsigned i = 0; i < n * PIECE; i++)
		image[i] = (uint8_t)(tag ^ (i >> 7) ^ (i & 0x1f));
	return image;
}

static const uint8_t *in_content(const struct fixture *f, uint64_t block)
{
	return (const uint8_t *)f->content + block;
}

/* As if it had always been there. */
static void preset(struct fixture *f, uint64_t block, const uint8_t *image)
{
	memcpy((uint8_t *)f->content + block, image, BLOCK);
	memcpy(f->durable + block, image, BLOCK);
}

static void assert_block(const uint8_t *have, const uint8_t *want)
{
	assert_memory_equal(have, want, BLOCK);
}

static void program_byte(struct fixture *f, uint64_t at, uint8_t value)
{
	uint32_t word = f->content[at / 4];
	unsigned shift = 8 * (at & 3);

	word &= ~(0xffu << shift) | (uint32_t)value << shift;
	command(f, 0, 0xff);
	edk2_unlock(f, at & ~(uint64_t)(BLOCK - 1));
	assert_int_equal(edk2_write_buffer(f, at & ~UINT64_C(3), &word, 1),
			 STATUS_READY);
	command(f, 0, 0xff);
}

/* However many pieces, with or without unused ones after or between them. */
static void test_a_rewrite_is_one_commit(void **state)
{
	static const unsigned pieces[] = {1, 2, 37, PIECES};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		uint8_t *before = image_new(3, 0x33);
		uint8_t *after = image_new(pieces[i], (uint8_t)i);

		if (pieces[i] > 4)
			memset(after + PIECE, 0xff, 2 * PIECE);
		preset(f, BLOCK, before);
		f->commits = 0;
		command(f, 0, 0xff);
		assert_int_equal(edk2_erase(f, BLOCK), STATUS_READY);
		edk2_fill(f, BLOCK, after, PIECES);
		assert_int_equal(f->commits, 0);
		assert_block(f->durable + BLOCK, before);
		command(f, 0, 0xff);
		assert_int_equal(f->commits, 1);
		assert_int_equal(f->offset, BLOCK);
		assert_int_equal(f->size, BLOCK);
		assert_block(f->durable + BLOCK, after);
		assert_durable(f);
		free(before);
		free(after);
	}
}

/* After it, programming is committed as ever. */
static void test_the_next_program(void **state)
{
	struct fixture *f = *state;
	uint8_t *after = image_new(2, 1);

	edk2_rewrite(f, 0, after);
	program_byte(f, 0x400, 0x3f);
	assert_int_equal(f->commits, 2);
	assert_int_equal(f->offset, 0x400);
	assert_int_equal(f->size, 4);
	assert_durable(f);
	free(after);
}

static void test_an_erased_block_waits(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(edk2_erase(f, 0), STATUS_READY);
	command(f, 0, 0xff);
	edk2_unlock(f, 0);
	command(f, 0, 0xf0);
	assert_int_equal(edk2_erase(f, 0), STATUS_READY);
	assert_int_equal(edk2_erase(f, BLOCK), STATUS_READY);
	assert_int_equal(f->commits, 0);
	assert_int_equal(f->content[0], 0xffffffff);
	/* For programming anywhere, */
	program_byte(f, 2 * BLOCK, 0);
	assert_int_equal(f->commits, 1);
	assert_durable(f);
	/* or the end. */
	assert_int_equal(edk2_erase(f, 2 * BLOCK), STATUS_READY);
	assert_int_equal(f->commits, 1);
	cfi_flash_sync(f->flash);
	assert_int_equal(f->commits, 2);
	assert_int_equal(f->content[2 * BLOCK / 4], 0xffffffff);
	assert_durable(f);
	/* Programming elsewhere makes it final, and is no rewrite to undo. */
	f->content[0] = f->content[1] = 0x1234;
	assert_int_equal(edk2_erase(f, 0), STATUS_READY);
	assert_int_equal(edk2_write_word(f, BLOCK, 5), STATUS_READY);
	cfi_flash_sync(f->flash);
	assert_int_equal(f->content[0], 0xffffffff);
	assert_int_equal(f->content[BLOCK / 4], 5);
	assert_durable(f);
}

/* An erased block that waits and the rewrite of another end together. */
static void test_rewrite_behind_an_erased_block(void **state)
{
	struct fixture *f = *state;
	uint8_t *before = image_new(3, 7), *after = image_new(4, 8);

	preset(f, 0, before);
	program_byte(f, 2 * BLOCK, 0);
	assert_int_equal(edk2_erase(f, 2 * BLOCK), STATUS_READY);
	command(f, 0, 0xff);
	assert_int_equal(edk2_erase(f, 0), STATUS_READY);
	edk2_fill(f, 0, after, 2);
	assert_int_equal(f->commits, 1);
	/* Cut here: the one is undone, the other is not. */
	cfi_flash_sync(f->flash);
	assert_int_equal(f->commits, 2);
	assert_block(in_content(f, 0), before);
	assert_int_equal(f->content[2 * BLOCK / 4], 0xffffffff);
	assert_durable(f);
	free(before);
	free(after);
}

/* Turned off or reset at any point of it. */
static void test_cut_is_undone(void **state)
{
	struct fixture *f = *state;
	uint8_t *before = image_new(5, 0x11), *after = image_new(9, 0x22);

	for (unsigned done = 1; done <= 9; done++) {
		preset(f, BLOCK, before);
		command(f, 0, 0xff);
		assert_int_equal(edk2_erase(f, BLOCK), STATUS_READY);
		edk2_fill(f, BLOCK, after, done);
		if (done & 1) { /* in the middle of a command */
			command(f, BLOCK + done * PIECE, 0xe8);
			command(f, BLOCK + done * PIECE, 31);
			reg_write(f->bus, BLOCK + done * PIECE, 0);
		}
		if (done & 2)
			cfi_flash_reset(f->flash);
		else
			cfi_flash_sync(f->flash);
		assert_block(in_content(f, BLOCK), before);
		assert_durable(f);
		assert_int_equal(guest_load(f, BLOCK), f->content[BLOCK / 4]);
	}
	/* A finished one is not. */
	edk2_rewrite(f, BLOCK, after);
	cfi_flash_reset(f->flash);
	assert_block(in_content(f, BLOCK), after);
	assert_durable(f);
	free(before);
	free(after);
}

/* The driver erases the spare block before it rewrites it: what is undone to
 * is what was there before the first erase. */
static void test_erased_twice_then_cut(void **state)
{
	struct fixture *f = *state;
	uint8_t *before = image_new(5, 0x11), *after = image_new(9, 0x22);

	preset(f, BLOCK, before);
	assert_int_equal(edk2_erase(f, BLOCK), STATUS_READY);
	assert_int_equal(edk2_erase(f, BLOCK), STATUS_READY);
	edk2_fill(f, BLOCK, after, 3);
	/* Once more, begun again from the start. */
	assert_int_equal(edk2_erase(f, BLOCK), STATUS_READY);
	assert_int_equal(f->commits, 0);
	edk2_fill(f, BLOCK, after, 4);
	cfi_flash_sync(f->flash);
	assert_block(in_content(f, BLOCK), before);
	assert_durable(f);
	free(before);
	free(after);
}

/* Drivers that do not go back to the array between a program and an erase. */
static void test_programmed_is_never_held(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(edk2_write_word(f, 0x800, 1), STATUS_READY);
	assert_int_equal(edk2_erase(f, BLOCK), STATUS_READY);
	assert_int_equal(f->commits, 1);
	assert_durable(f);
	/* One block after the other. */
	assert_int_equal(edk2_erase(f, 0), STATUS_READY);
	assert_int_equal(edk2_write_word(f, 0x800, 2), STATUS_READY);
	assert_int_equal(edk2_erase(f, 2 * BLOCK), STATUS_READY);
	assert_int_equal(f->commits, 2);
	assert_durable(f);
}

/*
 * FtwWrite of the variable block (0) through the spare block (2), as
 * FaultTolerantWriteDxe does it, with a byte per flag in the working block
 * (1). What is durable after each commit is what it recovers from.
 */
enum { SPARE_COMPLETE = BLOCK, DEST_COMPLETE = BLOCK + 4 };

struct ftw {
	uint8_t *old, *new, *spare;
};

static void ftw_judge(struct fixture *f)
{
	const struct ftw *w = f->cookie;
	bool spare = !f->durable[SPARE_COMPLETE];
	bool dest = !f->durable[DEST_COMPLETE];

	if (memcmp(f->durable, w->old, BLOCK) == 0)
		assert_false(dest);
	else
		assert_block(f->durable, w->new);
	if (spare && !dest)
		assert_block(f->durable + 2 * BLOCK, w->new);
	if (!spare)
		assert_block(f->durable, w->old);
}

static void ftw_write(struct fixture *f, const struct ftw *w)
{
	assert_int_equal(edk2_erase(f, 2 * BLOCK), STATUS_READY);
	edk2_rewrite(f, 2 * BLOCK, w->new);
	program_byte(f, SPARE_COMPLETE, 0);
	assert_int_equal(edk2_erase(f, 0), STATUS_READY);
	edk2_rewrite(f, 0, w->new);
	program_byte(f, DEST_COMPLETE, 0);
	assert_int_equal(f->durable[DEST_COMPLETE], 0);
	assert_int_equal(edk2_erase(f, 2 * BLOCK), STATUS_READY);
	edk2_rewrite(f, 2 * BLOCK, w->spare);
}

static void test_fault_tolerant_write(void **state)
{
	struct fixture *f = *state;
	struct ftw w = {
		.old = image_new(PIECES, 0x55),
		.new = image_new(40, 0x66),
	};

	for (unsigned used = 0; used < 2; used++) {
		w.spare = image_new(used, 0x77);
		preset(f, 0, w.old);
		preset(f, 2 * BLOCK, w.spare);
		f->content[SPARE_COMPLETE / 4] = UINT32_MAX;
		f->content[DEST_COMPLETE / 4] = UINT32_MAX;
		memset(f->durable + BLOCK, 0xff, 8);
		f->cookie = &w;
		f->committed = ftw_judge;
		f->commits = 0;
		ftw_write(f, &w);
		/* An empty spare block is erased and no more: that waits. */
		assert_int_equal(f->commits, used ? 5 : 4);
		f->committed = NULL;
		program_byte(f, 0x30000, 0x7f);
		assert_durable(f);
		free(w.spare);
	}
	free(w.old);
	free(w.new);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLASH_TEST(test_a_rewrite_is_one_commit),
		FLASH_TEST(test_the_next_program),
		FLASH_TEST(test_an_erased_block_waits),
		FLASH_TEST(test_rewrite_behind_an_erased_block),
		FLASH_TEST(test_cut_is_undone),
		FLASH_TEST(test_erased_twice_then_cut),
		FLASH_TEST(test_programmed_is_never_held),
		FLASH_TEST(test_fault_tolerant_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
