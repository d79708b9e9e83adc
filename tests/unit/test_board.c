#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libfdt.h>

#include "tests/unit/board_fixture.h"
#include "vmm-kvm/devices/virtio.h"

static uint32_t read32(struct fixture *f, uint64_t addr)
{
	uint64_t value = 0;

	assert_true(bus_read(board_bus(f->board), addr, 4, &value));
	return (uint32_t)value;
}

static void write32(struct fixture *f, uint64_t addr, uint32_t value)
{
	assert_true(bus_write(board_bus(f->board), addr, 4, value));
}

/* The address of a node, by the device tree in the board's RAM. */
static uint64_t node_base(const void *fdt, const char *compatible)
{
	int node = fdt_node_offset_by_compatible(fdt, -1, compatible);
	const fdt64_t *reg;

	if (node < 0)
		fail_msg("no %s: %s", compatible, fdt_strerror(node));
	reg = fdt_getprop(fdt, node, "reg", NULL);
	assert_non_null(reg);
	return fdt64_ld(reg);
}

static void test_tree_names_what_answers(void **state)
{
	static const uint64_t cpus[] = {0, 1};
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	struct boot_entry entry;
	const void *fdt;

	need_board(f);
	assert_int_equal(boot_prepare(f->board, cpus, 2, &entry, &e), 0);
	assert_int_equal(entry.pc, BOARD_FLASH_CODE_BASE);
	fdt = board_bank(f->board, BOARD_BANK_RAM)->hva;
	assert_int_equal(fdt_check_full(fdt, fdt_totalsize(fdt)), 0);
	/* Each by its PrimeCell identification, DDI 0183 3.3.17 and so on. */
	assert_int_equal(read32(f, node_base(fdt, "arm,pl011") + 0xfe0), 0x11);
	assert_int_equal(read32(f, node_base(fdt, "arm,pl031") + 0xfe0), 0x31);
	assert_int_equal(read32(f, node_base(fdt, "arm,pl061") + 0xfe0), 0x61);
	/* The signature item, selected at reset: "QEMU". */
	assert_int_equal(read32(f, node_base(fdt, "qemu,fw-cfg-mmio")),
			 0x554d4551);
	/* Slot 1 of bus 0 is the entropy device: 1af4:1044. */
	assert_int_equal(
		read32(f, node_base(fdt, "pci-host-ecam-generic") + (1 << 15)),
		0x10441af4);
	assert_int_equal(read32(f, node_base(fdt, "cfi-flash")), 0);
}

static void test_gicv2_has_an_msi_frame(void **state)
{
	static const uint64_t cpus[] = {0, 1};
	struct fixture *f = *state;
	struct boot_entry entry;
	const void *fdt;

	f->abi = (struct guest_abi){.gic = VM_GIC_V2, .steal_time = true};
	need_board(f);
	assert_int_equal(boot_prepare(f->board, cpus, 2, &entry, NULL), 0);
	fdt = board_bank(f->board, BOARD_BANK_RAM)->hva;
	assert_int_equal(read32(f, node_base(fdt, "arm,gic-v2m-frame") + 8),
			 BOARD_SPI_MSI << 16 | BOARD_MSI_SPIS);
	assert_true(fdt_node_offset_by_compatible(fdt, -1, "arm,gic-v3") < 0);
	assert_int_equal(board_bank(f->board, BOARD_BANK_PVTIME)->size_bytes,
			 BOARD_PVTIME_SIZE);
}

static void test_seeds_are_fresh(void **state)
{
	static const uint64_t cpus[] = {0};
	struct fixture *f = *state;
	const struct boot_tree tree = {
		.space = &f->space,
		.abi = &f->abi,
		.affinities = cpus,
		.n_cpus = 1,
	};
	_cleanup_free_ void *a = NULL, *b = NULL;
	size_t size_a, size_b;

	assert_int_equal(boot_build_fdt(&tree, &a, &size_a, NULL), 0);
	assert_int_equal(boot_build_fdt(&tree, &b, &size_b, NULL), 0);
	assert_int_equal(size_a, size_b);
	assert_memory_not_equal(a, b, size_a);
}

static void test_tree_of_most_cpus_fits(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ void *blob = NULL;
	uint64_t cpus[BOARD_VCPUS_MAX];
	const struct boot_tree tree = {
		.space = &f->space,
		.abi = &f->abi,
		.affinities = cpus,
		.n_cpus = BOARD_VCPUS_MAX,
	};
	size_t size;

	for (unsigned i = 0; i < BOARD_VCPUS_MAX; i++)
		cpus[i] = (i >> 4) << 8 | (i & 15);
	assert_int_equal(boot_build_fdt(&tree, &blob, &size, NULL), 0);
	assert_true(size <= BOARD_FDT_SIZE_MAX);
	/* Their redistributors end where PCI's I/O ports begin, or before. */
	assert_true(BOARD_GIC_REDIST_BASE +
			    BOARD_VCPUS_MAX * BOARD_GIC_REDIST_SIZE <=
		    BOARD_PCI_IO_BASE);
}

static void test_power_button_raises_the_gpio(void **state)
{
	struct fixture *f = *state;
	const uint64_t gpio = BOARD_PL061_BASE;

	need_board(f);
	write32(f, gpio + 0x408, 1 << BOARD_POWER_KEY_PIN);
	write32(f, gpio + 0x410, 1 << BOARD_POWER_KEY_PIN);
	board_press_power(f->board);
	assert_true(f->lines & 1ull << BOARD_SPI_PL061);
	assert_int_equal(read32(f, gpio + 0x3fc), 1 << BOARD_POWER_KEY_PIN);
	write32(f, gpio + 0x41c, 0xff);
	assert_false(f->lines & 1ull << BOARD_SPI_PL061);
	/* It is let go by itself. */
	while (read32(f, gpio + 0x3fc))
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_true(f->lines & 1ull << BOARD_SPI_PL061);
}

/* Program one word of the variables: command, value, back to reading. */
static void program(struct fixture *f, uint64_t offset, uint32_t value,
		    bool finish)
{
	const uint64_t at = BOARD_FLASH_VARS_BASE + offset;

	write32(f, at, 0x00400040);
	write32(f, at, value);
	if (finish)
		write32(f, at, 0x00ff00ff);
}

static void test_variables_are_committed(void **state)
{
	struct fixture *f = *state;
	const uint8_t *nvram;

	need_board(f);
	nvram = board_bank(f->board, BOARD_BANK_VARS)->hva;
	program(f, KIB(256) + 16, 0x12345678, true);
	assert_int_equal(f->commits, 1);
	assert_true(f->commit_offset <= KIB(256) + 16);
	assert_true(f->commit_offset + f->commit_size >= KIB(256) + 20);
	assert_memory_equal(nvram + KIB(256) + 16, "\x78\x56\x34\x12", 4);
	board_sync(f->board);
	assert_int_equal(f->commits, 1);
}

static void test_reset_commits_and_empties_ram(void **state)
{
	struct fixture *f = *state;
	uint8_t *ram, *nvram;

	need_board(f);
	ram = board_bank(f->board, BOARD_BANK_RAM)->hva;
	nvram = board_bank(f->board, BOARD_BANK_VARS)->hva;
	ram[MIB(5)] = 0xaa;
	program(f, 0, 0xfeedface, false);
	assert_int_equal(f->commits, 0);
	board_reset(f->board);
	assert_int_equal(f->commits, 1);
	assert_int_equal(ram[MIB(5)], 0);
	assert_memory_equal(nvram, "\xce\xfa\xed\xfe", 4);
}

static void expect_refused(struct fixture *f, const char *word)
{
	struct error e = ERROR_INIT;

	assert_int_equal(make_board(f, &e), -EINVAL);
	if (f->board || !strstr(e.message, word))
		fail_msg("\"%s\" is not in: %s", word, e.message);
}

static void test_firmware_of_wrong_size_is_refused(void **state)
{
	static const uint64_t sizes[] = {0, 1000, MIB(65)};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const int fd = f->params.firmware_fd;
		assert_int_equal(ftruncate(fd, (off_t)sizes[i]), 0);
		expect_refused(f, "firmware");
	}
}

static void test_firmware_that_is_no_file_is_refused(void **state)
{
	struct fixture *f = *state;

	fd_close(f->params.firmware_fd);
	f->params.firmware_fd = eventfd(0, EFD_CLOEXEC);
	expect_refused(f, "firmware");
}

static void test_short_nvram_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ftruncate(f->params.nvram_fd, NVRAM_SIZE - 1), 0);
	expect_refused(f, "variable store");
}

static void test_too_many_devices_are_refused(void **state)
{
	struct fixture *f = *state;

	f->config.max_hotplug = VM_SLOTS_MAX + 1;
	expect_refused(f, "at most 80");
}

static void test_bad_disk_is_named(void **state)
{
	struct fixture *f = *state;

	f->disks[0].id = strdup("web-root");
	f->params.disks[0].fd = eventfd(0, EFD_CLOEXEC);
	f->config.n_disks = 1;
	expect_refused(f, "web-root");
	assert_int_equal(f->params.disks[0].fd, -1);
	free(f->disks[0].id);
}

static void test_disks_are_found_on_pci(void **state)
{
	const uint64_t ecam = BOARD_PCI_ECAM_BASE;
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		f->disks[i].id = strdup(i ? "data" : "root");
		f->params.disks[i].fd = file_of(MIB(1));
	}
	f->config.n_disks = 2;
	need_board(f);
	for (uint32_t i = 0; i < 2; i++) {
		uint64_t port = ecam + (128 + i) * KIB(4); /* 16.i */

		write32(f, port + 0x18, 0x10100 * (i + 1)); /* its buses */
		assert_int_equal(read32(f, ecam + ((i + 1) << 20)), 0x10421af4);
	}
	free(f->disks[0].id), free(f->disks[1].id);
}

static void test_disk_on_mmio_is_in_the_tree(void **state)
{
	static const uint64_t cpus[] = {0};
	struct fixture *f = *state;
	struct boot_entry entry;
	const void *fdt;
	uint64_t at;

	f->disks[0].id = strdup("disk");
	f->disks[0].bus = VM_DEVICE_BUS_MMIO;
	f->params.disks[0].fd = file_of(MIB(1));
	f->config.n_disks = 1;
	need_board(f);
	assert_int_equal(boot_prepare(f->board, cpus, 1, &entry, NULL), 0);
	fdt = board_bank(f->board, BOARD_BANK_RAM)->hva;
	at = node_base(fdt, "virtio,mmio");
	assert_int_equal(read32(f, at), 0x74726976);
	assert_int_equal(read32(f, at + 8), 2);
	assert_int_equal(read32(f, at + 0x100), MIB(1) / 512);
	write32(f, at + 0x70, 3);
	board_reset(f->board);
	assert_int_equal(read32(f, at + 0x70), 0);
	free(f->disks[0].id);
}

/* What the register of the device's kind says; 0: there is none. */
static uint32_t kind_on_mmio(struct fixture *f, unsigned i)
{
	const uint64_t at = BOARD_VIRTIO_MMIO_BASE + i * KIB(4);
	uint64_t value;

	return bus_read(board_bus(f->board), at + 8, 4, &value)
		       ? (uint32_t)value
		       : 0;
}

static void test_what_is_built_in_may_be_on_mmio(void **state)
{
	static const uint32_t kinds[] = {VIRTIO_ID_RNG, VIRTIO_ID_CONSOLE,
					 VIRTIO_ID_BALLOON, 0};
	static const uint64_t cpus[] = {0};
	struct vm_stats stats = {0};
	struct fixture *f = *state;
	struct boot_entry entry;
	unsigned nodes = 0;
	const void *fdt;

	f->config.buses.rng = VM_DEVICE_BUS_MMIO;
	f->config.buses.console = VM_DEVICE_BUS_MMIO;
	f->config.buses.balloon = VM_DEVICE_BUS_MMIO;
	need_board(f);
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		assert_int_equal(kind_on_mmio(f, i), kinds[i]);
	assert_int_equal(boot_prepare(f->board, cpus, 1, &entry, NULL), 0);
	fdt = board_bank(f->board, BOARD_BANK_RAM)->hva;
	for (int n = -1;
	     (n = fdt_node_offset_by_compatible(fdt, n, "virtio,mmio")) >= 0;)
		nodes++;
	assert_int_equal(nodes, 3);
	/* They are neither disks nor network interfaces. */
	assert_int_equal(board_stats(f->board, &stats), 0);
	assert_int_equal(stats.n_disks + stats.n_nics, 0);
	vm_stats_done(&stats);
	/* The first function of the root bus is pvpanic's then. */
	assert_int_equal(read32(f, BOARD_PCI_ECAM_BASE + (1 << 15)),
			 0x00111b36);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_tree_names_what_answers),
		T(test_gicv2_has_an_msi_frame),
		T(test_seeds_are_fresh),
		T(test_tree_of_most_cpus_fits),
		T(test_power_button_raises_the_gpio),
		T(test_variables_are_committed),
		T(test_reset_commits_and_empties_ram),
		T(test_firmware_of_wrong_size_is_refused),
		T(test_firmware_that_is_no_file_is_refused),
		T(test_short_nvram_is_refused),
		T(test_too_many_devices_are_refused),
		T(test_bad_disk_is_named),
		T(test_disks_are_found_on_pci),
		T(test_disk_on_mmio_is_in_the_tree),
		T(test_what_is_built_in_may_be_on_mmio),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
