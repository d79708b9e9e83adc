/*
 * For tests of the flash: a bank of variables whose owner keeps a durable
 * copy, and the sequences ArmVirt's VirtNorFlashDxe goes through.
 */
#ifndef TESTS_UNIT_CFI_FLASH_HARNESS_H
#define TESTS_UNIT_CFI_FLASH_HARNESS_H

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

/* Writes that are kept back, as KVM does it: a page of 24 bytes each. */
#define LATE_MAX  169
#define ZONES_MAX 8

struct late {
	uint64_t offset;
	uint32_t value;
};

struct zone {
	uint64_t offset, size;
};

struct fixture {
	struct cfi_flash *flash;
	bool delays; /* the owner can keep writes back */
	struct zone zones[ZONES_MAX];
	unsigned n_zones, n_late, exits;
	struct late late[LATE_MAX];
	struct bus *bus;
	bool mapped;
	unsigned remaps, commits;
	/* Called when `durable` has what a commit brought. */
	void (*committed)(struct fixture *f);
	void *cookie;
	uint64_t offset, size; /* of the last commit */
	/* What commits made durable: content as the daemon would copy it. */
	uint8_t durable[CONTENT];
	uint32_t content[CONTENT / 4];
};

static inline void on_mapped(void *cookie, bool mapped)
{
	struct fixture *f = cookie;

	assert_int_not_equal(mapped, f->mapped);
	f->mapped = mapped;
	f->remaps++;
}

static inline void on_commit(void *cookie, uint64_t offset, uint64_t size)
{
	struct fixture *f = cookie;

	assert_true(size > 0);
	assert_true(offset < CONTENT && size <= CONTENT - offset);
	f->commits++;
	f->offset = offset;
	f->size = size;
	memcpy(f->durable + offset, (uint8_t *)f->content + offset, size);
	if (f->committed)
		f->committed(f);
}

static inline void on_delay(void *cookie, uint64_t offset, uint64_t size,
			    bool on)
{
	struct fixture *f = cookie;

	assert_true(size > 0 && offset < CONTENT && size <= CONTENT - offset);
	for (unsigned i = 0; i < f->n_zones; i++) {
		struct zone *z = &f->zones[i];

		if (z->offset != offset || z->size != size)
			continue;
		assert_false(on);
		*z = f->zones[--f->n_zones];
		return;
	}
	assert_true(on && f->n_zones < ZONES_MAX);
	f->zones[f->n_zones++] = (struct zone){offset, size};
}

static inline struct fixture *fixture_with(bool readonly, bool delays)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct cfi_flash_params params = {
		.name = "flash",
		.content_size = CONTENT,
		.bank_size = BANK,
		.readonly = readonly,
		.set_mapped = on_mapped,
		.commit = on_commit,
		.delay = delays ? on_delay : NULL,
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

static inline struct fixture *fixture_new(bool readonly)
{
	return fixture_with(readonly, false);
}

static inline int setup(void **state)
{
	*state = fixture_new(false);
	return 0;
}

static inline int setup_readonly(void **state)
{
	*state = fixture_new(true);
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	bus_free(f->bus);
	cfi_flash_free(f->flash);
	free(f);
	return 0;
}

static inline uint32_t both(uint32_t half)
{
	return half << 16 | half;
}

static inline void late_drain(struct fixture *f)
{
	f->exits++;
	for (unsigned i = 0; i < f->n_late; i++)
		reg_write(f->bus, f->late[i].offset, f->late[i].value);
	f->n_late = 0;
}

/* A guest's store of a word. */
static inline void store(struct fixture *f, uint64_t offset, uint32_t value)
{
	for (unsigned i = 0; i < f->n_zones; i++)
		if (offset >= f->zones[i].offset &&
		    offset + 4 <= f->zones[i].offset + f->zones[i].size &&
		    f->n_late < LATE_MAX) {
			f->late[f->n_late++] = (struct late){offset, value};
			return;
		}
	late_drain(f);
	reg_write(f->bus, offset, value);
}

static inline void command(struct fixture *f, uint64_t offset, uint8_t cmd)
{
	store(f, offset, both(cmd));
}

/*
 * What a guest load gives: the mapped content where it is mapped, else an exit
 * to the device; which must say the same wherever a driver looks.
 */
static inline uint32_t guest_load(struct fixture *f, uint64_t offset)
{
	if (f->mapped && offset < CONTENT)
		return f->content[offset / 4];
	late_drain(f);
	return reg_read(f->bus, offset);
}

/* How ArmVirt reads status: command and load at the start of the bank. */
static inline uint32_t edk2_status(struct fixture *f)
{
	command(f, 0, 0x70);
	return guest_load(f, 0);
}

/* NorFlashUnlockSingleBlockIfNecessary */
static inline void edk2_unlock(struct fixture *f, uint64_t block)
{
	command(f, block + 8, 0x90);
	assert_int_equal(guest_load(f, block + 8), 0);
	assert_int_equal(reg_read(f->bus, block + 8), 0);
}

/* NorFlashWriteBuffer */
static inline uint32_t edk2_write_buffer(struct fixture *f, uint64_t at,
					 const uint32_t *words, unsigned n)
{
	uint32_t status;

	for (unsigned i = 0;; i++) {
		command(f, at, 0xe8);
		status = guest_load(f, at) & STATUS_READY;
		if (status == STATUS_READY)
			break;
		assert_true(f->delays && i < 10000);
	}
	command(f, at, n - 1);
	for (unsigned i = 0; i < n; i++)
		store(f, at + 4 * i, words[i]);
	command(f, 0, 0xd0);
	status = edk2_status(f);
	assert_true((status & STATUS_READY) == STATUS_READY);
	if (status == STATUS_READY)
		command(f, 0, 0x50);
	return status;
}

/* NorFlashEraseSingleBlock */
static inline uint32_t edk2_erase(struct fixture *f, uint64_t block)
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

#define PIECE 128

/* The loop of NorFlashWriteFullBlock, up to piece `end`: those that are all
 * ones are left out. Does not go back to the array. */
static inline void edk2_fill(struct fixture *f, uint64_t block,
			     const uint8_t *image, unsigned end)
{
	static const uint8_t ones[PIECE] = {[0 ... PIECE - 1] = 0xff};
	uint32_t words[PIECE / 4];

	for (unsigned i = 0; i < end; i++) {
		if (memcmp(image + i * PIECE, ones, PIECE) == 0)
			continue;
		memcpy(words, image + i * PIECE, PIECE);
		assert_int_equal(edk2_write_buffer(f, block + i * PIECE, words,
						   PIECE / 4),
				 STATUS_READY);
	}
}

/* NorFlashWriteSingleBlock where bits are to be set, or more than 256 bytes. */
static inline void edk2_rewrite(struct fixture *f, uint64_t block,
				const uint8_t *image)
{
	command(f, 0, 0xff);
	assert_int_equal(edk2_erase(f, block), STATUS_READY);
	edk2_fill(f, block, image, BLOCK / PIECE);
	command(f, 0, 0xff);
}

/* NorFlashWriteSingleWord */
static inline uint32_t edk2_write_word(struct fixture *f, uint64_t at,
				       uint32_t word)
{
	uint32_t status;

	command(f, at, 0x40);
	store(f, at, word);
	status = edk2_status(f);
	command(f, 0, 0x50);
	return status;
}

static inline void assert_durable(struct fixture *f)
{
	assert_memory_equal(f->durable, f->content, CONTENT);
}

#define FLASH_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define FLASH_TEST_READONLY(test) \
	cmocka_unit_test_setup_teardown(test, setup_readonly, teardown)

#endif
