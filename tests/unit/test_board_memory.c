#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/model/vm_config.h"
#include "vmm-kvm/board_layout.h"
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

static const struct board_memory_params ram_only = {
	.ram_size = MIB(4), .firmware_fd = -1, .nvram_fd = -1};

static void test_ram_of_each_backing(void **state)
{
	static const int backings[] = {VM_MEMORY_ANONYMOUS, VM_MEMORY_MEMFD};

	for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
		struct board_memory_params p = ram_only;
		struct board_memory m = {0};
		uint8_t *ram;

		p.backing = backings[i];
		p.pvtime = true;
		assert_int_equal(board_memory_init(&m, &p, NULL), 0);
		ram = m.banks[BOARD_BANK_RAM].hva;
		assert_int_equal((uintptr_t)ram % MIB(2), 0);
		assert_null(m.banks[BOARD_BANK_CODE].hva);
		memset(ram, 0x5a, MIB(4));
		memset(m.banks[BOARD_BANK_PVTIME].hva, 0x5a, 64);
		board_memory_discard_ram(&m);
		for (size_t at = 0; at < MIB(4); at += 1021)
			assert_int_equal(ram[at], 0);
		assert_memory_equal(m.banks[BOARD_BANK_PVTIME].hva,
				    (uint8_t[64]){0}, 64);
		board_memory_done(&m);
	}
}

/* A host that has set none aside, or has given them all away: no host has
 * this many. */
static void test_huge_pages_that_are_not_there(void **state)
{
	struct board_memory_params p = ram_only;
	struct board_memory m = {0};
	struct error e = ERROR_INIT;

	p.ram_size = GIB(256);
	p.backing = VM_MEMORY_HUGEPAGES;
	assert_int_equal(board_memory_init(&m, &p, &e), -ENOMEM);
	assert_non_null(strstr(e.message, "131072 free huge pages of 2 MiB"));
	assert_non_null(strstr(e.message, "vm.nr_hugepages"));
	board_memory_done(&m);
	p.ram_size = MIB(3);
	assert_int_equal(board_memory_init(&m, &p, &e), -EINVAL);
	board_memory_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_space_has_ram_below_and_pci_above),
		cmocka_unit_test(test_space_of_a_narrow_host),
		cmocka_unit_test(test_ram_of_each_backing),
		cmocka_unit_test(test_huge_pages_that_are_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
