#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/wire/spill.h"

#define STORE_SIZE 64
#define HEADER	   32

struct seen {
	uint64_t count, seq[8];
	uint8_t store[STORE_SIZE];
	int fail_at; /* -1: never */
};

static int apply(void *cookie, uint64_t seq, uint64_t offset, const void *data,
		 uint64_t size)
{
	struct seen *s = cookie;

	if (s->fail_at == (int)s->count)
		return -ENOSPC;
	s->seq[s->count++] = seq;
	memcpy(s->store + offset, data, size);
	return 0;
}

static int replay(int fd, struct seen *s, uint64_t *count, struct error *e)
{
	*s = (struct seen){.fail_at = -1};
	return spill_replay(fd, STORE_SIZE, apply, s, count, e);
}

static int file_with_two(void)
{
	int fd = memfd_create("spill", MFD_CLOEXEC);

	assert_int_equal(spill_append(fd, 7, 0, "first", 5), 0);
	assert_int_equal(spill_append(fd, 8, 2, "second", 6), 0);
	return fd;
}

static void test_round_trip(void **state)
{
	_cleanup_close_ int fd = file_with_two();
	uint64_t count;
	struct seen s;

	assert_int_equal(spill_append(fd, 9, STORE_SIZE, "", 0), 0);
	assert_int_equal(replay(fd, &s, &count, NULL), 0);
	assert_int_equal(count, 3);
	assert_int_equal(s.seq[0], 7);
	assert_int_equal(s.seq[2], 9);
	assert_string_equal((char *)s.store, "fisecond");
}

/* The bytes are a file format: a daemon of another build reads them. */
static void test_layout(void **state)
{
	static const uint8_t expected[HEADER + 2] = {
		'A', 'V', 'S', 'P', 0x70, 0x25, 0x08, 0x96, /* CRC */
		8,   7,	  6,   5,   4,	  3,	2,    1,    /* seq */
		16,  0,	  0,   0,   0,	  0,	0,    0,    /* offset */
		2,   0,	  0,   0,   0,	  0,	0,    0,    /* size */
		'h', 'i',
	};
	_cleanup_close_ int fd = memfd_create("spill", MFD_CLOEXEC);
	uint8_t bytes[HEADER + 2];

	assert_int_equal(spill_append(fd, 0x0102030405060708, 16, "hi", 2), 0);
	assert_int_equal(fd_pread_full(fd, bytes, sizeof(bytes), 0), 0);
	assert_memory_equal(bytes, expected, sizeof(bytes));
}

static void test_empty_file(void **state)
{
	_cleanup_close_ int fd = memfd_create("spill", MFD_CLOEXEC);
	uint64_t count = 9;
	struct seen s;

	assert_int_equal(replay(fd, &s, &count, NULL), 0);
	assert_int_equal(count, 0);
	assert_int_equal(replay(-1, &s, &count, NULL), -EBADF);
}

/* A crash leaves any prefix of the last record. */
static void test_torn_at_every_byte(void **state)
{
	const off_t first = HEADER + 5, whole = first + HEADER + 6;
	uint64_t count;
	struct seen s;

	for (off_t size = 0; size <= whole; size++) {
		_cleanup_close_ int fd = file_with_two();

		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(replay(fd, &s, &count, NULL), 0);
		assert_int_equal(count, (size >= first) + (size >= whole));
	}
}

/* Each byte of the file flipped in turn: never applied as if it were good. */
static void test_damage_is_noticed(void **state)
{
	const off_t first = HEADER + 5, whole = first + HEADER + 6;
	uint64_t count;
	struct seen s;
	uint8_t byte;

	for (off_t at = 0; at < whole; at++) {
		_cleanup_close_ int fd = file_with_two();

		assert_int_equal(fd_pread_full(fd, &byte, 1, at), 0);
		byte ^= 0x40;
		assert_int_equal(fd_pwrite_full(fd, &byte, 1, at), 0);
		(void)!replay(fd, &s, &count, NULL);
		assert_int_equal(count, at >= first);
	}
}

static void test_damage_in_the_middle_is_an_error(void **state)
{
	_cleanup_close_ int fd = file_with_two();
	struct error e = ERROR_INIT;
	uint64_t count;
	struct seen s;

	assert_int_equal(fd_pwrite_full(fd, "X", 1, HEADER), 0);
	assert_int_equal(replay(fd, &s, &count, &e), -EBADMSG);
	assert_string_equal(e.message, "spill file: record 1 is damaged");
}

static void test_out_of_bounds(void **state)
{
	static const struct {
		uint64_t offset, size;
	} cases[] = {{STORE_SIZE, 1}, {STORE_SIZE - 1, 2}, {UINT64_MAX, 2}};
	struct error e = ERROR_INIT;
	uint64_t count;
	struct seen s;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_close_ int fd = file_with_two();

		assert_int_equal(spill_append(fd, 9, cases[i].offset, "xx",
					      cases[i].size),
				 0);
		assert_int_equal(replay(fd, &s, &count, &e), -EBADMSG);
		assert_int_equal(count, 2);
		assert_string_equal(e.message,
				    "spill file: record 3 is out of the "
				    "variable store's bounds");
	}
}

static void test_apply_failure_stops(void **state)
{
	_cleanup_close_ int fd = file_with_two();
	struct seen s = {.fail_at = 1};
	struct error e = ERROR_INIT;
	uint64_t count;

	assert_int_equal(spill_replay(fd, STORE_SIZE, apply, &s, &count, &e),
			 -ENOSPC);
	assert_int_equal(count, 1);
	assert_int_equal(e.code, ERROR_NO_SPACE);
}

/* No room for the record: the file is as it was, and usable later. */
static void test_failed_append_leaves_no_tear(void **state)
{
	_cleanup_close_ int fd = memfd_create("spill", MFD_ALLOW_SEALING);
	uint64_t count;
	struct stat st;
	struct seen s;

	assert_int_equal(spill_append(fd, 1, 0, "good", 4), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_true(spill_append(fd, 2, 0, "more", 4) < 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, HEADER + 4);
	assert_int_equal(replay(fd, &s, &count, NULL), 0);
	assert_int_equal(count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_empty_file),
		cmocka_unit_test(test_torn_at_every_byte),
		cmocka_unit_test(test_damage_is_noticed),
		cmocka_unit_test(test_damage_in_the_middle_is_an_error),
		cmocka_unit_test(test_out_of_bounds),
		cmocka_unit_test(test_apply_failure_stops),
		cmocka_unit_test(test_failed_append_leaves_no_tear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
