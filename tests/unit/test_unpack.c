#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "lib/base/fd.h"
#include "tests/unit/packing.h"

#define SIZE KIB(300)

static int unpack(int fd, enum unpack_format format, uint8_t *out, size_t room,
		  size_t *ret_size, bool *ret_whole, struct error *e)
{
	return unpack_file(fd, 0, UINT64_MAX, format, out, room, ret_size,
			   ret_whole, e);
}

static void test_all_formats_give_the_bytes_back(void **state)
{
	_cleanup_free_ uint8_t *in = packing_bytes(SIZE);
	_cleanup_free_ uint8_t *out = malloc(SIZE + 1);

	for (int f = UNPACK_PLAIN; f <= UNPACK_ZSTD; f++) {
		_cleanup_close_ int fd = packing_file(in, SIZE, f);
		uint8_t head[4];
		size_t size;
		bool whole;

		assert_int_equal(fd_pread_full(fd, head, 4, 0), 0);
		assert_int_equal(unpack_format_of(head, 4), f);
		assert_int_equal(
			unpack(fd, f, out, SIZE + 1, &size, &whole, NULL), 0);
		assert_int_equal(size, SIZE);
		assert_true(whole);
		assert_memory_equal(in, out, SIZE);
	}
}

static void test_output_is_bounded(void **state)
{
	_cleanup_free_ uint8_t *in = packing_bytes(SIZE);
	_cleanup_free_ uint8_t *out = malloc(100);

	for (int f = UNPACK_PLAIN; f <= UNPACK_ZSTD; f++) {
		_cleanup_close_ int fd = packing_file(in, SIZE, f);
		size_t size;
		bool whole;

		assert_int_equal(unpack(fd, f, out, 100, &size, &whole, NULL),
				 0);
		assert_int_equal(size, 100);
		assert_false(whole);
		assert_memory_equal(in, out, 100);
	}
}

static void test_a_part_of_a_file(void **state)
{
	_cleanup_free_ uint8_t *in = packing_bytes(SIZE);
	_cleanup_close_ int fd = packing_file(in, SIZE, UNPACK_PLAIN);
	uint8_t out[64];
	size_t size;
	bool whole;

	assert_int_equal(unpack_file(fd, 1000, 20, UNPACK_PLAIN, out, 64, &size,
				     &whole, NULL),
			 0);
	assert_int_equal(size, 20);
	assert_true(whole);
	assert_memory_equal(in + 1000, out, 20);
}

static void test_cut_off_is_an_error(void **state)
{
	_cleanup_free_ uint8_t *in = packing_bytes(SIZE);
	_cleanup_free_ uint8_t *out = malloc(SIZE);

	for (int f = UNPACK_GZIP; f <= UNPACK_ZSTD; f++) {
		_cleanup_close_ int fd = packing_file(in, SIZE, f);
		struct error e = ERROR_INIT;
		size_t size = 77;
		bool whole;

		assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) / 2), 0);
		assert_int_equal(unpack(fd, f, out, SIZE, &size, &whole, &e),
				 -EBADMSG);
		assert_non_null(strstr(e.message, "ends too early"));
		assert_int_equal(size, 77);
	}
}

static void test_damage_is_an_error(void **state)
{
	_cleanup_free_ uint8_t *in = packing_bytes(SIZE);
	_cleanup_free_ uint8_t *out = malloc(SIZE);

	for (int f = UNPACK_GZIP; f <= UNPACK_ZSTD; f++) {
		_cleanup_close_ int fd = packing_file(in, SIZE, f);
		struct error e = ERROR_INIT;
		size_t size;
		bool whole;

		assert_int_equal(
			fd_pwrite_full(fd, "\377\377\377\377\377\377", 6, 12),
			0);
		assert_int_equal(unpack(fd, f, out, SIZE, &size, &whole, &e),
				 -EBADMSG);
		assert_non_null(strstr(e.message, "is damaged"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_formats_give_the_bytes_back),
		cmocka_unit_test(test_output_is_bounded),
		cmocka_unit_test(test_a_part_of_a_file),
		cmocka_unit_test(test_cut_off_is_an_error),
		cmocka_unit_test(test_damage_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
