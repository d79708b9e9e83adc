#include "tests/unit/pci_fixture.h"

#define DEVFN PCI_DEVFN(1, 0)

struct fixture {
	struct machine m;
	struct pci_dev dev;
	uint8_t mem[KIB(4)];
	unsigned moves, resets, writes;
};

static struct fixture *of(struct pci_dev *d)
{
	return container_of(d, struct fixture, dev);
}

static void count_move(struct pci_dev *d, unsigned bar)
{
	of(d)->moves++;
}

static void count_reset(struct pci_dev *d)
{
	of(d)->resets++;
}

static void count_write(struct pci_dev *d, unsigned reg, unsigned size)
{
	of(d)->writes++;
}

static const struct pci_dev_ops dev_ops = {
	.bar_moved = count_move,
	.reset = count_reset,
	.config_written = count_write,
};

static uint64_t mem_read(void *dev, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, ((struct fixture *)dev)->mem + offset, size);
	return value;
}

static void mem_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	memcpy(((struct fixture *)dev)->mem + offset, &value, size);
}

static const struct mmio_ops mem_ops = {mem_read, mem_write};

static int setup(void **state)
{
	const struct pci_ids ids = {0x1234, 0x5678, 0x9abc,
				    0xdef0, 7,	    0x010203};
	struct fixture *f = calloc(1, sizeof(*f));

	machine_init(&f->m);
	pci_dev_init(&f->dev, "test", &ids, &dev_ops);
	pci_bar_init(&f->dev, 0, sizeof(f->mem), &mem_ops, f);
	assert_int_equal(pci_cap_add(&f->dev, PCI_CAP_VENDOR, 5), 0x40);
	assert_int_equal(pci_cap_add_express(&f->dev, PCI_EXPRESS_INTEGRATED),
			 0x48);
	assert_int_equal(pci_host_add(f->m.host, &f->dev, DEVFN, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pci_host_remove(f->m.host, &f->dev);
	machine_done(&f->m);
	free(f);
	return 0;
}

/* Register, width, value at reset, value after all ones were written. */
static void test_registers(void **state)
{
	static const struct {
		unsigned reg, size;
		uint32_t reset, ones;
	} rows[] = {
		{PCI_REG_VENDOR, 4, 0x56781234, 0x56781234},
		{PCI_REG_COMMAND, 2, 0, 0x0406},
		{PCI_REG_STATUS, 2, 0x0010, 0x0010},
		{PCI_REG_REVISION, 4, 0x01020307, 0x01020307},
		{PCI_REG_CACHE_LINE, 4, 0, 0x000000ff},
		{PCI_REG_BAR0, 4, 0x00000004, 0xfffff004},
		{PCI_REG_BAR0 + 4, 4, 0, 0xffffffff},
		{PCI_REG_BAR0 + 8, 4, 0, 0},
		{PCI_REG_BAR0 + 20, 4, 0, 0},
		{0x28, 4, 0, 0},
		{PCI_REG_SUBSYSTEM_VENDOR, 4, 0xdef09abc, 0xdef09abc},
		{0x30, 4, 0, 0}, /* no expansion ROM */
		{PCI_REG_CAPABILITIES, 4, 0x40, 0x40},
		{PCI_REG_INTERRUPT_LINE, 4, 0x100, 0x1ff},
		{0x40, 4, 0x00004809, 0x00004809},
		{0x48, 4, 0x00920010, 0x00920010},
		{0x50, 2, 0, 0x7fff},
		{0xfc, 4, 0, 0},
		{0x100, 4, 0, 0}, /* no extended capabilities */
		{0xffc, 4, 0, 0},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t got = cfg_read(&f->m, DEVFN, rows[i].reg,
					rows[i].size);

		if (got != rows[i].reset)
			fail_msg("register 0x%x: 0x%x", rows[i].reg, got);
		cfg_write(&f->m, DEVFN, rows[i].reg, rows[i].size, UINT32_MAX);
		got = cfg_read(&f->m, DEVFN, rows[i].reg, rows[i].size);
		if (got != rows[i].ones)
			fail_msg("register 0x%x after ones: 0x%x", rows[i].reg,
				 got);
	}
	assert_true(f->writes > 0);
}

static void test_absent(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cfg_read(&f->m, PCI_DEVFN(2, 0), 0, 4), 0xffffffff);
	assert_int_equal(cfg_read(&f->m, PCI_DEVFN(1, 1), 0, 2), 0xffff);
	assert_int_equal(mmio_read(&f->m, ECAM_BASE + MIB(3), 4), 0xffffffff);
	cfg_write(&f->m, PCI_DEVFN(2, 0), 4, 4, 0xffffffff);
	/* Odd widths and offsets are harmless and add up. */
	assert_int_equal(mmio_read(&f->m, cfg_at(DEVFN, 0), 8),
			 0x10000056781234);
	assert_int_equal(mmio_read(&f->m, cfg_at(DEVFN, 1), 2), 0x7812);
	mmio_write(&f->m, cfg_at(DEVFN, 3), 4, UINT32_MAX);
	mmio_write(&f->m, cfg_at(DEVFN, 0xfff), 1, 1);
}

static void test_bar_decodes(void **state)
{
	struct fixture *f = *state;
	const uint64_t high = GIB(512) + MIB(4);

	place_bar(&f->m, DEVFN, 0, WINDOW_BASE + 0x8000);
	assert_false(pci_bar_enabled(&f->dev, 0));
	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(pci_bar_enabled(&f->dev, 0));
	mmio_write(&f->m, WINDOW_BASE + 0x8010, 4, 0xcafe);
	assert_int_equal(f->mem[0x10], 0xfe);
	assert_int_equal(mmio_read(&f->m, WINDOW_BASE + 0x8010, 4), 0xcafe);
	/* Moves while decoding, even above 4 GiB. */
	place_bar(&f->m, DEVFN, 0, high);
	assert_int_equal(mmio_read(&f->m, high + 0x10, 4), 0xcafe);
	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, 0);
	assert_false(pci_bar_enabled(&f->dev, 0));
	assert_true(f->moves >= 3);
}

static void test_bar_outside_windows(void **state)
{
	static const uint64_t bases[] = {
		0,	   0x40000000, /* RAM */
		ECAM_BASE, WINDOW_BASE - 0x1000, WINDOW_BASE + MIB(1),
		GIB(513),  0xfffffffffffff000,
	};
	struct fixture *f = *state;

	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, PCI_COMMAND_MEMORY);
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		place_bar(&f->m, DEVFN, 0, bases[i]);
		assert_false(pci_bar_enabled(&f->dev, 0));
	}
	place_bar(&f->m, DEVFN, 0, WINDOW_BASE + MIB(1) - 0x1000);
	assert_true(pci_bar_enabled(&f->dev, 0));
}

static void test_intx(void **state)
{
	struct fixture *f = *state;
	struct pci_dev other = {0};
	const struct pci_ids ids = {1, 2, 3, 4, 5, 6};

	/* Slot 1, pin A: wire 1; slot 5 shares it. */
	pci_dev_init(&other, "other", &ids, &dev_ops);
	assert_int_equal(pci_host_add(f->m.host, &other, PCI_DEVFN(5, 0), NULL),
			 0);
	pci_intx_set(&f->dev, true);
	assert_true(f->m.wires[1]);
	pci_intx_set(&other, true);
	pci_intx_set(&f->dev, false);
	assert_true(f->m.wires[1]);
	pci_host_remove(f->m.host, &other);
	assert_false(f->m.wires[1]);

	/* Disabled in the command register: status only. */
	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	pci_intx_set(&f->dev, true);
	assert_false(f->m.wires[1]);
	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_STATUS, 2), 0x18);
	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, 0);
	assert_true(f->m.wires[1]);
}

static void test_reset(void **state)
{
	struct fixture *f = *state;

	place_bar(&f->m, DEVFN, 0, WINDOW_BASE);
	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, 6);
	pci_intx_set(&f->dev, true);
	bus_lock(f->m.bus);
	pci_host_reset(f->m.host);
	bus_unlock(f->m.bus);
	assert_int_equal(f->resets, 1);
	assert_false(pci_bar_enabled(&f->dev, 0));
	assert_false(f->m.wires[1]);
	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_BAR0, 4), 4);
	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_COMMAND, 4), 0x100000);
}

static void test_capabilities_run_out(void **state)
{
	struct fixture *f = *state;
	unsigned n = 0;

	while (pci_cap_add(&f->dev, PCI_CAP_VENDOR, 16))
		assert_true(++n < 16);
	assert_true(n > 0);
	assert_int_equal(find_cap(&f->m, DEVFN, 0x55, 0), 0);
}

/* A bridge with a function behind it: found by the guest's bus numbers. */
static void test_tree(void **state)
{
	struct fixture *f = *state;
	struct pci_dev bridge = {0}, leaf = {0};
	struct pci_bus *below = calloc(1, sizeof(*below));
	const struct pci_ids ids = {0x1111, 2, 3, 4, 5, 6};
	/* dev_ops is for the one inside the fixture. */
	static const struct pci_dev_ops no_ops;

	pci_dev_init(&bridge, "bridge", &ids, &no_ops);
	pci_dev_init(&leaf, "leaf", &ids, &no_ops);
	for (unsigned i = 0x18; i < 0x1b; i++)
		bridge.wmask[i] = 0xff;
	bridge.secondary = below;
	below->bridge = &bridge;
	below->devs[0] = &leaf;
	leaf.parent = below;
	leaf.host = f->m.host;
	assert_int_equal(
		pci_host_add(f->m.host, &bridge, PCI_DEVFN(3, 0), NULL), 0);
	assert_null(pci_host_find(f->m.host, 2, 0));
	cfg_write(&f->m, PCI_DEVFN(3, 0), 0x18, 4, 0x00030200);
	assert_ptr_equal(pci_host_find(f->m.host, 2, 0), &leaf);
	assert_null(pci_host_find(f->m.host, 3, 0));
	assert_int_equal(pci_requester_id(&leaf), 0x200);
	assert_int_equal(mmio_read(&f->m, ECAM_BASE + MIB(2), 2), 0x1111);
	pci_host_intx(f->m.host, &leaf, true);
	assert_true(f->m.wires[3]);
	pci_host_remove(f->m.host, &bridge);
	free(below);
}

static void test_bad_parameters(void **state)
{
	struct fixture *f = *state;
	struct pci_host_params p = {.bus = f->m.bus, .ecam_base = ECAM_BASE};
	struct pci_dev dup = {0};
	struct pci_host *h = NULL;
	struct error e = ERROR_INIT;

	assert_int_equal(pci_host_new(&p, &h, &e), -EINVAL);
	p.n_buses = 257;
	assert_int_equal(pci_host_new(&p, &h, &e), -EINVAL);
	p.n_buses = 1;
	assert_int_equal(pci_host_new(&p, &h, &e), -EEXIST);
	p.windows[0] = (struct pci_window){UINT64_MAX, 2};
	p.n_windows = 1;
	assert_int_equal(pci_host_new(&p, &h, &e), -EINVAL);
	assert_null(h);
	assert_int_equal(pci_host_add(f->m.host, &dup, DEVFN, &e), -EBUSY);
	assert_string_equal(e.message, "PCI function 01.0 is taken");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registers),
		TEST(test_absent),
		TEST(test_bar_decodes),
		TEST(test_bar_outside_windows),
		TEST(test_intx),
		TEST(test_reset),
		TEST(test_capabilities_run_out),
		TEST(test_tree),
		TEST(test_bad_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
