#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/image/fat.h"
#include "tests/unit/image_maker.h"

struct volume {
	int fd;
	struct disk disk;
	struct maker_fat made;
	struct fat fat;
};

static const struct {
	unsigned bits;
	uint32_t sectors;
} kinds[] = {{12, 2000}, {16, 9000}, {32, 72000}};

static uint8_t content[3000];

static void setup(struct volume *v, size_t kind)
{
	uint32_t sectors = kinds[kind].sectors;

	v->fd = maker_file((uint64_t)sectors * 512 + 4096);
	v->made = maker_fat(v->fd, 4096, sectors, kinds[kind].bits);
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * 7 + i / 256);
	maker_boot_file(&v->made, "BOOTAA64EFI", content, sizeof(content));
	assert_int_equal(disk_init(&v->disk, v->fd, "test", NULL), 0);
	assert_int_equal(fat_open(&v->disk, 4096, (uint64_t)sectors * 512,
				  &v->fat, NULL),
			 0);
}

static void done(struct volume *v)
{
	fd_close(v->fd);
}

static void test_finds_and_reads_in_every_kind(void **state)
{
	uint8_t read[sizeof(content)];
	struct fat_file file;
	struct volume v;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		setup(&v, i);
		assert_int_equal(v.fat.bits, kinds[i].bits);
		assert_int_equal(
			fat_find(&v.fat, "efi/Boot/bootaa64.EFI", &file), 0);
		assert_int_equal(file.size_bytes, sizeof(content));
		assert_int_equal(fat_read(&v.fat, &file, 0, read, sizeof(read)),
				 0);
		assert_memory_equal(read, content, sizeof(content));
		assert_int_equal(fat_read(&v.fat, &file, 1000, read, 1500), 0);
		assert_memory_equal(read, content + 1000, 1500);
		assert_int_equal(fat_read(&v.fat, &file, 2999, read, 2),
				 -ERANGE);
		done(&v);
	}
}

static void test_names(void **state)
{
	struct fat_file file;
	struct volume v;
	uint64_t dir;

	setup(&v, 2);
	dir = maker_cluster(&v.made, 4);
	maker_long_entry(v.fd, dir + 32, "grubaa64.conf", "GRUBAA~1CON");
	maker_entry(v.fd, dir + 64, "GRUBAA~1CON", 0x20, 5, 10);
	/* A long name whose short entry was replaced does not count. */
	maker_long_entry(v.fd, dir + 96, "stale.efi", "OTHER   EFI");
	maker_entry(v.fd, dir + 128, "SOMEBODYEFI", 0x20, 5, 10);
	/* Deleted, volume label, directory where a file is wanted. */
	maker_entry(v.fd, dir + 160,
		    "\xe5"
		    "ONE    EFI",
		    0x20, 5, 10);
	maker_entry(v.fd, dir + 192, "LABEL   EFI", 0x08, 5, 10);
	maker_entry(v.fd, dir + 224, "DIR     EFI", 0x10, 5, 0);

	assert_int_equal(fat_find(&v.fat, "EFI/BOOT/GrubAA64.conf", &file), 0);
	assert_int_equal(file.size_bytes, 10);
	assert_int_equal(fat_find(&v.fat, "EFI/BOOT/GRUBAA~1.CON", &file), 0);
	assert_int_equal(fat_find(&v.fat, "EFI/BOOT/SOMEBODY.EFI", &file), 0);
	assert_int_equal(fat_find(&v.fat, "EFI/BOOT/stale.efi", &file),
			 -ENOENT);
	assert_int_equal(fat_find(&v.fat, "EFI/BOOT/LABEL.EFI", &file),
			 -ENOENT);
	assert_int_equal(fat_find(&v.fat, "EFI/BOOT/DIR.EFI", &file), -ENOENT);
	assert_int_equal(fat_find(&v.fat, "EFI/BOOT/GONE.EFI", &file), -ENOENT);
	assert_int_equal(fat_find(&v.fat, "EFI/BOOTX/A.EFI", &file), -ENOENT);
	assert_int_equal(fat_find(&v.fat, "", &file), -ENOENT);
	done(&v);
}

/* A directory that runs over several clusters. */
static void test_directory_chain(void **state)
{
	struct fat_file file;
	struct volume v;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		setup(&v, k);
		for (int i = 1; i < 16; i++)
			maker_entry(v.fd, maker_cluster(&v.made, 4) + 32u * i,
				    "FILLER  TXT", 0x20, 5, 1);
		maker_fat_set(&v.made, 4, 20);
		maker_fat_set(&v.made, 20, 0x0fffffff);
		maker_entry(v.fd, maker_cluster(&v.made, 20), "LATER   EFI",
			    0x20, 5, 77);
		assert_int_equal(fat_find(&v.fat, "EFI/BOOT/LATER.EFI", &file),
				 0);
		assert_int_equal(file.size_bytes, 77);
		assert_int_equal(fat_find(&v.fat, "EFI/BOOT/NONE.EFI", &file),
				 -ENOENT);
		done(&v);
	}
}

static void test_loops_and_lies_end(void **state)
{
	uint8_t read[sizeof(content)];
	struct fat_file file;
	struct volume v;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		setup(&v, k);
		assert_int_equal(
			fat_find(&v.fat, "EFI/BOOT/BOOTAA64.EFI", &file), 0);
		/* The file's chain ends early, leaves the volume, is free. */
		maker_fat_set(&v.made, 6, 0x0fffffff);
		assert_int_equal(fat_read(&v.fat, &file, 0, read, sizeof(read)),
				 -EBADMSG);
		maker_fat_set(&v.made, 6,
			      0x0ffffff0 & (kinds[k].bits == 12 ? 0xff0
								: 0xffffffff));
		assert_int_equal(fat_read(&v.fat, &file, 0, read, sizeof(read)),
				 -EBADMSG);
		maker_fat_set(&v.made, 6, 0);
		assert_int_equal(fat_read(&v.fat, &file, 0, read, sizeof(read)),
				 -EBADMSG);
		/* \EFI\BOOT is a full cluster that follows itself. */
		for (int i = 0; i < 16; i++)
			maker_entry(v.fd, maker_cluster(&v.made, 4) + 32u * i,
				    "FILLER  TXT", 0x20, 5, 1);
		maker_fat_set(&v.made, 4, 4);
		assert_int_equal(
			fat_find(&v.fat, "EFI/BOOT/BOOTAA64.EFI", &file),
			-EBADMSG);
		/* \EFI starts outside the volume. */
		maker_entry(v.fd, v.made.root_at, "EFI        ", 0x10,
			    0xfffffff, 0);
		assert_int_equal(
			fat_find(&v.fat, "EFI/BOOT/BOOTAA64.EFI", &file),
			-EBADMSG);
		done(&v);
	}
}

static void test_boot_sectors_refused(void **state)
{
	static const struct {
		int at, bytes;
		uint32_t value;
	} lies[] = {
		{510, 2, 0},	     {11, 2, 0},   {11, 2, 513},
		{11, 2, 8192},	     {13, 1, 0},   {13, 1, 3},
		{14, 2, 0},	     {16, 1, 0},   {36, 4, 0},
		{36, 4, UINT32_MAX}, {36, 4, 10},  {32, 4, 0},
		{32, 4, UINT32_MAX}, {32, 4, 100},
	};
	struct error e;
	struct volume v;
	struct fat f;

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		setup(&v, 2);
		maker_poke_le(v.fd, (uint64_t)(4096 + lies[i].at),
			      lies[i].value, lies[i].bytes);
		e = ERROR_INIT;
		assert_int_equal(fat_open(&v.disk, 4096, 72000 * 512, &f, &e),
				 -EBADMSG);
		assert_string_not_equal(e.message, "");
		done(&v);
	}
	setup(&v, 2);
	assert_int_equal(
		fat_open(&v.disk, v.disk.size_bytes, 72000 * 512, &f, NULL),
		-ERANGE);
	assert_int_equal(
		fat_open(&v.disk, UINT64_MAX - 100, 72000 * 512, &f, NULL),
		-ERANGE);
	assert_int_equal(fat_open(&v.disk, 4096, 100, &f, NULL), -ERANGE);
	done(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_and_reads_in_every_kind),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_directory_chain),
		cmocka_unit_test(test_loops_and_lies_end),
		cmocka_unit_test(test_boot_sectors_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
