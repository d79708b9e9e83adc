#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libfdt.h>

#include "vmm-kvm/boot.h"

/* /chosen/stdout-path of a tree, owned by the caller; NULL when it names no
 * console. */
static char *stdout_path(bool no_stdout)
{
	static const uint64_t cpus[] = {0};
	_cleanup_free_ void *blob = NULL;
	static const struct guest_abi abi = {.gic = VM_GIC_V3};
	struct board_space space;
	const struct boot_tree tree = {
		.space = &space,
		.abi = &abi,
		.affinities = cpus,
		.n_cpus = 1,
		.no_stdout = no_stdout,
	};
	const char *path;
	size_t size;

	assert_int_equal(board_space_plan(MIB(128), 40, &space, NULL), 0);
	assert_int_equal(boot_build_fdt(&tree, &blob, &size, NULL), 0);
	path = fdt_getprop(blob, fdt_path_offset(blob, "/chosen"),
			   "stdout-path", NULL);
	return path ? strdup(path) : NULL;
}

/* A console behind PCI cannot be named, so none is. */
static void test_stdout_path(void **state)
{
	_cleanup_free_ char *path = stdout_path(false);

	assert_string_equal(path, "serial0:115200n8");
	assert_null(stdout_path(true));
}

static size_t tree_size(bool flash, bool aarch32)
{
	static const uint64_t cpus[] = {0};
	_cleanup_free_ void *blob = NULL;
	const struct guest_abi abi = {.gic = VM_GIC_V3, .aarch32 = aarch32};
	struct board_space space;
	const struct boot_tree tree = {
		.space = &space,
		.abi = &abi,
		.affinities = cpus,
		.n_cpus = 1,
		.flash = flash,
	};
	size_t size;

	assert_int_equal(board_space_plan(MIB(128), 40, &space, NULL), 0);
	assert_int_equal(boot_build_fdt(&tree, &blob, &size, NULL), 0);
	assert_int_equal(fdt_check_full(blob, size), 0);
	assert_int_equal(fdt_totalsize(blob), size);
	return size;
}

/* Only 32-bit kernels behind a firmware need a large one. */
static void test_size_for_32_bit_firmware(void **state)
{
	assert_int_equal(tree_size(true, true), MIB(1));
	assert_in_range(tree_size(true, false), KIB(1), KIB(16));
	assert_in_range(tree_size(false, true), KIB(1), KIB(16));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stdout_path),
		cmocka_unit_test(test_size_for_32_bit_firmware),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
