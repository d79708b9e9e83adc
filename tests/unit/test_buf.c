#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/buf.h"

static void test_append_and_terminate(void **state)
{
	_cleanup_buf_ struct buf b = {0};

	assert_int_equal(buf_append(&b, "", 0), 0);
	assert_string_equal(b.data, "");
	assert_int_equal(buf_append(&b, "ab\0c", 4), 0);
	assert_int_equal(b.size, 4);
	assert_memory_equal(b.data, "ab\0c", 5);
	assert_int_equal(buf_printf(&b, "%d-%s", 42, "x"), 0);
	assert_int_equal(b.size, 8);
	assert_memory_equal(b.data, "ab\0c42-x", 9);
}

static void test_grows(void **state)
{
	_cleanup_buf_ struct buf b = {0};

	for (int i = 0; i < 10000; i++)
		assert_int_equal(buf_printf(&b, "%04d", i), 0);
	assert_int_equal(b.size, 40000);
	assert_memory_equal(b.data + 4 * 777, "0777", 4);
	assert_memory_equal(b.data + 39996, "9999", 5);
}

static void test_too_large_leaves_it(void **state)
{
	_cleanup_buf_ struct buf b = {0};

	assert_int_equal(buf_append(&b, "kept", 4), 0);
	assert_int_equal(buf_append(&b, "", SIZE_MAX), -ENOMEM);
	assert_int_equal(buf_append(&b, "", SIZE_MAX - 4), -ENOMEM);
	assert_int_equal(b.size, 4);
	assert_string_equal(b.data, "kept");
}

static void test_consume(void **state)
{
	_cleanup_buf_ struct buf b = {0};

	buf_consume(&b, 3);
	assert_int_equal(buf_append(&b, "line\nrest", 9), 0);
	buf_consume(&b, 5);
	assert_string_equal(b.data, "rest");
	buf_consume(&b, 100);
	assert_int_equal(b.size, 0);
	assert_string_equal(b.data, "");
}

static void test_ring_forgets_oldest(void **state)
{
	struct ring r;
	uint64_t pos = 0;
	char out[16];

	assert_int_equal(ring_init(&r, 8), 0);
	ring_write(&r, "abcde", 5);
	assert_int_equal(ring_start(&r), 0);
	assert_int_equal(ring_read(&r, &pos, out, 3), 3);
	assert_memory_equal(out, "abc", 3);
	ring_write(&r, "fghijk", 6);
	assert_int_equal(ring_start(&r), 3);
	assert_int_equal(ring_read(&r, &pos, out, sizeof(out)), 8);
	assert_memory_equal(out, "defghijk", 8);
	assert_int_equal(pos, 11);
	assert_int_equal(ring_read(&r, &pos, out, sizeof(out)), 0);
	/* A reader that is late is moved forward. */
	pos = 0;
	assert_int_equal(ring_read(&r, &pos, out, 2), 2);
	assert_memory_equal(out, "de", 2);
	ring_done(&r);
}

static void test_ring_write_larger_than_it(void **state)
{
	struct ring r;
	uint64_t pos = 0;
	char out[16];

	assert_int_equal(ring_init(&r, 4), 0);
	ring_write(&r, "x", 1);
	ring_write(&r, "0123456789", 10);
	assert_int_equal(r.written, 11);
	assert_int_equal(ring_read(&r, &pos, out, sizeof(out)), 4);
	assert_memory_equal(out, "6789", 4);
	ring_write(&r, "ab", 2);
	pos = 9;
	assert_int_equal(ring_read(&r, &pos, out, sizeof(out)), 4);
	assert_memory_equal(out, "89ab", 4);
	/* A position from the future reads nothing. */
	pos = 1000;
	assert_int_equal(ring_read(&r, &pos, out, sizeof(out)), 0);
	ring_done(&r);
	assert_int_equal(ring_init(&r, 0), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_and_terminate),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_too_large_leaves_it),
		cmocka_unit_test(test_consume),
		cmocka_unit_test(test_ring_forgets_oldest),
		cmocka_unit_test(test_ring_write_larger_than_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
