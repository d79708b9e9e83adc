#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tests/unit/kernel_maker.h"
#include "vmm-kvm/board_internal.h"
#include "vmm-kvm/boot.h"

/* A board that is nothing but RAM. */
struct fixture {
	struct vm_config config;
	struct board board;
};

static void setup(struct fixture *f, uint64_t ram_size, int arch)
{
	void *ram = mmap(NULL, ram_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*f = (struct fixture){
		.config = {.arch = arch,
			   .kernel = (char *)"/k",
			   .initrd = (char *)"/i"},
		.board = {.kernel_fd = -1, .initrd_fd = -1},
	};
	assert_ptr_not_equal(ram, MAP_FAILED);
	f->board.config = &f->config;
	f->board.space.ram_size = ram_size;
	assert_int_equal(guest_mem_add(&f->board.guest_mem, BOARD_RAM_BASE,
				       ram_size, ram),
			 0);
}

static void teardown(struct fixture *f)
{
	munmap(f->board.guest_mem.regions[0].hva, f->board.space.ram_size);
	fd_close(f->board.kernel_fd);
	fd_close(f->board.initrd_fd);
}

static void expect_at(struct fixture *f, uint64_t gpa, const void *bytes,
		      size_t size)
{
	assert_memory_equal(guest_mem_ptr(&f->board.guest_mem, gpa, size),
			    bytes, size);
}

static void test_image_with_initrd(void **state)
{
	_cleanup_free_ uint8_t *image = kernel_maker_image(0x80000, MIB(3));
	struct boot_kernel k;
	struct fixture f;

	setup(&f, MIB(128), VM_ARCH_AARCH64);
	f.board.kernel_fd = packing_file(image, KERNEL_MAKER_SIZE, UNPACK_GZIP);
	f.board.initrd_fd = packing_file("initrd", 6, UNPACK_PLAIN);
	assert_int_equal(boot_kernel_load(&f.board, &k, NULL), 0);
	assert_int_equal(k.gpa, BOARD_RAM_BASE + 0x80000);
	/* Behind all the kernel needs, more than the file has. */
	assert_int_equal(k.fdt_gpa, BOARD_RAM_BASE + MIB(4));
	assert_int_equal(k.initrd_gpa, BOARD_RAM_BASE + MIB(6));
	assert_int_equal(k.initrd_size, 6);
	expect_at(&f, k.gpa, image, KERNEL_MAKER_SIZE);
	expect_at(&f, k.initrd_gpa, "initrd", 6);
	teardown(&f);
}

static void test_zimage_keeps_out_of_its_way(void **state)
{
	_cleanup_free_ uint8_t *zimage = kernel_maker_zimage(KERNEL_MAKER_SIZE);
	static const struct {
		uint64_t ram, fdt;
	} cases[] = {{MIB(512), MIB(128)}, {MIB(128), MIB(64)}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct boot_kernel k;
		struct fixture f;

		setup(&f, cases[i].ram, VM_ARCH_AARCH32);
		f.board.kernel_fd = packing_file(zimage, KERNEL_MAKER_SIZE,
						 UNPACK_PLAIN);
		assert_int_equal(boot_kernel_load(&f.board, &k, NULL), 0);
		assert_int_equal(k.gpa, BOARD_RAM_BASE + MIB(32));
		assert_int_equal(k.fdt_gpa, BOARD_RAM_BASE + cases[i].fdt);
		assert_int_equal(k.initrd_size, 0);
		expect_at(&f, k.gpa, zimage, KERNEL_MAKER_SIZE);
		teardown(&f);
	}
}

static void test_what_does_not_fit_is_refused(void **state)
{
	_cleanup_free_ uint8_t *image = kernel_maker_image(0, MIB(100));
	_cleanup_free_ uint8_t *zimage = kernel_maker_zimage(MIB(40));
	struct error e = ERROR_INIT;
	struct boot_kernel k;
	struct fixture f;

	setup(&f, MIB(128), VM_ARCH_AARCH64);
	f.board.kernel_fd = packing_file(image, KERNEL_MAKER_SIZE,
					 UNPACK_PLAIN);
	f.board.initrd_fd = packing_file("", 0, UNPACK_PLAIN);
	assert_int_equal(ftruncate(f.board.initrd_fd, MIB(26) + 1), 0);
	assert_int_equal(boot_kernel_load(&f.board, &k, &e), -EINVAL);
	assert_non_null(strstr(e.message, "memory: kernel and initrd need "
					  "129 MiB"));
	assert_int_equal(ftruncate(f.board.initrd_fd, MIB(26)), 0);
	assert_int_equal(boot_kernel_load(&f.board, &k, &e), 0);
	teardown(&f);

	setup(&f, MIB(128), VM_ARCH_AARCH32);
	f.board.kernel_fd = packing_file(zimage, KERNEL_MAKER_SIZE,
					 UNPACK_PLAIN);
	assert_int_equal(boot_kernel_load(&f.board, &k, &e), -EINVAL);
	assert_non_null(strstr(e.message, "144 MiB"));
	teardown(&f);
}

static void test_longer_than_its_header_says(void **state)
{
	_cleanup_free_ uint8_t *image = kernel_maker_image(0, KIB(4));
	_cleanup_free_ uint8_t *large = calloc(1, MIB(3));
	struct error e = ERROR_INIT;
	struct boot_kernel k;
	struct fixture f;

	memcpy(large, image, KERNEL_MAKER_SIZE);
	setup(&f, MIB(128), VM_ARCH_AARCH64);
	f.board.kernel_fd = packing_file(large, MIB(3), UNPACK_ZSTD);
	assert_int_equal(boot_kernel_load(&f.board, &k, &e), -ENOSPC);
	assert_non_null(strstr(e.message, "kernel \"/k\": has more than"));
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_with_initrd),
		cmocka_unit_test(test_zimage_keeps_out_of_its_way),
		cmocka_unit_test(test_what_does_not_fit_is_refused),
		cmocka_unit_test(test_longer_than_its_header_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
