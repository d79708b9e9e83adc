/* ArmVirt's driver, whose data words come late. */
#include "tests/unit/cfi_flash_harness.h"

static int setup_delayed(void **state)
{
	struct fixture *f = fixture_with(false, true);

	f->delays = true;
	*state = f;
	return 0;
}

static void fill(uint32_t *words, uint32_t seed)
{
	for (unsigned i = 0; i < PIECE / 4; i++)
		words[i] = seed + i;
}

/* NorFlashWriteSingleBlock where bits are only cleared: whole pieces. */
static void write_pieces(struct fixture *f, uint64_t at, const uint32_t *words,
			 unsigned n)
{
	command(f, 0, 0xff);
	edk2_unlock(f, at & ~(uint64_t)(BLOCK - 1));
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(
			edk2_write_buffer(f, at + i * PIECE, words, PIECE / 4),
			STATUS_READY);
	command(f, 0, 0xff);
}

static void be_known(struct fixture *f)
{
	uint32_t words[PIECE / 4];

	fill(words, 0x1000);
	write_pieces(f, 8 * PIECE, words, 1);
	assert_true(f->n_zones > 0);
	f->exits = 0;
}

static void test_a_driver_is_known_by_a_whole_buffer(void **state)
{
	struct fixture *f = *state;
	uint32_t words[PIECE / 4];

	fill(words, 1);
	/* One word; the first piece; confirmed at its own block. */
	assert_int_equal(edk2_write_word(f, BLOCK + 0x400, 0), STATUS_READY);
	assert_int_equal(edk2_write_buffer(f, 8 * PIECE, words, 1),
			 STATUS_READY);
	assert_int_equal(edk2_write_buffer(f, 0, words, PIECE / 4),
			 STATUS_READY);
	command(f, BLOCK + PIECE, 0xe8);
	command(f, BLOCK + PIECE, PIECE / 4 - 1);
	for (unsigned i = 0; i < PIECE / 4; i++)
		store(f, BLOCK + PIECE + 4 * i, words[i]);
	command(f, BLOCK, 0xd0);
	command(f, 0, 0xff);
	assert_int_equal(f->n_zones, 0);
	be_known(f);
}

/* What waits is right when it is looked at, and costs few exits. */
static void test_pieces(void **state)
{
	struct fixture *f = *state;
	uint32_t words[PIECE / 4];

	be_known(f);
	for (unsigned i = 0; i < 40; i++) {
		unsigned commits = f->commits;
		uint64_t at = (16 + 3 * i) * PIECE;

		fill(words, i << 16);
		write_pieces(f, at, words, 3);
		assert_int_equal(f->commits, commits + 1);
		for (unsigned k = 0; k < 3; k++)
			assert_memory_equal((uint8_t *)f->content + at +
						    k * PIECE,
					    words, PIECE);
		assert_durable(f);
	}
	/* FF 90 (looked at by us, too), three times D0 70 50, FF. */
	assert_true(f->exits <= 40 * 14);
}

/* Bits cleared in what is there: its first word is no sign of readiness. */
static void test_pieces_in_use(void **state)
{
	struct fixture *f = *state;
	uint32_t zero[PIECE / 4] = {0}, words[PIECE / 4];

	be_known(f);
	fill(words, 0);
	write_pieces(f, 16 * PIECE, words, 20);
	f->exits = 0;
	for (unsigned i = 16; i < 36; i++)
		write_pieces(f, i * PIECE, zero, 1);
	assert_true(f->exits <= 20 * 8);
	for (unsigned i = 0; i < 20 * PIECE / 4; i++)
		assert_int_equal(f->content[16 * PIECE / 4 + i], 0);
	assert_int_equal(f->content[8 * PIECE / 4], 0x1000);
	assert_durable(f);
}

/* Far behind what is in use a piece is not shown as ready: the driver asks
 * again until the writes come, and all is well. */
static void test_a_piece_that_was_missed(void **state)
{
	struct fixture *f = *state;
	uint32_t zero[PIECE / 4] = {0}, words[PIECE / 4];

	be_known(f);
	fill(words, 0x70);
	write_pieces(f, 1000 * PIECE, words, 1);
	write_pieces(f, 1000 * PIECE, zero, 1);
	assert_int_equal(f->content[1000 * PIECE / 4], 0);
	assert_int_equal(f->content[1000 * PIECE / 4 + 31], 0);
	assert_durable(f);
}

static void test_a_block_anew(void **state)
{
	struct fixture *f = *state;
	uint8_t *image = malloc(BLOCK);

	be_known(f);
	for (unsigned i = 0; i < BLOCK; i++)
		image[i] = (uint8_t)(i < 100 * PIECE ? i * 7 : 0xff);
	for (unsigned i = 0; i < 3; i++) {
		unsigned commits = f->commits;

		edk2_rewrite(f, i * BLOCK, image);
		assert_memory_equal((uint8_t *)f->content + i * BLOCK, image,
				    BLOCK);
		assert_int_equal(f->commits, commits + 1);
		assert_durable(f);
	}
	/* Three each, and five more in the piece with the query's word and
	 * three words of each block. */
	assert_true(f->exits < 3 * 100 * 4);
	free(image);
}

/* All other drivers begin with the query. */
static void test_a_query_ends_it(void **state)
{
	struct fixture *f = *state;
	uint32_t words[PIECE / 4];

	be_known(f);
	command(f, 4 * 0x55, 0x98);
	assert_int_equal(f->n_zones, 0);
	assert_int_equal(guest_load(f, 4 * 0x10), both('Q'));
	command(f, 0, 0xff);
	fill(words, 0);
	write_pieces(f, 16 * PIECE, words, 1);
	assert_int_equal(f->n_zones, 0);
	cfi_flash_reset(f->flash);
	be_known(f);
	cfi_flash_reset(f->flash);
	assert_int_equal(f->n_zones, 0);
	assert_durable(f);
}

/* Nothing is shown that is not there once the array is. */
static void test_patches_go(void **state)
{
	struct fixture *f = *state;
	uint32_t *before = malloc(CONTENT);

	be_known(f);
	memcpy(before, f->content, CONTENT);
	edk2_unlock(f, 0);
	assert_memory_not_equal(before, f->content, CONTENT);
	cfi_flash_hold(f->flash, true);
	assert_memory_equal(before, f->content, CONTENT);
	cfi_flash_hold(f->flash, false);
	assert_memory_not_equal(before, f->content, CONTENT);
	command(f, 0, 0xff);
	assert_memory_equal(before, f->content, CONTENT);
	free(before);
}

static void test_a_loaded_one_is_not_known(void **state)
{
	struct fixture *f = *state;
	uint32_t words[PIECE / 4];
	struct state_out out = {0};
	struct state_in in;

	be_known(f);
	cfi_flash_save(f->flash, &out);
	in = state_in(out.buf.data, out.buf.size);
	assert_int_equal(cfi_flash_load(f->flash, &in, NULL), 0);
	assert_int_equal(f->n_zones, 0);
	fill(words, 0);
	write_pieces(f, 16 * PIECE, words, 1);
	assert_int_equal(f->n_zones, 0);
	buf_done(&out.buf);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_delayed, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_driver_is_known_by_a_whole_buffer),
		TEST(test_pieces),
		TEST(test_pieces_in_use),
		TEST(test_a_piece_that_was_missed),
		TEST(test_a_block_anew),
		TEST(test_a_query_ends_it),
		TEST(test_patches_go),
		TEST(test_a_loaded_one_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
