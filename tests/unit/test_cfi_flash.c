#include "tests/unit/device_harness.h"

#include "vmm-kvm/devices/cfi_flash.h"

#define BANK	MIB(64)
#define CONTENT KIB(768)
#define BLOCK	CFI_FLASH_BLOCK_BYTES

#define STATUS_READY 0x00800080u
#define STATUS_ERASE 0x00200020u
#define STATUS_PROG  0x00100010u
#define STATUS_LOCK  0x00020002u
#define STATUS_SEQ   (STATUS_ERASE | STATUS_PROG)

struct fixture {
	struct cfi_flash *flash;
	struct bus *bus;
	bool mapped;
	unsigned remaps, commits;
	uint64_t offset, size; /* of the last commit */
	/* What commits made durable: content as the daemon would copy it. */
	uint8_t durable[CONTENT];
	uint32_t content[CONTENT / 4];
};

static void on_mapped(void *cookie, bool mapped)
{
	struct fixture *f = cookie;

	assert_int_not_equal(mapped, f->mapped);
	f->mapped = mapped;
	f->remaps++;
}

static void on_commit(void *cookie, uint64_t offset, uint64_t size)
{
	struct fixture *f = cookie;

	assert_true(size > 0);
	assert_true(offset < CONTENT && size <= CONTENT - offset);
	f->commits++;
	f->offset = offset;
	f->size = size;
	memcpy(f->durable + offset, (uint8_t *)f->content + offset, size);
}

static struct fixture *fixture_new(bool readonly)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct cfi_flash_params params = {
		.name = "flash",
		.content_size = CONTENT,
		.bank_size = BANK,
		.readonly = readonly,
		.set_mapped = on_mapped,
		.commit = on_commit,
	};

	assert_non_null(f);
	params.content = f->content;
	params.cookie = f;
	f->mapped = true;
	memset(f->content, 0xff, CONTENT);
	for (size_t i = 0; i < 64; i++)
		f->content[i] = 0x11110000 + i;
	f->content[BLOCK / 4] = 0x22222222;
	memcpy(f->durable, f->content, CONTENT);
	assert_int_equal(cfi_flash_new(&params, &f->flash), 0);
	f->bus = harness_bus(cfi_flash_region(f->flash));
	return f;
}

static int setup(void **state)
{
	*state = fixture_new(false);
	return 0;
}

static int setup_readonly(void **state)
{
	*state = fixture_new(true);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bus_free(f->bus);
	cfi_flash_free(f->flash);
	free(f);
	return 0;
}

static uint32_t both(uint32_t half)
{
	return half << 16 | half;
}

static void command(struct fixture *f, uint64_t offset, uint8_t cmd)
{
	reg_write(f->bus, offset, both(cmd));
}

/*
 * What a guest load gives: the mapped content where it is mapped, else an exit
 * to the device; which must say the same wherever a driver looks.
 */
static uint32_t guest_load(struct fixture *f, uint64_t offset)
{
	if (f->mapped && offset < CONTENT)
		return f->content[offset / 4];
	return reg_read(f->bus, offset);
}

/* How ArmVirt reads status: command and load at the start of the bank. */
static uint32_t edk2_status(struct fixture *f)
{
	command(f, 0, 0x70);
	return guest_load(f, 0);
}

/* NorFlashUnlockSingleBlockIfNecessary */
static void edk2_unlock(struct fixture *f, uint64_t block)
{
	command(f, block + 8, 0x90);
	assert_int_equal(guest_load(f, block + 8), 0);
	assert_int_equal(reg_read(f->bus, block + 8), 0);
}

/* NorFlashWriteBuffer */
static uint32_t edk2_write_buffer(struct fixture *f, uint64_t at,
				  const uint32_t *words, unsigned n)
{
	uint32_t status;

	command(f, at, 0xe8);
	assert_int_equal(guest_load(f, at), STATUS_READY);
	command(f, at, n - 1);
	for (unsigned i = 0; i < n; i++)
		reg_write(f->bus, at + 4 * i, words[i]);
	command(f, 0, 0xd0);
	status = edk2_status(f);
	assert_true((status & STATUS_READY) == STATUS_READY);
	if (status == STATUS_READY)
		command(f, 0, 0x50);
	return status;
}

/* NorFlashEraseSingleBlock */
static uint32_t edk2_erase(struct fixture *f, uint64_t block)
{
	uint32_t status;

	edk2_unlock(f, block);
	command(f, block, 0x20);
	command(f, block, 0xd0);
	status = edk2_status(f);
	if (status != STATUS_READY)
		command(f, 0, 0x50);
	command(f, 0, 0xff);
	return status;
}

/* NorFlashWriteSingleWord */
static uint32_t edk2_write_word(struct fixture *f, uint64_t at, uint32_t word)
{
	uint32_t status;

	command(f, at, 0x40);
	reg_write(f->bus, at, word);
	status = edk2_status(f);
	command(f, 0, 0x50);
	return status;
}

static void assert_durable(struct fixture *f)
{
	assert_memory_equal(f->durable, f->content, CONTENT);
}

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
	assert_int_equal(f->commits, 1);
	assert_int_equal(f->offset, 0);
	assert_int_equal(f->size, BLOCK);
	assert_durable(f);
	/* Already erased: nothing changed. */
	assert_int_equal(edk2_erase(f, 0), STATUS_READY);
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

static void test_sync(void **state)
{
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
 * 32 of them as data. */
static void soup_settle(struct fixture *f)
{
	for (unsigned i = 0; i < 36; i++)
		command(f, 0, 0xff);
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
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define T_RO(test) \
	cmocka_unit_test_setup_teardown(test, setup_readonly, teardown)
	const struct CMUnitTest tests[] = {
		T(test_reads_array),
		T(test_parameters),
		T(test_buffered_program),
		T(test_program_patched_words),
		T(test_programming_only_clears),
		T(test_erase),
		T(test_erase_sequence_errors),
		T(test_buffer_sequence_errors),
		T(test_past_the_content),
		T(test_status_shows_where_drivers_look),
		T(test_lock_sequences),
		T(test_unknown_commands),
		T(test_identity),
		T(test_cfi_query),
		T(test_sync),
		T(test_free_restores),
		T(test_odd_accesses),
		T_RO(test_readonly_bank),
		T(test_command_soup),
		T_RO(test_command_soup_readonly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
