#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm-kvm/board_memory.h"

static void test_space_has_ram_below_and_pci_above(void **state)
{
	struct board_space s;

	assert_int_equal(board_space_plan(GIB(1), 48, &s, NULL), 0);
	assert_int_equal(s.ipa_bits, 40);
	assert_int_equal(s.mmio64_base, GIB(512));
	assert_int_equal(s.mmio64_size, GIB(512));
	/* Exactly as much as fits below the window, and one page more. */
	assert_int_equal(board_space_plan(GIB(511), 48, &s, NULL), 0);
	assert_int_equal(s.ipa_bits, 40);
	assert_int_equal(board_space_plan(GIB(511) + KIB(4), 48, &s, NULL), 0);
	assert_int_equal(s.ipa_bits, 41);
	assert_int_equal(s.mmio64_base, GIB(1024));
}

static void test_space_of_a_narrow_host(void **state)
{
	struct error e = ERROR_INIT;
	struct board_space s;

	assert_int_equal(board_space_plan(GIB(1), 36, &s, &e), 0);
	assert_int_equal(s.ipa_bits, 36);
	assert_int_equal(s.mmio64_base, GIB(32));
	assert_int_equal(board_space_plan(GIB(31), 36, &s, &e), 0);
	assert_int_equal(board_space_plan(GIB(31) + 1, 36, &s, &e), -EINVAL);
	assert_non_null(strstr(e.message, "memory"));
	assert_non_null(strstr(e.message, "31"));
	assert_int_equal(board_space_plan(UINT64_MAX, 48, &s, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_space_has_ram_below_and_pci_above),
		cmocka_unit_test(test_space_of_a_narrow_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
