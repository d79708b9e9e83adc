#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <libfdt.h>

#include "lib/fdt/fdt_nodes.h"

/* A finished tree to look into; freed by tree_done(). */
struct tree {
	void *blob;
	size_t size;
};

static struct tree finish(struct fdt_builder *b)
{
	struct error e = ERROR_INIT;
	struct tree t = {0};
	int r = fdt_builder_finish(b, &t.blob, &t.size, &e);

	if (r)
		print_message("%s\n", e.message);
	assert_int_equal(r, 0);
	assert_int_equal(fdt_check_full(t.blob, t.size), 0);
	fdt_builder_free(b);
	return t;
}

static struct fdt_builder *builder(void)
{
	struct fdt_builder *b = NULL;

	assert_int_equal(fdt_builder_new(&b), 0);
	return b;
}

static int node(const struct tree *t, const char *path)
{
	int at = fdt_path_offset(t->blob, path);

	if (at < 0)
		fail_msg("%s: %s", path, fdt_strerror(at));
	return at;
}

static void expect_cells(const struct tree *t, const char *path,
			 const char *prop, const uint32_t *cells, size_t n)
{
	int size = 0;
	const fdt32_t *p = fdt_getprop(t->blob, node(t, path), prop, &size);

	assert_non_null(p);
	assert_int_equal(size, n * sizeof(*p));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(fdt32_ld(p + i), cells[i]);
}

static void expect_bytes(const struct tree *t, const char *path,
			 const char *prop, const void *bytes, size_t n)
{
	int size = 0;
	const void *p = fdt_getprop(t->blob, node(t, path), prop, &size);

	assert_non_null(p);
	assert_int_equal(size, n);
	assert_memory_equal(p, bytes, n);
}

static void test_builder_writes_every_property_kind(void **state)
{
	static const char *const list[] = {"one", "two"};
	struct fdt_builder *b = builder();
	struct tree t;

	fdt_node_begin(b, "a@%x", 0x10);
	fdt_prop_empty(b, "empty");
	fdt_prop_string(b, "string", "text");
	fdt_prop_strings(b, "strings", list, 2);
	fdt_prop_u32(b, "u32", 0x01020304);
	fdt_prop_u64(b, "u64", 0x0102030405060708);
	fdt_prop_bytes(b, "bytes", "\0\1\2", 3);
	fdt_prop_reg(b, 0x8000000000, 0x123456789);
	fdt_node_end(b);
	t = finish(b);

	expect_bytes(&t, "/a@10", "empty", "", 0);
	expect_bytes(&t, "/a@10", "string", "text", 5);
	expect_bytes(&t, "/a@10", "strings", "one\0two", 8);
	expect_bytes(&t, "/a@10", "u32", "\1\2\3\4", 4);
	expect_bytes(&t, "/a@10", "u64", "\1\2\3\4\5\6\7\10", 8);
	expect_bytes(&t, "/a@10", "bytes", "\0\1\2", 3);
	expect_cells(&t, "/a@10", "reg", FDT_CELLS(0x80, 0, 1, 0x23456789));
	free(t.blob);
}

static void test_builder_grows(void **state)
{
	struct fdt_builder *b = builder();
	struct tree t;

	for (unsigned i = 0; i < 4096; i++) {
		fdt_node_begin(b, "n%u", i);
		fdt_prop_u32(b, "value", i);
		fdt_node_end(b);
	}
	t = finish(b);
	assert_true(t.size > KIB(100));
	expect_cells(&t, "/n4095", "value", FDT_CELLS(4095));
	free(t.blob);
}

static void expect_failure(struct fdt_builder *b)
{
	struct error e = ERROR_INIT;
	void *blob = NULL;
	size_t size = 0;

	assert_int_equal(fdt_builder_finish(b, &blob, &size, &e), -EIO);
	assert_null(blob);
	assert_int_equal(size, 0);
	assert_true(e.message[0] != '\0');
	fdt_builder_free(b);
}

static void test_first_failure_sticks(void **state)
{
	struct fdt_builder *b = builder();

	fdt_node_end(b); /* closes nothing of ours */
	fdt_node_begin(b, "late");
	fdt_prop_u32(b, "x", 1);
	fdt_node_end(b);
	expect_failure(b);
}

static void test_node_left_open_fails(void **state)
{
	struct fdt_builder *b = builder();

	fdt_node_begin(b, "open");
	expect_failure(b);
}

static void test_name_too_long_fails(void **state)
{
	struct fdt_builder *b = builder();

	fdt_node_begin(b, "%0100d", 0);
	fdt_node_end(b);
	expect_failure(b);
}

static void test_finish_twice_fails(void **state)
{
	struct fdt_builder *b = builder();
	size_t size;
	void *blob;

	assert_int_equal(fdt_builder_finish(b, &blob, &size, NULL), 0);
	free(blob);
	expect_failure(b);
}

static void test_tree_too_large_fails(void **state)
{
	struct fdt_builder *b = builder();
	_cleanup_free_ void *data = calloc(1, MIB(1));

	assert_non_null(data);
	fdt_prop_bytes(b, "a", data, MIB(1));
	fdt_prop_bytes(b, "b", data, MIB(1));
	expect_failure(b);
}

static void test_phandles_are_distinct(void **state)
{
	struct fdt_builder *b = builder();
	uint32_t first = fdt_phandle_new(b);

	assert_int_not_equal(first, 0);
	assert_int_not_equal(first, fdt_phandle_new(b));
	fdt_builder_free(b);
}

static void test_cpus_narrow_and_wide(void **state)
{
	static const uint64_t narrow[] = {0, 0x101};
	static const uint64_t wide[] = {0, 0x100000001};
	struct fdt_builder *b = builder();
	struct tree t;

	fdt_add_cpus(b, narrow, 2);
	t = finish(b);
	expect_cells(&t, "/cpus", "#address-cells", FDT_CELLS(1));
	expect_cells(&t, "/cpus/cpu@101", "reg", FDT_CELLS(0x101));
	expect_bytes(&t, "/cpus/cpu@101", "enable-method", "psci", 5);
	free(t.blob);

	b = builder();
	fdt_add_cpus(b, wide, 2);
	t = finish(b);
	expect_cells(&t, "/cpus", "#address-cells", FDT_CELLS(2));
	expect_cells(&t, "/cpus/cpu@0", "reg", FDT_CELLS(0, 0));
	expect_cells(&t, "/cpus/cpu@100000001", "reg", FDT_CELLS(1, 1));
	free(t.blob);
}

static void test_interrupt_nodes(void **state)
{
	static const struct fdt_timer_ppis ppis = {29, 30, 27, 26};
	static const struct fdt_gicv3 gic = {
		.dist_base = 0x8000000,
		.dist_size = 0x10000,
		.redist_base = 0xa000000,
		.redist_size = 0x40000,
		.its_base = 0x8080000,
		.its_size = 0x20000,
		.phandle = 1,
		.its_phandle = 2,
	};
	struct fdt_builder *b = builder();
	struct tree t;

	fdt_add_gicv3(b, &gic);
	fdt_add_timer(b, &ppis);
	t = finish(b);
	expect_cells(&t, "/timer", "interrupts",
		     FDT_CELLS(1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4));
	expect_cells(
		&t, "/interrupt-controller@8000000", "reg",
		FDT_CELLS(0, 0x8000000, 0, 0x10000, 0, 0xa000000, 0, 0x40000));
	expect_cells(&t, "/interrupt-controller@8000000/msi-controller@8080000",
		     "phandle", FDT_CELLS(2));
	assert_int_equal(fdt_node_offset_by_phandle(t.blob, 1),
			 node(&t, "/interrupt-controller@8000000"));
	free(t.blob);
}

static void test_gicv2_nodes(void **state)
{
	static const struct fdt_timer_ppis ppis = {29, 30, 27, 26, 2};
	static const struct fdt_gicv2 gic = {
		.dist_base = 0x8000000,
		.dist_size = 0x1000,
		.cpu_base = 0x8010000,
		.cpu_size = 0x2000,
		.v2m_base = 0x8020000,
		.v2m_size = 0x1000,
		.phandle = 1,
		.v2m_phandle = 2,
	};
	struct fdt_builder *b = builder();
	struct tree t;

	fdt_add_gicv2(b, &gic);
	fdt_add_timer(b, &ppis);
	fdt_add_pmu(b, 23, 8);
	t = finish(b);
	/* Each PPI goes to both CPUs. */
	expect_cells(&t, "/timer", "interrupts",
		     FDT_CELLS(1, 13, 0x304, 1, 14, 0x304, 1, 11, 0x304, 1, 10,
			       0x304));
	expect_cells(&t, "/pmu", "interrupts", FDT_CELLS(1, 7, 0xff04));
	expect_cells(
		&t, "/interrupt-controller@8000000", "reg",
		FDT_CELLS(0, 0x8000000, 0, 0x1000, 0, 0x8010000, 0, 0x2000));
	expect_bytes(&t, "/interrupt-controller@8000000/v2m@8020000",
		     "compatible", "arm,gic-v2m-frame", 18);
	expect_cells(&t, "/interrupt-controller@8000000/v2m@8020000", "phandle",
		     FDT_CELLS(2));
	free(t.blob);
}

static void test_primecells(void **state)
{
	static const struct fdt_primecell uart = {0x9000000, 0x1000, 33, 7};
	static const struct fdt_primecell gpio = {0x9030000, 0x1000, 39, 7};
	static const struct fdt_primecell dog = {0x9050000, 0x1000, 40, 7};
	struct fdt_builder *b = builder();
	struct tree t;

	fdt_add_fixed_clock(b, 24000000, 7);
	fdt_add_pl011(b, &uart);
	fdt_add_pl061(b, &gpio, 9);
	fdt_add_sp805(b, &dog);
	fdt_add_power_key(b, 9, 3);
	t = finish(b);
	expect_bytes(&t, "/serial@9000000", "compatible",
		     "arm,pl011\0arm,primecell", 24);
	expect_cells(&t, "/serial@9000000", "interrupts", FDT_CELLS(0, 1, 4));
	expect_cells(&t, "/serial@9000000", "clocks", FDT_CELLS(7, 7));
	expect_bytes(&t, "/watchdog@9050000", "clock-names",
		     "wdog_clk\0apb_pclk", 18);
	expect_cells(&t, "/gpio-keys/power-key", "gpios", FDT_CELLS(9, 3, 0));
	expect_cells(&t, "/gpio-keys/power-key", "linux,code", FDT_CELLS(116));
	free(t.blob);
}

static void test_virtio_mmio(void **state)
{
	static const char path[] = "/virtio_mmio@e001000";
	const struct fdt_virtio_mmio v = {0xe001000, 0x1000, 65};
	struct fdt_builder *b = builder();
	struct tree t;

	fdt_add_virtio_mmio(b, &v);
	t = finish(b);
	expect_bytes(&t, path, "compatible", "virtio,mmio", 12);
	expect_cells(&t, path, "reg", FDT_CELLS(0, 0xe001000, 0, 0x1000));
	expect_cells(&t, path, "interrupts", FDT_CELLS(0, 33, 4));
	assert_non_null(
		fdt_getprop(t.blob, node(&t, path), "dma-coherent", NULL));
	free(t.blob);
}

static const struct fdt_pcie pcie = {
	.ecam_base = 0x30000000,
	.buses = 256,
	.io_base = 0xeff0000,
	.io_size = 0x10000,
	.mmio32_base = 0x10000000,
	.mmio32_size = 0x20000000,
	.mmio64_base = 0x8000000000,
	.mmio64_size = 0x8000000000,
	.intc_phandle = 1,
	.msi_phandle = 2,
	.intx_intid = {35, 36, 37, 38},
};

static void test_pcie(void **state)
{
	static const char path[] = "/pcie@30000000";
	struct fdt_builder *b = builder();
	const fdt32_t *map;
	struct tree t;
	int size = 0;

	fdt_add_pcie(b, &pcie);
	t = finish(b);
	expect_cells(&t, path, "reg", FDT_CELLS(0, 0x30000000, 0, 0x10000000));
	expect_cells(&t, path, "bus-range", FDT_CELLS(0, 255));
	expect_cells(&t, path, "msi-map", FDT_CELLS(0, 2, 0, 0x10000));
	expect_cells(&t, path, "ranges",
		     FDT_CELLS(0x01000000, 0, 0, 0, 0xeff0000, 0, 0x10000,
			       0x02000000, 0, 0x10000000, 0, 0x10000000, 0,
			       0x20000000, 0x03000000, 0x80, 0, 0x80, 0, 0x80,
			       0));
	map = fdt_getprop(t.blob, node(&t, path), "interrupt-map", &size);
	assert_int_equal(size, 16 * 10 * 4);
	/* The last entry: device 3, INTD; swizzled to (3 + 3) % 4 = 2. */
	assert_int_equal(fdt32_ld(map + 150), 3 << 11);
	assert_int_equal(fdt32_ld(map + 153), 4);
	assert_int_equal(fdt32_ld(map + 158), 37 - 32);
	free(t.blob);
}

static void test_pcie_without_high_window(void **state)
{
	struct fdt_pcie low = pcie;
	struct fdt_builder *b = builder();
	struct tree t;
	int size = 0;

	low.mmio64_size = 0;
	fdt_add_pcie(b, &low);
	t = finish(b);
	fdt_getprop(t.blob, node(&t, "/pcie@30000000"), "ranges", &size);
	assert_int_equal(size, 2 * 7 * 4);
	free(t.blob);
}

static void test_padding(void **state)
{
	struct fdt_builder *b = builder();
	struct error e = ERROR_INIT;
	struct tree t;

	fdt_builder_pad(b, KIB(64));
	fdt_add_psci(b);
	t = finish(b);
	assert_int_equal(t.size, KIB(64));
	assert_int_equal(fdt_totalsize(t.blob), KIB(64));
	node(&t, "/psci");
	/* What is free can be used. */
	assert_true(fdt_add_subnode(t.blob, 0, "more") > 0);
	free(t.blob);

	b = builder();
	fdt_builder_pad(b, MIB(2) + 1);
	assert_int_equal(fdt_builder_finish(b, &t.blob, &t.size, &e), -EIO);
	fdt_builder_free(b);
}

static void test_whole_board(void **state)
{
	static const uint64_t mpidr = 0, banks[2] = {0, 0x4000000};
	struct fdt_chosen chosen = {.stdout_path = "serial0",
				    .kaslr_seed = 0x1122334455667788};
	struct fdt_builder *b = builder();
	struct tree t;

	fdt_add_root(b, "test machine", 1);
	fdt_add_chosen(b, &chosen);
	fdt_add_alias(b, "serial0", "/serial@9000000");
	fdt_add_cpus(b, &mpidr, 1);
	fdt_add_psci(b);
	fdt_add_memory(b, 0x40000000, GIB(1));
	fdt_add_flash(b, banks, MIB(64));
	t = finish(b);
	expect_cells(&t, "/", "interrupt-parent", FDT_CELLS(1));
	expect_cells(&t, "/chosen", "kaslr-seed",
		     FDT_CELLS(0x11223344, 0x55667788));
	assert_null(fdt_getprop(t.blob, node(&t, "/chosen"), "bootargs", NULL));
	expect_bytes(&t, "/psci", "compatible", "arm,psci-1.0\0arm,psci-0.2",
		     26);
	expect_cells(&t, "/memory@40000000", "reg",
		     FDT_CELLS(0, 0x40000000, 0, 0x40000000));
	expect_cells(&t, "/flash@0", "reg",
		     FDT_CELLS(0, 0, 0, 0x4000000, 0, 0x4000000, 0, 0x4000000));
	free(t.blob);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_builder_writes_every_property_kind),
		cmocka_unit_test(test_builder_grows),
		cmocka_unit_test(test_first_failure_sticks),
		cmocka_unit_test(test_node_left_open_fails),
		cmocka_unit_test(test_name_too_long_fails),
		cmocka_unit_test(test_finish_twice_fails),
		cmocka_unit_test(test_tree_too_large_fails),
		cmocka_unit_test(test_phandles_are_distinct),
		cmocka_unit_test(test_cpus_narrow_and_wide),
		cmocka_unit_test(test_interrupt_nodes),
		cmocka_unit_test(test_gicv2_nodes),
		cmocka_unit_test(test_primecells),
		cmocka_unit_test(test_virtio_mmio),
		cmocka_unit_test(test_pcie),
		cmocka_unit_test(test_pcie_without_high_window),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_whole_board),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
