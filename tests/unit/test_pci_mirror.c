/* What memory shows of configuration space is what a read is answered with. */
#include "tests/unit/device_harness.h"
#include "tests/unit/pci_fixture.h"
#include "vmm-kvm/devices/pci_mirror.h"
#include "vmm-kvm/devices/pcie_port.h"

#define BUSES	  3 /* of 4 */
#define PORTS	  2
#define PORT(i)	  PCI_DEVFN(2, i)
#define ENDPOINT  PCI_DEVFN(1, 0)
#define CFG(bus)  (ECAM_BASE + (bus)*MIB(1))
#define BUSES_REG 0x18

struct fixture {
	struct machine m;
	struct pcie_port *ports[PORTS];
	struct pci_dev root, child[PORTS];
	struct pci_mirror *mirror;
	unsigned mapped, unmapped;
	bool live;
};

static void set_mapped(void *cookie, bool mapped)
{
	struct fixture *f = cookie;

	f->mapped += mapped;
	f->unmapped += !mapped;
}

static bool root_live(const struct pci_dev *d)
{
	return container_of(d, struct fixture, root)->live;
}

static const struct pci_dev_ops root_ops = {.config_live = root_live};
static const struct pci_dev_ops child_ops = {0};

static void child_init(struct pci_dev *d)
{
	const struct pci_ids ids = {0x1111, 0x2222, 3, 4, 5, 0x010203};

	pci_dev_init(d, "child", &ids, &child_ops);
}

static int setup(void **state)
{
	const struct pci_ids ids = {0x1234, 0x5678, 0x9abc,
				    0xdef0, 7,	    0x010203};
	struct fixture *f = calloc(1, sizeof(*f));
	struct pci_mirror_params params = {
		.n_buses = BUSES, .set_mapped = set_mapped, .cookie = f};

	machine_init(&f->m);
	pci_dev_init(&f->root, "root", &ids, &root_ops);
	assert_int_equal(pci_host_add(f->m.host, &f->root, ENDPOINT, NULL), 0);
	for (unsigned i = 0; i < PORTS; i++) {
		struct pcie_port_params port = {
			.host = f->m.host,
			.devfn = PORT(i),
			.multifunction = true,
			.slot = (uint16_t)(i + 1),
			.msi = &f->m.msi,
		};

		assert_int_equal(pcie_port_new(&port, &f->ports[i], NULL), 0);
	}
	params.host = f->m.host;
	assert_int_equal(pci_mirror_new(&params, &f->mirror, NULL), 0);
	*state = f;
	return 0;
}

static void remove_child(struct fixture *f, unsigned i)
{
	if (!f->child[i].parent)
		return;
	pci_host_remove(f->m.host, &f->child[i]);
	pcie_port_eject(f->ports[i]);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < PORTS; i++)
		remove_child(f, i);
	pci_mirror_free(f->mirror);
	for (unsigned i = 0; i < PORTS; i++)
		pcie_port_free(f->ports[i]);
	pci_host_remove(f->m.host, &f->root);
	machine_done(&f->m);
	free(f);
	return 0;
}

static void insert(struct fixture *f, unsigned i, bool cold)
{
	child_init(&f->child[i]);
	assert_int_equal(pci_host_add_behind(f->m.host,
					     pcie_port_bus(f->ports[i]),
					     &f->child[i], 0, NULL),
			 0);
	pcie_port_insert(f->ports[i], cold);
}

static void same(struct fixture *f, unsigned bus, unsigned devfn)
{
	const uint32_t *memory = pci_mirror_memory(f->mirror);
	uint64_t at = bus * MIB(1) + devfn * 4096;

	for (unsigned reg = 0; reg < 4096; reg += reg < 0x110 ? 4 : 0x3bc) {
		uint32_t shown = memory[(at + reg) / 4];
		uint32_t read = (uint32_t)mmio_read(&f->m, ECAM_BASE + at + reg,
						    4);

		if (shown != read)
			fail_msg("bus %u, function %02x, register %#x: memory "
				 "shows %#x, a read is answered with %#x",
				 bus, devfn, reg, shown, read);
	}
}

static void all_same(struct fixture *f)
{
	for (unsigned bus = 0; bus < BUSES; bus++)
		for (unsigned devfn = 0; devfn < 256; devfn++)
			same(f, bus, devfn);
}

static void number(struct fixture *f, unsigned port, unsigned bus)
{
	cfg_write(&f->m, PORT(port), BUSES_REG, 4, bus << 16 | bus << 8);
}

static unsigned express(struct fixture *f, unsigned port)
{
	return find_cap(&f->m, PORT(port), PCI_CAP_EXPRESS, 0);
}

static void power(struct fixture *f, unsigned port, bool on)
{
	cfg_write(&f->m, PORT(port),
		  express(f, port) + PCI_EXPRESS_SLOT_CONTROL, 2,
		  on ? 0x1e0 : 0x7e0);
}

static void test_start(void **state)
{
	all_same(*state);
}

static void test_registers(void **state)
{
	struct fixture *f = *state;

	cfg_write(&f->m, ENDPOINT, PCI_REG_INTERRUPT_LINE, 1, 0x55);
	cfg_write(&f->m, ENDPOINT, PCI_REG_COMMAND, 2, 0xffff);
	all_same(f);
	pci_intx_set(&f->root, true);
	all_same(f);
	assert_true(cfg_read(&f->m, ENDPOINT, PCI_REG_STATUS, 2) &
		    PCI_STATUS_INTERRUPT);
	pci_intx_set(&f->root, false);
	all_same(f);
	pci_host_reset(f->m.host);
	all_same(f);
}

/* Behind two ports, as their bus numbers are given, moved and exchanged. */
static void test_bus_numbers(void **state)
{
	static const uint8_t numbers[][PORTS] = {
		{1, 2}, {2, 1}, {1, 1}, {0, 1}, {2, 3}, {200, 2}, {1, 2}};
	struct fixture *f = *state;

	insert(f, 0, true);
	insert(f, 1, true);
	cfg_write(&f->m, PORT(0), BUSES_REG, 4, 0x010100);
	assert_int_equal(mmio_read(&f->m, CFG(1), 4), 0x22221111);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		number(f, 0, numbers[i][0]);
		all_same(f);
		number(f, 1, numbers[i][1]);
		all_same(f);
		mmio_write(&f->m, CFG(1) + PCI_REG_INTERRUPT_LINE, 1, i + 1);
		all_same(f);
	}
	pci_host_reset(f->m.host);
	all_same(f);
}

/* Every step of an attach and of both ways to leave. */
static void test_hotplug(void **state)
{
	struct fixture *f = *state;

	number(f, 0, 1);
	insert(f, 0, false);
	all_same(f);
	power(f, 0, true);
	assert_int_equal(mmio_read(&f->m, CFG(1), 2), 0x1111);
	all_same(f);
	cfg_write(&f->m, PORT(0), express(f, 0) + PCI_EXPRESS_SLOT_STATUS, 2,
		  0xffff);
	all_same(f);
	pcie_port_press_button(f->ports[0]);
	all_same(f);
	assert_true(pcie_port_cancel_press(f->ports[0]));
	all_same(f);
	pcie_port_leave(f->ports[0]);
	all_same(f);
	power(f, 0, false);
	assert_int_equal(mmio_read(&f->m, CFG(1), 2), 0xffff);
	all_same(f);
	remove_child(f, 0);
	all_same(f);
	insert(f, 0, false);
	power(f, 0, true);
	all_same(f);
	remove_child(f, 0);
	assert_int_equal(mmio_read(&f->m, CFG(1), 2), 0xffff);
	all_same(f);
}

/* A register that is computed unmaps, and only a reset maps again. */
static void test_trap(void **state)
{
	struct fixture *f = *state;

	f->live = true;
	assert_int_equal(f->unmapped, 0);
	cfg_write(&f->m, ENDPOINT, PCI_REG_CACHE_LINE, 1, 1);
	cfg_write(&f->m, ENDPOINT, PCI_REG_CACHE_LINE, 1, 2);
	f->live = false;
	cfg_write(&f->m, ENDPOINT, PCI_REG_CACHE_LINE, 1, 3);
	assert_int_equal(f->unmapped, 1);
	assert_int_equal(f->mapped, 0);
	pci_host_reset(f->m.host);
	assert_int_equal(f->mapped, 1);
	all_same(f);
}

static void test_params(void **state)
{
	struct fixture *f = *state;
	struct pci_mirror_params params = {.host = f->m.host};
	struct pci_mirror *m;
	struct error e = ERROR_INIT;

	assert_int_equal(pci_mirror_new(&params, &m, &e), -EINVAL);
	params.n_buses = 257;
	assert_int_equal(pci_mirror_new(&params, &m, &e), -EINVAL);
	pci_mirror_free(NULL);
	pci_mirror_update(NULL, &f->root);
	pci_mirror_walk(NULL);
	pci_mirror_trap(NULL);
	pci_mirror_reset(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_bus_numbers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_hotplug, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_params, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
