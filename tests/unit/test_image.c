#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>

#include "lib/image/image.h"
#include "tests/fuzz/fuzz_image.c"

static enum image_verdict verdict(const struct image_report *r,
				  const char *clause)
{
	enum image_verdict worst = IMAGE_PASS;
	bool found = false;

	for (size_t i = 0; i < r->count; i++) {
		if (!streq(r->findings[i].clause, clause))
			continue;
		found = true;
		if (r->findings[i].verdict != IMAGE_PASS)
			worst = r->findings[i].verdict;
	}
	assert_true(found);
	return worst;
}

static void check(int fd, struct image_report *r)
{
	assert_int_equal(image_check(fd, "disk.raw", r, NULL), 0);
	for (int n = 1; n <= 7; n++) {
		char clause[16];

		snprintf(clause, sizeof(clause), "IMG-%d", n);
		verdict(r, clause);
	}
}

static void expect_message(const struct image_report *r, bool aarch64,
			   const char *want)
{
	struct error e = ERROR_INIT;

	assert_int_equal(image_report_bootable(r, aarch64, "disk.raw", &e),
			 -EBADMSG);
	if (!strstr(e.message, want))
		fail_msg("\"%s\" is not in \"%s\"", want, e.message);
}

static void test_conformant(void **state)
{
	struct maker_fat fat;
	_cleanup_close_ int fd = maker_disk(&fat);
	struct image_report r;

	check(fd, &r);
	for (size_t i = 0; i < r.count; i++)
		assert_int_equal(r.findings[i].verdict, IMAGE_PASS);
	assert_true(r.bootable_aarch64 && r.bootable_aarch32);
	assert_int_equal(image_report_bootable(&r, true, "disk.raw", NULL), 0);
	assert_int_equal(image_report_bootable(&r, false, "disk.raw", NULL), 0);
}

static void test_text_file_gets_the_promised_sentence(void **state)
{
	_cleanup_close_ int fd = maker_file(0);
	struct image_report r;
	struct error e = ERROR_INIT;

	maker_poke(fd, 0, "buy milk\n", 9);
	assert_int_equal(image_check(fd, "notes.txt", &r, NULL), 0);
	assert_int_equal(image_report_bootable(&r, true, "notes.txt", &e),
			 -EBADMSG);
	assert_string_equal(
		e.message,
		"disk \"notes.txt\" has no GUID partition table, so UEFI has "
		"nothing to boot from (IMG-1). See the whole report with: "
		"armvmctl image check notes.txt");
	assert_int_equal(verdict(&r, "IMG-7"), IMAGE_UNKNOWN);
}

static void test_one_architecture_only(void **state)
{
	struct maker_fat fat;
	_cleanup_close_ int fd = maker_disk(&fat);
	struct image_report r;

	maker_entry(fd, maker_cluster(&fat, 4) + 32,
		    "\xe5"
		    "OOTARM EFI",
		    0x20, 7, 1024);
	check(fd, &r);
	assert_true(r.bootable_aarch64 && !r.bootable_aarch32);
	assert_int_equal(verdict(&r, "IMG-6"), IMAGE_UNKNOWN);
	assert_int_equal(verdict(&r, "IMG-2"), IMAGE_PASS);
	expect_message(&r, false, "has no \\EFI\\BOOT\\BOOTARM.EFI");
	expect_message(&r, false, "(IMG-6)");
}

static void test_no_boot_file(void **state)
{
	struct maker_fat fat;
	_cleanup_close_ int fd = maker_disk(&fat);
	struct image_report r;

	maker_entry(fd, maker_cluster(&fat, 3), "OTHER      ", 0x10, 4, 0);
	check(fd, &r);
	assert_int_equal(verdict(&r, "IMG-2"), IMAGE_FAIL);
	assert_int_equal(verdict(&r, "IMG-7"), IMAGE_FAIL);
	assert_int_equal(verdict(&r, "IMG-3"), IMAGE_UNKNOWN);
	expect_message(&r, true, "(IMG-2)");
}

static void test_programs(void **state)
{
	static const struct {
		uint16_t machine, subsystem;
		const char *want;
	} wrong[] = {
		{0x8664, 10, "is a program for x86-64"},
		{0x01c2, 10, "is a program for AArch32"},
		{0xaa64, 11, "subsystem is 11, not 10"},
		{0xaa64, 3, "is no UEFI application"},
	};
	uint8_t pe[MAKER_PE_SIZE];
	struct maker_fat fat;
	struct image_report r;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_close_ int fd = maker_disk(&fat);

		maker_pe(pe, wrong[i].machine, 0x20b, wrong[i].subsystem);
		maker_poke(fd, maker_cluster(&fat, 5), pe, sizeof(pe));
		check(fd, &r);
		assert_int_equal(verdict(&r, "IMG-3"), IMAGE_FAIL);
		assert_true(!r.bootable_aarch64 && r.bootable_aarch32);
		expect_message(&r, true, wrong[i].want);
		expect_message(&r, true, "(IMG-3)");
	}
}

static void test_partition_table(void **state)
{
	static const uint8_t linux_type[16] = {0xaf, 0x3d};
	struct maker_fat fat;
	_cleanup_close_ int fd = maker_disk(&fat);
	struct image_report r;

	maker_poke(fd, 512, "spoiled", 7);
	check(fd, &r);
	assert_int_equal(verdict(&r, "IMG-1"), IMAGE_WARN);
	assert_true(r.bootable_aarch64);

	maker_poke(fd, 446 + 4, "\x83", 1);
	check(fd, &r);
	expect_message(&r, true, "protective MBR");

	maker_gpt(fd, 512, MAKER_DISK_SIZE, linux_type, 1, MAKER_ESP_FIRST,
		  MAKER_ESP_FIRST + MAKER_ESP_SECTORS - 1);
	check(fd, &r);
	expect_message(&r, true, "(IMG-4)");
	assert_int_equal(verdict(&r, "IMG-5"), IMAGE_UNKNOWN);
}

static void test_4096_byte_sectors(void **state)
{
	_cleanup_close_ int fd = maker_file(MIB(8));
	struct image_report r;

	maker_gpt(fd, 4096, MIB(8), maker_esp_type, 1, 10, 1000);
	check(fd, &r);
	expect_message(&r, true, "sectors of 4096 bytes");
}

static void test_other_fat(void **state)
{
	uint8_t pe[MAKER_PE_SIZE];
	struct image_report r;

	for (unsigned bits = 12; bits <= 32; bits += bits == 12 ? 4 : 16) {
		_cleanup_close_ int fd = maker_file(MIB(8));
		struct maker_fat fat;
		uint32_t sectors = bits == 12 ? 2000 : 10000;
		char name[16];

		maker_gpt(fd, 512, MIB(8), maker_esp_type, 1, 2048,
			  2048 + sectors - 1);
		fat = maker_fat(fd, 2048 * 512, sectors, bits);
		maker_pe(pe, 0xaa64, 0x20b, 10);
		maker_boot_file(&fat, "BOOTAA64EFI", pe, sizeof(pe));
		check(fd, &r);
		/* Small for FAT32, but firmware and Linux take it as such. */
		if (bits == 32) {
			assert_int_equal(verdict(&r, "IMG-5"), IMAGE_WARN);
			assert_true(r.bootable_aarch64);
			continue;
		}
		assert_int_equal(verdict(&r, "IMG-7"), IMAGE_PASS);
		snprintf(name, sizeof(name), "FAT%u", bits);
		expect_message(&r, true, name);
		expect_message(&r, true, "(IMG-5)");
	}
}

static void test_no_file_system(void **state)
{
	struct maker_fat fat;
	_cleanup_close_ int fd = maker_disk(&fat);
	struct image_report r;

	maker_poke_le(fd, MAKER_ESP_START + 510, 0, 2);
	check(fd, &r);
	expect_message(&r, true, "(IMG-5)");
	assert_int_equal(verdict(&r, "IMG-2"), IMAGE_UNKNOWN);
}

/* The second system partition has what the first lacks. */
static void test_second_esp_is_looked_into(void **state)
{
	struct maker_fat fat;
	_cleanup_close_ int fd = maker_disk(&fat);
	static uint8_t entries[128 * 128];
	struct image_report r;
	uint32_t crc;

	assert_int_equal(fd_pread_full(fd, entries, sizeof(entries), 1024), 0);
	memcpy(entries + 128, entries, 128);
	maker_le(entries + 32, 100, 8);
	maker_le(entries + 40, 200, 8);
	crc = crc32_ieee(0, entries, sizeof(entries));
	maker_poke(fd, 1024, entries, sizeof(entries));
	maker_gpt_header(fd, 512, 1, MAKER_DISK_SIZE / 512 - 1, 2, crc);
	check(fd, &r);
	assert_true(r.bootable_aarch64);
}

static void test_foreign_formats(void **state)
{
	_cleanup_close_ int fd = maker_file(MIB(1));
	struct image_report r;

	maker_poke(fd, 0, "QFI\xfb", 4);
	check(fd, &r);
	expect_message(&r, true, "is a qcow2 image: convert it");
}

static void test_not_a_disk(void **state)
{
	_cleanup_close_ int dir = open("/", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int empty = maker_file(0);
	_cleanup_close_ int blind = open(
		"/dev/shm", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	struct image_report r;
	struct error e = ERROR_INIT;

	assert_int_equal(image_check(dir, "/", &r, &e), -EINVAL);
	assert_non_null(strstr(e.message, "\"/\" is a directory"));
	assert_int_equal(image_check(null, "/dev/null", &r, &e), -EINVAL);
	assert_int_equal(image_check(empty, "e.raw", &r, &e), -EBADMSG);
	assert_non_null(strstr(e.message, "\"e.raw\" is empty"));
	assert_int_equal(image_check(-1, "gone", &r, &e), -EBADF);
	if (blind >= 0) {
		assert_int_equal(ftruncate(blind, 4096), 0);
		assert_int_equal(image_check(blind, "blind", &r, &e), -EBADF);
		assert_non_null(strstr(e.message, "\"blind\""));
	}
}

/* The fuzz target on a fixed set of mutations, mostly of bytes that matter. */
static void test_random_mutations(void **state)
{
	static const uint32_t hot[] = {446,
				       512,
				       1024,
				       MAKER_ESP_START,
				       MAKER_ESP_START + 32 * 512,
				       MAKER_ESP_START + 32 * 512 +
					       2 * 563 * 512,
				       MAKER_ESP_START + 1158 * 512};
	uint8_t input[5 * 8];
	uint32_t at;

	srandom(1);
	for (int round = 0; round < 300; round++) {
		for (size_t i = 0; i < sizeof(input); i += 5) {
			at = hot[(size_t)random() % ARRAY_SIZE(hot)] +
			     (uint32_t)random() % (round % 3 ? 64 : 2048);
			memcpy(input + i, &at, sizeof(at));
			input[i + 4] = (uint8_t)random();
		}
		LLVMFuzzerTestOneInput(input, sizeof(input));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conformant),
		cmocka_unit_test(test_text_file_gets_the_promised_sentence),
		cmocka_unit_test(test_one_architecture_only),
		cmocka_unit_test(test_no_boot_file),
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_partition_table),
		cmocka_unit_test(test_4096_byte_sectors),
		cmocka_unit_test(test_other_fat),
		cmocka_unit_test(test_no_file_system),
		cmocka_unit_test(test_second_esp_is_looked_into),
		cmocka_unit_test(test_foreign_formats),
		cmocka_unit_test(test_not_a_disk),
		cmocka_unit_test(test_random_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
