#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/image/gpt.h"
#include "tests/unit/image_maker.h"

#define SIZE MIB(4)
#define LAST (SIZE / 512 - 1)

static int make(uint32_t sector)
{
	int fd = maker_file(SIZE);

	maker_gpt(fd, sector, SIZE, maker_esp_type, 3, 40, 99);
	return fd;
}

static int read_table(int fd, struct gpt *g)
{
	struct disk d;

	assert_int_equal(disk_init(&d, fd, "test", NULL), 0);
	return gpt_read(&d, g);
}

static void test_sound_table(void **state)
{
	static const uint32_t sectors[] = {512, 4096};
	struct gpt g;

	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		_cleanup_close_ int fd = make(sectors[i]);

		assert_int_equal(read_table(fd, &g), 0);
		assert_int_equal(g.sector_bytes, sectors[i]);
		assert_true(g.primary && g.backup && g.protective_mbr);
		assert_string_equal(g.primary_why, "");
		assert_int_equal(g.count, 1);
		assert_int_equal(g.partitions[0].number, 3);
		assert_int_equal(g.partitions[0].start_bytes, 40 * sectors[i]);
		assert_int_equal(g.partitions[0].size_bytes, 60 * sectors[i]);
		assert_true(gpt_is_esp(&g.partitions[0]));
	}
}

static void test_each_spoiled_byte_of_the_header_counts(void **state)
{
	_cleanup_close_ int fd = make(512);
	struct gpt g;
	uint8_t byte;

	for (int at = 0; at < 92; at++) {
		assert_int_equal(fd_pread_full(fd, &byte, 1, 512 + at), 0);
		byte ^= 0x10;
		maker_poke(fd, (uint64_t)(512 + at), &byte, 1);
		assert_int_equal(read_table(fd, &g), 0);
		assert_false(g.primary);
		assert_true(g.backup);
		assert_string_not_equal(g.primary_why, "");
		assert_int_equal(g.count, 1);
		byte ^= 0x10;
		maker_poke(fd, (uint64_t)(512 + at), &byte, 1);
	}
	assert_int_equal(read_table(fd, &g), 0);
	assert_true(g.primary);
}

static void test_spoiled_entries(void **state)
{
	_cleanup_close_ int fd = make(512);
	struct gpt g;

	maker_poke(fd, 2 * 512 + 5000, "x", 1);
	assert_int_equal(read_table(fd, &g), 0);
	assert_false(g.primary);
	assert_string_equal(g.primary_why, "has a wrong entry checksum");
	maker_poke(fd, (LAST - 32) * 512 + 5000, "x", 1);
	assert_int_equal(read_table(fd, &g), -EBADMSG);
	assert_false(g.backup);
}

static void test_without_table(void **state)
{
	_cleanup_close_ int fd = maker_file(SIZE);
	_cleanup_close_ int tiny = maker_file(100);
	struct gpt g;

	assert_int_equal(read_table(fd, &g), -EBADMSG);
	assert_int_equal(g.sector_bytes, 512);
	assert_string_equal(g.primary_why, "is missing");
	assert_false(g.protective_mbr);
	assert_int_equal(read_table(tiny, &g), -EBADMSG);
	assert_int_equal(g.count, 0);
}

static void test_disk_cut_short_or_enlarged(void **state)
{
	_cleanup_close_ int fd = make(512);
	struct gpt g;

	assert_int_equal(ftruncate(fd, SIZE / 2), 0);
	assert_int_equal(read_table(fd, &g), 0);
	assert_true(g.primary && !g.backup);
	assert_non_null(strstr(g.backup_why, "cut short"));
	assert_int_equal(ftruncate(fd, 2 * SIZE), 0);
	assert_int_equal(read_table(fd, &g), 0);
	assert_non_null(strstr(g.backup_why, "enlarged"));
}

/* Sound checksums over hostile numbers. */
static void test_hostile_numbers(void **state)
{
	static const struct {
		int at, bytes;
		uint64_t value;
	} lies[] = {
		{12, 4, 0xffffffff}, /* header size */
		{12, 4, 10},
		{72, 8, UINT64_MAX}, /* entries far away */
		{72, 8, UINT64_MAX / 512},
		{80, 4, 0xffffffff}, /* entries without number */
		{84, 4, 0},	     /* entries without size */
		{84, 4, 0xfffffff8},
		{84, 4, 130},
	};
	struct gpt g;

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		_cleanup_close_ int fd = make(512);
		uint8_t h[92];

		assert_int_equal(fd_pread_full(fd, h, sizeof(h), 512), 0);
		maker_le(h + lies[i].at, lies[i].value, lies[i].bytes);
		maker_le(h + 16, 0, 4);
		maker_le(h + 16, crc32_ieee(0, h, sizeof(h)), 4);
		maker_poke(fd, 512, h, sizeof(h));
		assert_int_equal(read_table(fd, &g), 0);
		assert_false(g.primary);
	}
}

static void test_partitions_outside_the_disk_are_ignored(void **state)
{
	static const uint64_t ranges[][2] = {
		{40, SIZE / 512},
		{50, 40},
		{UINT64_MAX - 1, UINT64_MAX},
		{0, UINT64_MAX},
		{1ull << 55, 1ull << 56},
	};
	struct gpt g;

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		_cleanup_close_ int fd = maker_file(SIZE);

		maker_gpt(fd, 512, SIZE, maker_esp_type, 1, ranges[i][0],
			  ranges[i][1]);
		assert_int_equal(read_table(fd, &g), 0);
		assert_int_equal(g.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound_table),
		cmocka_unit_test(test_each_spoiled_byte_of_the_header_counts),
		cmocka_unit_test(test_spoiled_entries),
		cmocka_unit_test(test_without_table),
		cmocka_unit_test(test_disk_cut_short_or_enlarged),
		cmocka_unit_test(test_hostile_numbers),
		cmocka_unit_test(test_partitions_outside_the_disk_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
