/* What is written: programming, erasing, errors, durability, nonsense. */
#include "tests/unit/cfi_flash_harness.h"

static void test_buffered_program(void **state)
{
	struct fixture *f = *state;
	uint32_t words[32];

	for (unsigned i = 0; i < 32; i++)
		words[i] = 0xa0a00000 + i;
	edk2_unlock(f, BLOCK);
	assert_int_equal(edk2_write_buffer(f, BLOCK + 0x80, words, 32),
			 STATUS_READY);
	assert_int_equal(f->commits, 0);
	command(f, BLOCK, 0xff);
	assert_memory_equal(&f->content[(BLOCK + 0x80) / 4], words, 128);
	assert_int_equal(f->commits, 1);
	assert_int_equal(f->offset, BLOCK + 0x80);
	assert_int_equal(f->size, 128);
	assert_durable(f);
	assert_int_equal(f->remaps, 0); /* never in an ordinary update */
	/* The same again changes nothing: nothing to make durable. */
	assert_int_equal(edk2_write_buffer(f, BLOCK + 0x80, words, 32),
			 STATUS_READY);
	command(f, 0, 0xff);
	assert_int_equal(f->commits, 1);
}

/* Over the very words that are patched while it happens. */
static void test_program_patched_words(void **state)
{
	struct fixture *f = *state;
	const uint32_t words[2] = {0x11000000, 0x00110001};

	assert_int_equal(edk2_write_buffer(f, 0, words, 2), STATUS_READY);
	assert_int_equal(edk2_write_word(f, BLOCK, 0x02020202), STATUS_READY);
	command(f, 0, 0xff);
	assert_int_equal(f->content[0], 0x11000000);
	assert_int_equal(f->content[1], 0x00110001);
	assert_int_equal(f->content[2], 0x11110002);
	assert_int_equal(f->content[BLOCK / 4], 0x02020202);
	assert_int_equal(f->offset, 0);
	assert_int_equal(f->size, BLOCK + 4);
	assert_durable(f);
}

static void test_programming_only_clears(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(edk2_write_word(f, 0x200, 0xf0f0f0f0), STATUS_READY);
	assert_int_equal(edk2_write_word(f, 0x200, 0x3c3c3c3c), STATUS_READY);
	command(f, 0x204, 0x10);
	reg_write(f->bus, 0x204, 0x12345678);
	command(f, 0, 0xff);
	assert_int_equal(f->content[0x80], 0x30303030);
	assert_int_equal(f->content[0x81], 0x12345678);
	assert_int_equal(f->offset, 0x200);
	assert_int_equal(f->size, 8);
}

static void test_erase(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(edk2_erase(f, 0), STATUS_READY);
	for (size_t i = 0; i < BLOCK / 4; i++)
		assert_int_equal(f->content[i], 0xffffffff);
	assert_int_equal(f->content[BLOCK / 4], 0x22222222);
	assert_int_equal(f->commits, 0);
	cfi_flash_sync(f->flash);
	assert_int_equal(f->commits, 1);
	assert_int_equal(f->offset, 0);
	assert_int_equal(f->size, BLOCK);
	assert_durable(f);
	/* Already erased: nothing changed. */
	assert_int_equal(edk2_erase(f, 0), STATUS_READY);
	cfi_flash_sync(f->flash);
	assert_int_equal(f->commits, 1);
	assert_int_equal(f->remaps, 0);
}

static void test_erase_sequence_errors(void **state)
{
	struct fixture *f = *state;

	command(f, 0, 0x20);
	command(f, 0, 0x70); /* not a confirmation */
	assert_int_equal(edk2_status(f), STATUS_READY | STATUS_SEQ);
	command(f, 0, 0x50);
	assert_int_equal(guest_load(f, 0), STATUS_READY);
	command(f, 0, 0x20);
	command(f, BLOCK, 0xd0); /* of another block */
	assert_int_equal(edk2_status(f), STATUS_READY | STATUS_SEQ);
	command(f, 0, 0xff);
	assert_durable(f);
	/* Errors stay until cleared, also over read array. */
	assert_int_equal(edk2_status(f), STATUS_READY | STATUS_SEQ);
	cfi_flash_reset(f->flash);
	assert_int_equal(edk2_status(f), STATUS_READY);
}

static void test_buffer_sequence_errors(void **state)
{
	struct fixture *f = *state;
	const uint32_t word = 0;

	/* More words than the buffer has. */
	command(f, 0x100, 0xe8);
	command(f, 0x100, 0x20);
	assert_int_equal(guest_load(f, 0x100), STATUS_READY | STATUS_SEQ);
	command(f, 0, 0x50);
	/* Unlike halves are no count. */
	command(f, 0x100, 0xe8);
	reg_write(f->bus, 0x100, 0x00010002);
	assert_int_equal(edk2_status(f), STATUS_READY | STATUS_SEQ);
	command(f, 0, 0x50);
	/* A word outside the block. */
	command(f, 0x100, 0xe8);
	command(f, 0x100, 1);
	reg_write(f->bus, 0x100, word);
	reg_write(f->bus, BLOCK, word);
	command(f, 0, 0xd0);
	assert_int_equal(edk2_status(f), STATUS_READY | STATUS_SEQ);
	command(f, 0, 0x50);
	/* No confirmation. */
	command(f, 0x100, 0xe8);
	command(f, 0x100, 0);
	reg_write(f->bus, 0x100, word);
	command(f, 0, 0xff);
	assert_int_equal(edk2_status(f), STATUS_READY | STATUS_SEQ);
	command(f, 0, 0xff);
	assert_int_equal(f->commits, 0);
	assert_durable(f);
}

static void test_past_the_content(void **state)
{
	struct fixture *f = *state;
	const uint32_t word = 0;

	assert_int_equal(edk2_write_word(f, CONTENT, 0),
			 STATUS_READY | STATUS_PROG);
	assert_int_equal(edk2_write_buffer(f, BANK - 128, &word, 1),
			 STATUS_READY | STATUS_PROG);
	command(f, 0, 0x50);
	assert_int_equal(edk2_erase(f, BANK - BLOCK),
			 STATUS_READY | STATUS_ERASE);
	assert_int_equal(reg_read(f->bus, CONTENT), 0xffffffff);
	assert_int_equal(f->commits, 0);
	assert_durable(f);
}

static void test_sync(void **state)
{
	const uint32_t words[32] = {[0 ... 31] = 0x01020304};
	struct fixture *f = *state;

	cfi_flash_sync(f->flash);
	assert_int_equal(f->commits, 0);
	/* The guest goes away in the middle of a second update. */
	assert_int_equal(edk2_write_word(f, 0x300, 5), STATUS_READY);
	command(f, 0x400, 0xe8);
	command(f, 0x400, 1);
	reg_write(f->bus, 0x400, 0);
	cfi_flash_sync(f->flash);
	assert_int_equal(f->commits, 1);
	assert_int_equal(f->offset, 0x300);
	assert_int_equal(f->size, 4);
	assert_int_equal(f->content[0x100], 0xffffffff);
	assert_durable(f);
	/* And what comes next is a command. */
	assert_int_equal(edk2_status(f), STATUS_READY);
	command(f, 0, 0x98);
	cfi_flash_sync(f->flash);
	assert_true(f->mapped);
	/* The abandoned buffer leaves no words behind. */
	assert_int_equal(edk2_write_buffer(f, 0x480, words, 32), STATUS_READY);
	command(f, 0, 0xff);
	assert_memory_equal(&f->content[0x480 / 4], words, sizeof(words));
}

static void test_readonly_bank(void **state)
{
	struct fixture *f = *state;
	const uint32_t word = 0;

	assert_int_equal(edk2_write_word(f, 0, 0),
			 STATUS_READY | STATUS_PROG | STATUS_LOCK);
	assert_int_equal(edk2_write_buffer(f, 0x80, &word, 1),
			 STATUS_READY | STATUS_PROG | STATUS_LOCK);
	command(f, 0, 0x50);
	command(f, 0, 0x20);
	command(f, 0, 0xd0);
	assert_int_equal(edk2_status(f),
			 STATUS_READY | STATUS_ERASE | STATUS_LOCK);
	command(f, 8, 0x90);
	assert_int_equal(guest_load(f, 8), 0x00010001); /* locked */
	assert_false(f->mapped);
	command(f, 0, 0xff);
	assert_true(f->mapped);
	assert_int_equal(guest_load(f, 0), 0x11110000);
	assert_int_equal(f->commits, 0);
}

/* Mostly commands at block starts and data, some of it any size anywhere. */
static void soup_write(struct fixture *f, uint64_t *seed)
{
	static const uint8_t commands[] = {
		0xff, 0x90, 0x98, 0x70, 0x50, 0x20, 0xd0, 0x40,
		0x10, 0xe8, 0x60, 0x01, 0xf0, 0xaa, 0x1f, 0x03,
	};
	uint64_t r = noise(seed);
	uint64_t at = (r >> 32) % (CONTENT + KIB(64));
	unsigned size = 1u << ((r >> 8) & 3);

	if (r & 0x10000)
		at &= ~UINT64_C(0xfff);
	if (r & 7)
		reg_write(f->bus, at & ~UINT64_C(3),
			  both(commands[(r >> 20) % ARRAY_SIZE(commands)]));
	else
		reg_write_n(f->bus, (r >> 24) % (BANK - 8), size, noise(seed));
}

/* Whatever was half given, this many read-arrays end it: a buffer takes up to
 * 32 of them as data. An erased block may wait even then. */
static void soup_settle(struct fixture *f)
{
	for (unsigned i = 0; i < 36; i++)
		command(f, 0, 0xff);
	cfi_flash_sync(f->flash);
}

static void soup(struct fixture *f, unsigned rounds)
{
	uint64_t seed = 0x5eed;

	for (unsigned i = 0; i < rounds; i++) {
		soup_write(f, &seed);
		if (i % 10000)
			continue;
		soup_settle(f);
		assert_true(f->mapped);
		assert_durable(f);
	}
	soup_settle(f);
	assert_durable(f);
}

static void test_command_soup(void **state)
{
	struct fixture *f = *state;

	soup(f, 1000000);
	assert_true(f->commits > 100);
	/* Still a working flash. */
	cfi_flash_reset(f->flash);
	assert_int_equal(edk2_erase(f, BLOCK), STATUS_READY);
	assert_int_equal(edk2_write_word(f, BLOCK, 42), STATUS_READY);
	command(f, 0, 0xff);
	assert_int_equal(guest_load(f, BLOCK), 42);
	assert_durable(f);
}

static void test_command_soup_readonly(void **state)
{
	struct fixture *f = *state;

	soup(f, 1000000);
	assert_int_equal(f->commits, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLASH_TEST(test_buffered_program),
		FLASH_TEST(test_program_patched_words),
		FLASH_TEST(test_programming_only_clears),
		FLASH_TEST(test_erase),
		FLASH_TEST(test_erase_sequence_errors),
		FLASH_TEST(test_buffer_sequence_errors),
		FLASH_TEST(test_past_the_content),
		FLASH_TEST(test_sync),
		FLASH_TEST_READONLY(test_readonly_bank),
		FLASH_TEST(test_command_soup),
		FLASH_TEST_READONLY(test_command_soup_readonly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
