#include "tests/unit/device_harness.h"

#include <endian.h>

#include "vmm-kvm/devices/fw_cfg.h"

#define DATA	 0x00
#define SELECTOR 0x08
#define DMA	 0x10

#define DMA_ERROR  1
#define DMA_READ   2
#define DMA_SKIP   4
#define DMA_SELECT 8
#define DMA_WRITE  16

#define RAM 0x40000000

struct fixture {
	uint8_t ram[0x1000];
	struct guest_mem mem;
	struct fw_cfg *cfg;
	struct bus *bus;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	assert_int_equal(guest_mem_add(&f.mem, RAM, sizeof(f.ram), f.ram), 0);
	assert_int_equal(fw_cfg_new(&f.mem, &f.cfg), 0);
	f.bus = harness_bus(fw_cfg_region(f.cfg));
	assert_int_equal(fw_cfg_add_file(f.cfg, "etc/one", "0123456789", 10),
			 0);
	assert_int_equal(fw_cfg_add_file(f.cfg, "opt/two", NULL, 0), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bus_free(f->bus);
	fw_cfg_free(f->cfg);
	return 0;
}

static void select_item(struct fixture *f, uint16_t key)
{
	reg_write_n(f->bus, SELECTOR, 2, htobe16(key));
}

/* A request at `at` in RAM; what its control word became. */
static uint32_t dma(struct fixture *f, uint64_t at, uint32_t control,
		    uint32_t length, uint64_t address)
{
	uint32_t words[2] = {htobe32(control), htobe32(length)};
	uint32_t outcome;

	address = htobe64(address);
	memcpy(f->ram + at, words, 8);
	memcpy(f->ram + at + 8, &address, 8);
	reg_write(f->bus, DMA, htobe32((RAM + at) >> 32));
	reg_write(f->bus, DMA + 4, htobe32((uint32_t)(RAM + at)));
	memcpy(&outcome, f->ram + at, 4);
	return be32toh(outcome);
}

static void test_signature_and_features(void **state)
{
	struct fixture *f = *state;
	uint32_t word;

	word = reg_read(f->bus, DATA); /* selected from the start */
	assert_memory_equal(&word, "QEMU", 4);
	assert_int_equal(reg_read_n(f->bus, DATA, 8), 0); /* past the end */
	select_item(f, 1);
	assert_int_equal(reg_read(f->bus, DATA), 3);
	assert_true(be64toh(reg_read_n(f->bus, DMA, 8)) ==
		    UINT64_C(0x51454d5520434647));
	assert_int_equal(be32toh(reg_read(f->bus, DMA + 4)), 0x20434647);
	assert_int_equal(be32toh(reg_read(f->bus, DMA)), 0x51454d55);
}

static void test_data_register_widths(void **state)
{
	struct fixture *f = *state;
	uint64_t v;

	select_item(f, 0x20);
	assert_int_equal(reg_read_n(f->bus, DATA, 1), '0');
	v = reg_read_n(f->bus, DATA, 2);
	assert_memory_equal(&v, "12", 2);
	v = reg_read_n(f->bus, DATA, 8);
	assert_memory_equal(&v, "3456789\0", 8);
	select_item(f, 0x20);
	assert_int_equal(reg_read_n(f->bus, DATA, 1), '0');
	select_item(f, 0x22); /* no such file */
	assert_int_equal(reg_read_n(f->bus, DATA, 8), 0);
	select_item(f, 0xffff);
	assert_int_equal(reg_read_n(f->bus, DATA, 8), 0);
}

static void test_directory(void **state)
{
	static const uint8_t expected[] = {
		0, 0, 0, 2, /* files */
		0, 0, 0, 10, 0, 0x20, 0, 0, 'e', 't', 'c', '/', 'o', 'n', 'e',
	};
	struct fixture *f = *state;

	assert_int_equal(
		dma(f, 0, 0x190000 | DMA_SELECT | DMA_READ, 132, RAM + 0x100),
		0);
	assert_memory_equal(f->ram + 0x100, expected, sizeof(expected));
	assert_memory_equal(f->ram + 0x144, "\0\0\0\0\0\x21\0\0opt/two", 16);
}

static void test_dma_read_and_skip(void **state)
{
	struct fixture *f = *state;

	memset(f->ram + 0x200, 0xee, 16);
	assert_int_equal(dma(f, 0x10, 0x200000 | DMA_SELECT, 0, 0), 0);
	assert_int_equal(dma(f, 0x10, DMA_SKIP, 4, 0), 0);
	assert_int_equal(dma(f, 0x10, DMA_READ, 8, RAM + 0x200), 0);
	assert_memory_equal(f->ram + 0x200, "456789\0\0\xee", 9);
	assert_int_equal(dma(f, 0x10, DMA_READ, 0, 0), 0);
	/* 64 bits at once. */
	f->ram[0x10 + 3] = DMA_READ;
	reg_write_n(f->bus, DMA, 8, htobe64(RAM + 0x10));
	assert_int_equal(f->ram[0x10 + 3], 0);
}

static void test_dma_refusals(void **state)
{
	struct fixture *f = *state;
	uint8_t before[sizeof(f->ram)];

	select_item(f, 0x20);
	assert_int_equal(dma(f, 0, DMA_WRITE, 4, RAM + 0x100), DMA_ERROR);
	assert_int_equal(dma(f, 0, DMA_READ, 4, 0), DMA_ERROR);
	assert_int_equal(dma(f, 0, DMA_READ, 4, RAM + 0xffe), DMA_ERROR);
	assert_int_equal(dma(f, 0, DMA_READ, UINT32_MAX, RAM), DMA_ERROR);
	assert_int_equal(dma(f, 0, DMA_READ, 8, UINT64_MAX - 3), DMA_ERROR);
	assert_int_equal(reg_read_n(f->bus, DATA, 1), '0'); /* not moved */
	/* Requests that are not, or not wholly, in RAM. */
	memcpy(before, f->ram, sizeof(before));
	reg_write_n(f->bus, DMA, 8, 0);
	reg_write_n(f->bus, DMA, 8, htobe64(RAM + 0xff8));
	reg_write_n(f->bus, DMA, 8, UINT64_MAX);
	assert_memory_equal(f->ram, before, sizeof(before));
	/* A request inside what it asks to be overwritten. */
	assert_int_equal(
		dma(f, 0x40, 0x200000 | DMA_SELECT | DMA_READ, 16, RAM + 0x40),
		0);
	assert_memory_equal(f->ram + 0x44, "456789", 6);
}

static void test_skip_far_past_the_end(void **state)
{
	struct fixture *f = *state;

	select_item(f, 0x20);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(dma(f, 0, DMA_SKIP, UINT32_MAX, 0), 0);
	assert_int_equal(reg_read_n(f->bus, DATA, 8), 0);
}

static void test_add_file_refuses(void **state)
{
	struct fixture *f = *state;
	char name[FW_CFG_NAME_MAX + 1];

	assert_int_equal(fw_cfg_add_file(f->cfg, "", "x", 1), -EINVAL);
	assert_int_equal(fw_cfg_add_file(f->cfg, "etc/one", "x", 1), -EEXIST);
	memset(name, 'n', sizeof(name));
	name[FW_CFG_NAME_MAX] = 0;
	assert_int_equal(fw_cfg_add_file(f->cfg, name, "x", 1), -EINVAL);
	name[FW_CFG_NAME_MAX - 1] = 0;
	for (unsigned i = 2; i < FW_CFG_FILES_MAX; i++) {
		name[0] = 'a' + i;
		assert_int_equal(fw_cfg_add_file(f->cfg, name, &name[0], 1), 0);
	}
	assert_int_equal(fw_cfg_add_file(f->cfg, "more", "x", 1), -ENOSPC);
	select_item(f, 0x20 + FW_CFG_FILES_MAX - 1);
	assert_int_equal(reg_read_n(f->bus, DATA, 2), name[0]);
}

static void test_odd_accesses(void **state)
{
	struct fixture *f = *state;

	select_item(f, 1);
	reg_write_n(f->bus, SELECTOR, 1, 0x20);
	reg_write_n(f->bus, SELECTOR, 4, 0x20);
	reg_write_n(f->bus, SELECTOR + 1, 2, 0x20);
	reg_write_n(f->bus, DATA, 8, UINT64_MAX);
	assert_int_equal(reg_read_n(f->bus, SELECTOR, 2), 0);
	assert_int_equal(reg_read_n(f->bus, DATA + 1, 4), 0);
	assert_int_equal(reg_read_n(f->bus, DMA + 2, 4), 0);
	assert_int_equal(reg_read(f->bus, DATA), 3);
}

static void test_nonsense_then_reset(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 4;

	throw_nonsense(f->bus, fw_cfg_region(f->cfg), 20000, 3);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t r = noise(&seed);

		dma(f, (r >> 8) % (sizeof(f->ram) - 16),
		    (uint32_t)noise(&seed) & 0x3f001f,
		    (uint32_t)(r >> 20) & 0x1fff, RAM + (r >> 40) % 0x1100);
	}
	fw_cfg_reset(f->cfg);
	test_signature_and_features(state);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_signature_and_features),
		T(test_data_register_widths),
		T(test_directory),
		T(test_dma_read_and_skip),
		T(test_dma_refusals),
		T(test_skip_far_past_the_end),
		T(test_add_file_refuses),
		T(test_odd_accesses),
		T(test_nonsense_then_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
