/* What reading shows in each mode, mapped and through the device. */
#include "tests/unit/cfi_flash_harness.h"

static void test_reads_array(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg_read(f->bus, 4), 0x11110001);
	assert_int_equal(reg_read_n(f->bus, 0, 8), 0x1111000111110000);
	assert_int_equal(reg_read_n(f->bus, 6, 1), 0x11);
	assert_int_equal(reg_read_n(f->bus, 3, 2), 0x0111);
	assert_int_equal(reg_read(f->bus, CONTENT), 0xffffffff);
	assert_int_equal(reg_read_n(f->bus, CONTENT - 4, 8), UINT64_MAX);
	assert_int_equal(reg_read(f->bus, BANK - 4), 0xffffffff);
}

static void test_parameters(void **state)
{
	static uint32_t content[BLOCK / 4];
	const struct cfi_flash_params good = {
		.content = content,
		.content_size = BLOCK,
		.bank_size = BLOCK,
	};
	struct cfi_flash_params p = good;
	struct cfi_flash *flash;

	assert_int_equal(cfi_flash_new(&p, &flash), 0);
	cfi_flash_free(flash);
	p.bank_size = BLOCK / 2;
	assert_int_equal(cfi_flash_new(&p, &flash), -EINVAL);
	p = good, p.bank_size = 3 * BLOCK;
	assert_int_equal(cfi_flash_new(&p, &flash), -EINVAL);
	p = good, p.bank_size = GIB(8);
	assert_int_equal(cfi_flash_new(&p, &flash), -EINVAL);
	p = good, p.content_size = 2 * BLOCK;
	assert_int_equal(cfi_flash_new(&p, &flash), -EINVAL);
	p = good, p.content_size = BLOCK - 2;
	assert_int_equal(cfi_flash_new(&p, &flash), -EINVAL);
	p = good, p.content = (uint8_t *)content + 2;
	assert_int_equal(cfi_flash_new(&p, &flash), -EINVAL);
	p = good, p.content = NULL;
	assert_int_equal(cfi_flash_new(&p, &flash), -EINVAL);
}

static void test_status_shows_where_drivers_look(void **state)
{
	struct fixture *f = *state;
	uint64_t at = BLOCK + 0x1000;

	command(f, at, 0x70);
	assert_int_equal(guest_load(f, 0), STATUS_READY);
	assert_int_equal(guest_load(f, BLOCK), STATUS_READY);
	assert_int_equal(guest_load(f, at), STATUS_READY);
	assert_int_equal(reg_read(f->bus, at), STATUS_READY);
	assert_int_equal(reg_read(f->bus, 2 * BLOCK), STATUS_READY);
	assert_int_equal(reg_read(f->bus, CONTENT), STATUS_READY);
	assert_int_equal(f->content[1], 0x11110001);
	command(f, at, 0xff);
	assert_durable(f);
	assert_int_equal(f->remaps, 0);
}

static void test_lock_sequences(void **state)
{
	static const uint8_t known[] = {0x01, 0xd0, 0x2f, 0x03};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		command(f, BLOCK, 0x60);
		command(f, BLOCK, known[i]);
		assert_int_equal(edk2_status(f), STATUS_READY);
		command(f, BLOCK, 0xff);
	}
	edk2_unlock(f, BLOCK);
	command(f, BLOCK, 0x60);
	command(f, BLOCK, 0x44);
	assert_int_equal(edk2_status(f), STATUS_READY | STATUS_SEQ);
}

static void test_unknown_commands(void **state)
{
	struct fixture *f = *state;

	command(f, 0, 0xaa);
	assert_int_equal(reg_read(f->bus, 0), 0x11110000); /* array still */
	assert_int_equal(edk2_status(f), STATUS_READY | STATUS_SEQ);
	command(f, 0, 0x50);
	reg_write(f->bus, 0, 0x00ff0070); /* each chip its own: no */
	assert_int_equal(edk2_status(f), STATUS_READY | STATUS_SEQ);
	command(f, 0, 0xf0); /* a probe for other command sets leaves so */
	assert_int_equal(guest_load(f, 0), 0x11110000);
	assert_durable(f);
}

static void test_identity(void **state)
{
	struct fixture *f = *state;

	command(f, BLOCK, 0x90);
	assert_true(f->mapped);
	assert_int_equal(guest_load(f, BLOCK), 0x00890089);
	assert_int_equal(guest_load(f, BLOCK + 4), 0x00180018);
	assert_int_equal(guest_load(f, BLOCK + 8), 0);
	assert_int_equal(reg_read(f->bus, BLOCK), 0x00890089);
	assert_int_equal(reg_read(f->bus, 4), 0x00180018);
	command(f, 0, 0xff);
	assert_durable(f);
}

/* As Linux's cfi_probe reads it: words, both halves alike. */
static void test_cfi_query(void **state)
{
	static const struct {
		uint16_t word;
		uint8_t value;
	} rows[] = {
		{0x00, 0},   {0x10, 'Q'}, {0x11, 'R'},	{0x12, 'Y'},
		{0x13, 1},   {0x14, 0},	  {0x15, 0x31}, {0x16, 0},
		{0x17, 0},   {0x19, 0},	  {0x27, 25},	{0x28, 1},
		{0x29, 0},   {0x2a, 6},	  {0x2b, 0},	{0x2c, 1},
		{0x2d, 255}, {0x2e, 0},	  {0x2f, 0},	{0x30, 2},
		{0x31, 'P'}, {0x32, 'R'}, {0x33, 'I'},	{0x34, '1'},
		{0x35, '0'}, {0x36, 0},	  {0x3f, 0},	{0x40, 0},
		{0x100, 0},  {0xffff, 0},
	};
	struct fixture *f = *state;

	command(f, 4 * 0x55, 0x98);
	assert_false(f->mapped);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t got = guest_load(f, 4 * rows[i].word);

		if (got != both(rows[i].value))
			fail_msg("word %#x is %#x", rows[i].word, got);
	}
	/* Out of a query straight into status: mapped again and patched. */
	command(f, 0, 0x70);
	assert_true(f->mapped);
	assert_int_equal(guest_load(f, 0), STATUS_READY);
	command(f, 0, 0x98);
	command(f, 0, 0xff);
	assert_true(f->mapped);
	assert_int_equal(f->remaps, 4);
	assert_durable(f);
}

static void test_free_restores(void **state)
{
	struct fixture *f = *state;

	command(f, BLOCK, 0x70);
	assert_int_equal(f->content[0], STATUS_READY);
	f->flash = cfi_flash_free(f->flash);
	assert_durable(f);
}

static void test_odd_accesses(void **state)
{
	struct fixture *f = *state;

	/* Narrow: one chip is spoken to, both listen. */
	reg_write_n(f->bus, 0, 1, 0x70);
	assert_int_equal(reg_read_n(f->bus, 0, 1), 0x80);
	assert_int_equal(reg_read_n(f->bus, 1, 1), 0);
	reg_write_n(f->bus, 2, 2, 0xff);
	assert_int_equal(reg_read_n(f->bus, 0, 2), 0);
	assert_durable(f);
	/* Programming changes just the bytes written. */
	command(f, 0x200, 0x40);
	reg_write_n(f->bus, 0x201, 2, 0x1234);
	command(f, 0, 0xff);
	assert_int_equal(f->content[0x80], 0xff1234ff);
	/* 64 bits are two cycles: setup and data. */
	reg_write_n(f->bus, 0x240, 8, 0x5555666600400040);
	command(f, 0, 0xff);
	assert_int_equal(f->content[0x90], 0xffffffff);
	assert_int_equal(f->content[0x91], 0x55556666);
	/* Across the end of the content. */
	command(f, 0, 0x70);
	assert_int_equal(reg_read_n(f->bus, CONTENT - 2, 4), 0x00800080);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLASH_TEST(test_reads_array),
		FLASH_TEST(test_parameters),
		FLASH_TEST(test_status_shows_where_drivers_look),
		FLASH_TEST(test_lock_sequences),
		FLASH_TEST(test_unknown_commands),
		FLASH_TEST(test_identity),
		FLASH_TEST(test_cfi_query),
		FLASH_TEST(test_free_restores),
		FLASH_TEST(test_odd_accesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
