#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vmm-kvm/devices/guest_mem.h"

static uint8_t ram[0x2000], more[0x1000];

static struct guest_mem two_regions(void)
{
	struct guest_mem m = {0};

	memset(ram, 0, sizeof(ram));
	memset(more, 0, sizeof(more));
	assert_int_equal(guest_mem_add(&m, 0x40000000, sizeof(ram), ram), 0);
	assert_int_equal(guest_mem_add(&m, 0x40002000, sizeof(more), more), 0);
	return m;
}

static void test_lookup_table(void **state)
{
	static const struct {
		uint64_t gpa, size;
		const uint8_t *expect;
	} rows[] = {
		{0x40000000, 1, ram},
		{0x40000000, 0x2000, ram},
		{0x40001fff, 1, ram + 0x1fff},
		{0x40002000, 0x1000, more},
		{0x40000000, 0, NULL},
		{0x3fffffff, 1, NULL},
		{0x3fffffff, 2, NULL},
		{0x40003000, 1, NULL},
		{0x40002001, 0x1000, NULL},
		/* Adjacent for the guest, not for the host. */
		{0x40001fff, 2, NULL},
		{0x40000000, 0x2001, NULL},
		/* Everything that could wrap. */
		{0x40000000, UINT64_MAX, NULL},
		{0x40000001, UINT64_MAX, NULL},
		{0x40001000, UINT64_MAX - 0x40000000, NULL},
		{UINT64_MAX, 1, NULL},
		{UINT64_MAX, UINT64_MAX, NULL},
		{0, UINT64_MAX, NULL},
	};
	struct guest_mem m = two_regions();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_ptr_equal(guest_mem_ptr(&m, rows[i].gpa, rows[i].size),
				 rows[i].expect);
}

static void test_add_refuses(void **state)
{
	struct guest_mem m = two_regions();

	assert_int_equal(guest_mem_add(&m, 0x40001000, 0x1000, ram), -EINVAL);
	assert_int_equal(guest_mem_add(&m, 0x3ffff000, 0x1001, ram), -EINVAL);
	assert_int_equal(guest_mem_add(&m, 0, UINT64_MAX, ram), -EINVAL);
	assert_int_equal(guest_mem_add(&m, 0, 0, ram), -EINVAL);
	assert_int_equal(guest_mem_add(&m, 0, 1, NULL), -EINVAL);
	assert_int_equal(guest_mem_add(&m, UINT64_MAX, 2, ram), -EINVAL);
	assert_int_equal(m.count, 2);
	/* The very last byte is fine. */
	assert_int_equal(guest_mem_add(&m, UINT64_MAX, 1, ram), 0);
	assert_ptr_equal(guest_mem_ptr(&m, UINT64_MAX, 1), ram);
	assert_null(guest_mem_ptr(&m, UINT64_MAX, 2));
	assert_int_equal(guest_mem_add(&m, 0, 1, ram), 0);
	assert_int_equal(guest_mem_add(&m, 2, 1, ram), -ENOSPC);
}

static void test_copies(void **state)
{
	struct guest_mem m = two_regions();
	uint8_t out[4] = {9, 9, 9, 9};

	assert_int_equal(guest_mem_write(&m, 0x40001ffc, "abcd", 4), 0);
	assert_memory_equal(ram + 0x1ffc, "abcd", 4);
	assert_int_equal(guest_mem_read(&m, 0x40001ffc, out, 4), 0);
	assert_memory_equal(out, "abcd", 4);
	/* Partly RAM: nothing moves. */
	assert_int_equal(guest_mem_write(&m, 0x40001ffe, "wxyz", 4), -EFAULT);
	assert_memory_equal(ram + 0x1ffc, "abcd", 4);
	assert_int_equal(guest_mem_read(&m, 0x40002ffe, out, 4), -EFAULT);
	assert_memory_equal(out, "abcd", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup_table),
		cmocka_unit_test(test_add_refuses),
		cmocka_unit_test(test_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
