#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "lib/image/kernel.h"
#include "tests/unit/kernel_maker.h"

static void expect_refused(int fd, bool aarch64, const char *want)
{
	struct kernel_info k = {.offset = 99};
	struct error e = ERROR_INIT;

	assert_int_equal(kernel_inspect(fd, "/boot/k", aarch64, &k, &e),
			 -EBADMSG);
	if (!strstr(e.message, want) || !strstr(e.message, "/boot/k"))
		fail_msg("\"%s\" is not in \"%s\"", want, e.message);
	assert_int_equal(k.offset, 99);
}

static void expect_text_refused(const void *text, size_t size, const char *want)
{
	_cleanup_close_ int fd = packing_file(text, size, UNPACK_PLAIN);

	expect_refused(fd, true, want);
}

static void test_image_in_every_packing(void **state)
{
	_cleanup_free_ uint8_t *image = kernel_maker_image(0x80000, MIB(4));
	_cleanup_free_ uint8_t *out = malloc(MIB(4));

	for (int f = UNPACK_PLAIN; f <= UNPACK_ZSTD; f++) {
		_cleanup_close_ int fd = packing_file(image, KERNEL_MAKER_SIZE,
						      f);
		struct kernel_info k;

		assert_int_equal(kernel_inspect(fd, "k", true, &k, NULL), 0);
		assert_true(k.aarch64);
		assert_int_equal(k.text_offset, 0x80000);
		assert_int_equal(k.memory_size, MIB(4));
		assert_int_equal(kernel_load(fd, &k, out, MIB(4), NULL), 0);
		assert_memory_equal(out, image, KERNEL_MAKER_SIZE);
	}
}

static void test_image_in_the_efi_wrapper(void **state)
{
	_cleanup_free_ uint8_t *image = kernel_maker_image(0, MIB(2));
	_cleanup_free_ uint8_t *out = malloc(MIB(2));

	for (int f = UNPACK_GZIP; f <= UNPACK_ZSTD; f++) {
		_cleanup_close_ int fd = kernel_maker_zboot(image, f);
		struct kernel_info k;

		assert_int_equal(kernel_inspect(fd, "k", true, &k, NULL), 0);
		assert_int_equal(k.memory_size, MIB(2));
		assert_int_equal(kernel_load(fd, &k, out, MIB(2), NULL), 0);
		assert_memory_equal(out, image, KERNEL_MAKER_SIZE);
	}
}

static void test_wrapper_that_lies(void **state)
{
	_cleanup_free_ uint8_t *image = kernel_maker_image(0, MIB(2));
	_cleanup_close_ int far = kernel_maker_zboot(image, UNPACK_GZIP);
	_cleanup_close_ int strange = kernel_maker_zboot(image, UNPACK_GZIP);

	assert_int_equal(fd_pwrite_full(far, "\377\377\377\377", 4, 8), 0);
	expect_refused(far, true, "cut off");
	assert_int_equal(fd_pwrite_full(strange, "lzma", 5, 24), 0);
	expect_refused(strange, true, "packed in a way");
}

static void test_zimage(void **state)
{
	_cleanup_free_ uint8_t *zimage = kernel_maker_zimage(12345);
	_cleanup_close_ int fd = packing_file(zimage, KERNEL_MAKER_SIZE,
					      UNPACK_PLAIN);
	struct kernel_info k;

	assert_int_equal(kernel_inspect(fd, "k", false, &k, NULL), 0);
	assert_false(k.aarch64);
	assert_int_equal(k.memory_size, 12345);
	expect_refused(fd, true, "is for aarch32, the VM's arch is aarch64");
}

static void test_what_is_no_kernel(void **state)
{
	static const char elf[1024] = "\177ELF\2\1\1";
	char x86[1024] = "MZ";

	memcpy(x86 + 0x202, "HdrS", 4);
	expect_text_refused("", 0, "an empty file");
	expect_text_refused("hi", 2, "no kernel");
	expect_text_refused("hello, world, hello, world", 26, "no kernel");
	expect_text_refused(elf, sizeof(elf), "vmlinux");
	expect_text_refused(x86, sizeof(x86), "x86");
	expect_text_refused("\x1f\x8b\x08\x00trash", 9, "k\"");
	expect_text_refused("\x28\xb5\x2f\xfdtrash", 9, "k\"");
}

static void test_headers_that_lie(void **state)
{
	_cleanup_free_ uint8_t *old = kernel_maker_image(0, 0);
	_cleanup_free_ uint8_t *high = kernel_maker_image(MIB(2), MIB(4));
	_cleanup_free_ uint8_t *huge = kernel_maker_image(0, UINT64_MAX);
	_cleanup_free_ uint8_t *negative = kernel_maker_zimage(0x80000000);
	_cleanup_close_ int fd = packing_file(negative, KERNEL_MAKER_SIZE,
					      UNPACK_PLAIN);

	expect_text_refused(old, KERNEL_MAKER_SIZE, "older than Linux 3.17");
	expect_text_refused(high, KERNEL_MAKER_SIZE, "damaged");
	expect_text_refused(huge, KERNEL_MAKER_SIZE, "damaged");
	expect_refused(fd, false, "damaged");
}

static void test_load_is_bounded(void **state)
{
	_cleanup_free_ uint8_t *image = kernel_maker_image(0, KIB(64));
	_cleanup_free_ uint8_t *out = malloc(KIB(64));
	_cleanup_close_ int fd = packing_file(image, KERNEL_MAKER_SIZE,
					      UNPACK_GZIP);
	struct error e = ERROR_INIT;
	struct kernel_info k;

	assert_int_equal(kernel_inspect(fd, "k", true, &k, NULL), 0);
	assert_int_equal(kernel_load(fd, &k, out, KIB(64), &e), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_in_every_packing),
		cmocka_unit_test(test_image_in_the_efi_wrapper),
		cmocka_unit_test(test_wrapper_that_lies),
		cmocka_unit_test(test_zimage),
		cmocka_unit_test(test_what_is_no_kernel),
		cmocka_unit_test(test_headers_that_lie),
		cmocka_unit_test(test_load_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
