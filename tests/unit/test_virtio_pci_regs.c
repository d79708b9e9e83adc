#include "tests/unit/virtio_probe_fixture.h"

static void test_identity(void **state)
{
	struct fixture *f = *state;
	static const uint8_t lengths[] = {0, 16, 20, 16, 16, 20};

	assert_int_equal(cfg_read(&f->m, DEVFN, 0, 4), 0x107c1af4);
	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_REVISION, 4),
			 0xff000001);
	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_SUBSYSTEM_VENDOR, 2),
			 0x1af4);
	for (unsigned type = 1; type <= 5; type++) {
		unsigned cap = find_cap(&f->m, DEVFN, PCI_CAP_VENDOR, type);
		uint32_t end;

		assert_true(cap != 0);
		assert_int_equal(cfg_read(&f->m, DEVFN, cap + 2, 1),
				 lengths[type]);
		end = cfg_read(&f->m, DEVFN, cap + 8, 4) +
		      cfg_read(&f->m, DEVFN, cap + 12, 4);
		assert_true(end <= KIB(16));
	}
	assert_int_equal(f->d.stride, 4);
	assert_true(find_cap(&f->m, DEVFN, PCI_CAP_EXPRESS, 0) != 0);
	assert_int_equal(cfg_read(&f->m, DEVFN, f->d.msix_cap + 2, 2), 2);
}

/* Common structure: offset, width, reset value, after ones were written. */
static void test_registers(void **state)
{
	static const struct {
		unsigned at, size;
		uint64_t reset, ones;
	} rows[] = {
		{0x00, 4, 0, 0xffffffff},  {0x04, 4, 0, 0},
		{0x08, 4, 0, 0xffffffff},  {0x0c, 4, 0, 0},
		{0x10, 2, 0xffff, 0xffff}, {0x12, 2, 2, 2},
		{0x15, 1, 0, 0},	   {0x18, 2, 16, 0xffff},
		{0x1a, 2, 0xffff, 0xffff}, {0x1c, 2, 0, 0},
		{0x1e, 2, 0, 0},	   {0x20, 8, 0, UINT64_MAX},
		{0x28, 8, 0, UINT64_MAX},  {0x30, 8, 0, UINT64_MAX},
		{0x38, 4, 0, 0},	   {0xffc, 4, 0, 0},
	};
	struct fixture *f = *state;

	set_common(f, 0x00, 4, 7);
	set_common(f, 0x08, 4, 7); /* no such half of the features */
	assert_int_equal(common(f, 4, 4), 0);
	set_common(f, 0x14, 1, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t got;

		if (rows[i].at == 0x04)
			set_common(f, 0x00, 4, 2);
		if (rows[i].at == 0x0c)
			set_common(f, 0x08, 4, 2);
		got = common(f, rows[i].at, rows[i].size);
		if (got != rows[i].reset)
			fail_msg("0x%x: 0x%llx", rows[i].at,
				 (unsigned long long)got);
		set_common(f, rows[i].at, rows[i].size, UINT64_MAX);
		got = common(f, rows[i].at, rows[i].size);
		if (got != rows[i].ones)
			fail_msg("0x%x after ones: 0x%llx", rows[i].at,
				 (unsigned long long)got);
	}
	/* A queue that is not there. */
	set_common(f, 0x16, 2, 2);
	assert_int_equal(common(f, 0x18, 2), 0);
	set_common(f, 0x1c, 2, 1);
	set_common(f, 0x1a, 2, 0);
	set_common(f, 0x20, 4, 1);
	assert_int_equal(common(f, 0x20, 4), 0);
	/* Not a register's own width. */
	assert_int_equal(common(f, 0x12, 1), 0);
	assert_int_equal(common(f, 0x11, 2), 0);
	/* Device configuration, in any width, and past its end. */
	assert_int_equal(mmio_read(&f->m, f->d.device, 4), 0x04030201);
	assert_int_equal(mmio_read(&f->m, f->d.device + 4, 4), 0x0605);
	assert_int_equal(mmio_read(&f->m, f->d.device + 6, 8), 0);
	mmio_write(&f->m, f->d.device, 4, 0);
	assert_int_equal(f->probe->config[0], 1);
}

static void test_status_and_features(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(driver_offered(&f->d),
			 1ull << 32 | 3ull << 28 | 1 << 3);
	/* Without VERSION_1, or with what was not offered: not FEATURES_OK. */
	driver_set_status(&f->d, 3);
	driver_set_status(&f->d, 11);
	assert_int_equal(driver_status(&f->d), 3);
	set_common(f, 0x08, 4, 1);
	set_common(f, 0x0c, 4, 1);
	set_common(f, 0x08, 4, 0);
	set_common(f, 0x0c, 4, 1 << 4);
	driver_set_status(&f->d, 11);
	assert_int_equal(driver_status(&f->d), 3);
	/* DRIVER_OK out of turn. */
	driver_set_status(&f->d, 7);
	assert_int_equal(driver_status(&f->d), 3);
	set_common(f, 0x0c, 4, 1 << 3);
	driver_set_status(&f->d, 11);
	assert_int_equal(driver_status(&f->d), 11);
	/* Settled now. */
	set_common(f, 0x0c, 4, 0);
	assert_int_equal(common(f, 0x0c, 4), 1 << 3);
	/* NEEDS_RESET is not the driver's to set. */
	driver_set_status(&f->d, 0x4b);
	assert_int_equal(driver_status(&f->d), 11);
	driver_set_status(&f->d, 0);
	assert_int_equal(driver_status(&f->d), 0);
	assert_int_equal(common(f, 0x0c, 4), 0);
}

/* 4.1.4.9: registers by way of configuration space alone. */
static void test_cfg_window(void **state)
{
	struct fixture *f = *state;
	unsigned cap = find_cap(&f->m, DEVFN, PCI_CAP_VENDOR, 5);
	static const struct {
		uint32_t bar, offset, length;
	} bad[] = {
		{2, 0, 4},	    {0, 0, 0},	    {0, 0, 3},
		{0, 2, 4},	    {0, 0x4000, 4}, {0, UINT32_MAX - 3, 4},
		{0, 0, UINT32_MAX}, {9, 0, 4},
	};

	cfg_write(&f->m, DEVFN, cap + 4, 1, 0);
	cfg_write(&f->m, DEVFN, cap + 8, 4, 0x12);
	cfg_write(&f->m, DEVFN, cap + 12, 4, 2);
	assert_int_equal(cfg_read(&f->m, DEVFN, cap + 16, 2), 2);
	cfg_write(&f->m, DEVFN, cap + 8, 4, 0x14);
	cfg_write(&f->m, DEVFN, cap + 12, 4, 1);
	cfg_write(&f->m, DEVFN, cap + 16, 4, 0xff01);
	assert_int_equal(driver_status(&f->d), 1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cfg_write(&f->m, DEVFN, cap + 4, 1, bad[i].bar);
		cfg_write(&f->m, DEVFN, cap + 8, 4, bad[i].offset);
		cfg_write(&f->m, DEVFN, cap + 12, 4, bad[i].length);
		cfg_write(&f->m, DEVFN, cap + 16, 4, 0xffffffff);
		cfg_read(&f->m, DEVFN, cap + 16, 4);
	}
	assert_int_equal(driver_status(&f->d), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity),
		TEST(test_registers),
		TEST(test_status_and_features),
		TEST(test_cfg_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
