#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/image/pe.h"
#include "tests/unit/image_maker.h"

struct memory {
	const uint8_t *data;
	size_t size;
};

static int read_memory(void *cookie, uint64_t at, void *buf, size_t size)
{
	const struct memory *m = cookie;

	if (at > m->size || size > m->size - at)
		return -EIO;
	memcpy(buf, m->data + at, size);
	return 0;
}

static int parse(const uint8_t *data, size_t size, struct pe_info *ret)
{
	struct memory m = {.data = data, .size = size};

	return pe_read(read_memory, &m, size, ret, NULL);
}

static void test_fields(void **state)
{
	uint8_t pe[MAKER_PE_SIZE];
	struct pe_info info;

	maker_pe(pe, 0xaa64, 0x20b, 10);
	assert_int_equal(parse(pe, sizeof(pe), &info), 0);
	assert_int_equal(info.machine, PE_MACHINE_AARCH64);
	assert_int_equal(info.magic, PE_MAGIC_32_PLUS);
	assert_int_equal(info.subsystem, PE_SUBSYSTEM_EFI_APPLICATION);
}

static void test_refused(void **state)
{
	static const struct {
		int at, bytes;
		uint64_t value;
	} lies[] = {
		{0, 2, 0},		  /* no MZ */
		{0x3c, 4, UINT32_MAX},	  /* header far away */
		{0x3c, 4, MAKER_PE_SIZE}, /* just behind the end */
		{0x3c, 4, 300},		  /* no signature there */
		{480, 4, 0x4550 | 1 << 16},
		{480 + 20, 2, 69},    /* optional header too short */
		{480 + 24, 2, 0x107}, /* a ROM image */
	};
	uint8_t pe[MAKER_PE_SIZE];
	struct pe_info info;

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		maker_pe(pe, 0xaa64, 0x20b, 10);
		maker_le(pe + lies[i].at, lies[i].value, lies[i].bytes);
		assert_int_equal(parse(pe, sizeof(pe), &info), -EBADMSG);
	}
	maker_pe(pe, 0xaa64, 0x20b, 10);
	for (size_t size = 0; size < 480 + 24 + 70; size++)
		assert_int_equal(parse(pe, size, &info), -EBADMSG);
	assert_int_equal(parse(pe, 480 + 24 + 70, &info), 0);
}

static void test_machine_names(void **state)
{
	assert_string_equal(pe_machine_name(0xaa64), "AArch64");
	assert_string_equal(pe_machine_name(0x01c0), "AArch32");
	assert_string_equal(pe_machine_name(0x01c2), "AArch32");
	assert_string_equal(pe_machine_name(0x01c4), "AArch32");
	assert_string_equal(pe_machine_name(0x8664), "x86-64");
	assert_string_equal(pe_machine_name(1), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_machine_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
