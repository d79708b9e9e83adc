/* A driver like Linux's pciehp against a port, and the registers below it. */
#include "tests/unit/device_harness.h"
#include "tests/unit/pci_fixture.h"
#include "vmm-kvm/devices/pcie_port.h"

#define DEVFN	   PCI_DEVFN(16, 1)
#define CHILD_BUS  2
#define CHILD_CFG  (ECAM_BASE + CHILD_BUS * MIB(1))
#define PORT_BAR   (WINDOW_BASE + 0x20000)
#define CHILD_BAR  (WINDOW_BASE + 0x30000)
#define MSI_TARGET 0x8080040

enum {
	BUTTON = 1 << 0,
	PRESENCE = 1 << 3,
	LINK_CHANGED = 1 << 8,
	PRESENT = 1 << 6,
	INTERRUPT = 1 << 5,
	ATTENTION_OFF = 3 << 6,
	LIGHT_ON = 1 << 8,
	LIGHT_BLINKS = 2 << 8,
	LIGHT_OFF = 3 << 8,
	POWER_OFF = 1 << 10,
	LINK_ENABLE = 1 << 12,
	LINK_ACTIVE = 1 << 13,
};
/* What pciehp enables when there is a button. */
#define LISTENING (INTERRUPT | BUTTON | LINK_ENABLE)

struct fixture {
	struct machine m;
	struct pcie_port *port;
	struct pci_dev child;
	unsigned cap, changes, child_resets;
};

static void changed(void *cookie)
{
	((struct fixture *)cookie)->changes++;
}

static void child_reset(struct pci_dev *d)
{
	container_of(d, struct fixture, child)->child_resets++;
}

static uint64_t child_read(void *dev, uint64_t offset, unsigned size)
{
	return 0x42;
}

static void child_write(void *dev, uint64_t offset, unsigned size,
			uint64_t value)
{
}

static const struct mmio_ops child_mmio = {child_read, child_write};
static const struct pci_dev_ops child_ops = {.reset = child_reset};

static uint16_t get(struct fixture *f, unsigned at)
{
	return (uint16_t)cfg_read(&f->m, DEVFN, f->cap + at, 2);
}

static void put(struct fixture *f, unsigned at, uint16_t value)
{
	cfg_write(&f->m, DEVFN, f->cap + at, 2, value);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct pci_ids ids = {0x1111, 0x2222, 0, 0, 0, 0x010000};
	struct pcie_port_params params = {
		.devfn = DEVFN,
		.slot = 10,
		.changed = changed,
		.cookie = f,
	};

	machine_init(&f->m);
	params.host = f->m.host;
	params.msi = &f->m.msi;
	assert_int_equal(pcie_port_new(&params, &f->port, NULL), 0);
	pci_dev_init(&f->child, "child", &ids, &child_ops);
	pci_bar_init(&f->child, 0, KIB(4), &child_mmio, f);
	f->cap = find_cap(&f->m, DEVFN, PCI_CAP_EXPRESS, 0);
	assert_true(f->cap != 0);
	/* As the firmware leaves it: buses, memory, bus master. */
	cfg_write(&f->m, DEVFN, 0x18, 4, CHILD_BUS << 16 | CHILD_BUS << 8);
	place_bar(&f->m, DEVFN, 0, PORT_BAR);
	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2,
		  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pci_host_remove(f->m.host, &f->child);
	pcie_port_free(f->port);
	machine_done(&f->m);
	free(f);
	return 0;
}

static void msix_on(struct fixture *f)
{
	unsigned cap = find_cap(&f->m, DEVFN, PCI_CAP_MSIX, 0);

	mmio_write(&f->m, PORT_BAR, 4, MSI_TARGET);
	mmio_write(&f->m, PORT_BAR + 12, 4, 0);
	cfg_write(&f->m, DEVFN, cap + 2, 2, 0x8000);
}

static void plug(struct fixture *f, bool cold)
{
	assert_int_equal(pci_host_add_behind(f->m.host, pcie_port_bus(f->port),
					     &f->child, 0, NULL),
			 0);
	pcie_port_insert(f->port, cold);
}

static uint16_t child_vendor(struct fixture *f)
{
	return (uint16_t)mmio_read(&f->m, CHILD_CFG, 2);
}

static void test_registers(void **state)
{
	static const struct {
		const char *name;
		unsigned reg;
		uint32_t reset, writable;
	} rows[] = {
		{"vendor", 0x00, 0x000c1b36, 0},
		{"class", 0x08, 0x06040000, 0},
		{"buses", 0x18, 0x00020200, 0x00ffffff},
		{"I/O window: none", 0x1c, 0, 0},
		{"memory window", 0x20, 0, 0xfff0fff0},
		{"prefetchable window", 0x24, 0x00010001, 0xfff0fff0},
		{"its upper base", 0x28, 0, 0xffffffff},
		{"its upper limit", 0x2c, 0, 0xffffffff},
		{"I/O upper: none", 0x30, 0, 0},
		{"ROM: none", 0x38, 0, 0},
	};
	struct fixture *f = *state;

	assert_int_equal(cfg_read(&f->m, DEVFN, 0x0e, 1), 0x01);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t fixed = rows[i].reset & ~rows[i].writable;
		uint32_t have = cfg_read(&f->m, DEVFN, rows[i].reg, 4);

		if (have != rows[i].reset)
			fail_msg("%s is %#x", rows[i].name, have);
		cfg_write(&f->m, DEVFN, rows[i].reg, 4, UINT32_MAX);
		have = cfg_read(&f->m, DEVFN, rows[i].reg, 4);
		if (have != (fixed | rows[i].writable))
			fail_msg("%s holds %#x", rows[i].name, have);
		cfg_write(&f->m, DEVFN, rows[i].reg, 4, rows[i].reset);
	}
	/* A root port with a slot; button, power, lights, surprise, hotplug,
	 * no command completed, slot 10; link reports, port 10. */
	assert_int_equal(get(f, 2), 0x0142);
	assert_int_equal(cfg_read(&f->m, DEVFN, f->cap + 0x14, 4),
			 10u << 19 | 1u << 18 | 0x7b);
	assert_int_equal(cfg_read(&f->m, DEVFN, f->cap + 0x0c, 4),
			 10u << 24 | 1u << 20 | 0x11);
	put(f, 0x18, 0xffff);
	assert_int_equal(get(f, 0x18), 0x17ff);
	put(f, 0x1a, 0xffff);
	assert_int_equal(get(f, 0x1a), 0);
}

static void test_an_empty_slot(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, 0x18), ATTENTION_OFF | LIGHT_OFF | POWER_OFF);
	assert_int_equal(get(f, 0x1a), 0);
	assert_int_equal(get(f, 0x12) & LINK_ACTIVE, 0);
	assert_int_equal(child_vendor(f), 0xffff);
	/* Power into an empty slot changes nothing. */
	put(f, 0x18, LISTENING);
	assert_true(pcie_port_powered(f->port));
	assert_int_equal(get(f, 0x1a), 0);
}

static void test_there_at_power_on(void **state)
{
	struct fixture *f = *state;

	plug(f, true);
	assert_int_equal(get(f, 0x18), ATTENTION_OFF | LIGHT_ON);
	assert_int_equal(get(f, 0x1a), PRESENT);
	assert_int_equal(get(f, 0x12) & LINK_ACTIVE, LINK_ACTIVE);
	assert_int_equal(child_vendor(f), 0x1111);
}

/* The order of pciehp_ist, pciehp_handle_presence_or_link_change and
 * board_added. */
static void test_attach(void **state)
{
	struct fixture *f = *state;

	msix_on(f);
	put(f, 0x18, ATTENTION_OFF | LIGHT_OFF | POWER_OFF | LISTENING);
	assert_true(pcie_port_listened(f->port));
	assert_int_equal(fake_raised(&f->m, 0), 0);
	plug(f, false);
	assert_int_equal(fake_raised(&f->m, 0), 1);
	assert_int_equal(get(f, 0x1a), PRESENT | PRESENCE | BUTTON);
	assert_true(pcie_port_unnoticed(f->port));
	assert_int_equal(child_vendor(f), 0xffff);
	put(f, 0x1a, PRESENCE | BUTTON);
	assert_false(pcie_port_unnoticed(f->port));
	assert_false(pcie_port_powered(f->port));
	put(f, 0x18, ATTENTION_OFF | LIGHT_BLINKS | LISTENING);
	assert_true(pcie_port_powered(f->port));
	assert_int_equal(get(f, 0x1a), PRESENT | LINK_CHANGED);
	assert_int_equal(fake_raised(&f->m, 0), 1);
	put(f, 0x1a, LINK_CHANGED);
	assert_int_equal(get(f, 0x12) & LINK_ACTIVE, LINK_ACTIVE);
	assert_int_equal(child_vendor(f), 0x1111);
	assert_int_equal(pcie_port_bus_number(f->port), CHILD_BUS);
	assert_true(f->changes >= 3);
}

static void test_graceful_detach(void **state)
{
	struct fixture *f = *state;

	plug(f, true);
	msix_on(f);
	put(f, 0x18, ATTENTION_OFF | LIGHT_ON | LISTENING);
	mmio_write(&f->m, CHILD_CFG + 0x10, 4, CHILD_BAR);
	mmio_write(&f->m, CHILD_CFG + 4, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(mmio_read(&f->m, CHILD_BAR, 4), 0x42);
	pcie_port_press_button(f->port);
	assert_int_equal(fake_raised(&f->m, 0), 1);
	put(f, 0x1a, BUTTON);
	put(f, 0x18, ATTENTION_OFF | LIGHT_BLINKS | LISTENING);
	assert_true(pcie_port_blinking(f->port));
	assert_int_equal(f->child_resets, 0);
	put(f, 0x18, ATTENTION_OFF | LIGHT_BLINKS | POWER_OFF | LISTENING);
	assert_false(pcie_port_powered(f->port));
	/* Without power it is reset, and answers nowhere. */
	assert_int_equal(f->child_resets, 1);
	assert_int_equal(child_vendor(f), 0xffff);
	assert_int_equal(mmio_read(&f->m, CHILD_BAR, 4), UINT32_MAX);
	pci_host_remove(f->m.host, &f->child);
	pcie_port_eject(f->port);
	assert_int_equal(get(f, 0x1a) & PRESENT, 0);
	/* Nothing comes of power in an empty slot. */
	put(f, 0x18, LISTENING);
	assert_int_equal(child_vendor(f), 0xffff);
}

static void test_a_press_is_taken_back(void **state)
{
	struct fixture *f = *state;

	plug(f, true);
	msix_on(f);
	put(f, 0x18, ATTENTION_OFF | LIGHT_ON | LISTENING);
	/* Not noticed: as if it had not been. */
	pcie_port_press_button(f->port);
	assert_true(pcie_port_cancel_press(f->port));
	assert_int_equal(get(f, 0x1a), PRESENT);
	(void)fake_raised(&f->m, 0);
	/* Noticed: a second press, which the guest takes for a cancellation. */
	pcie_port_press_button(f->port);
	put(f, 0x1a, BUTTON);
	put(f, 0x18, ATTENTION_OFF | LIGHT_BLINKS | LISTENING);
	(void)fake_raised(&f->m, 0);
	assert_true(pcie_port_cancel_press(f->port));
	assert_int_equal(fake_raised(&f->m, 0), 1);
	put(f, 0x1a, BUTTON);
	/* Past that. */
	put(f, 0x18, ATTENTION_OFF | LIGHT_ON | LISTENING);
	assert_false(pcie_port_cancel_press(f->port));
}

static void test_surprise(void **state)
{
	struct fixture *f = *state;

	plug(f, true);
	msix_on(f);
	put(f, 0x18, ATTENTION_OFF | LIGHT_ON | LISTENING);
	pci_host_remove(f->m.host, &f->child);
	pcie_port_eject(f->port);
	assert_int_equal(get(f, 0x1a), PRESENCE | LINK_CHANGED);
	assert_int_equal(fake_raised(&f->m, 0), 1);
	assert_int_equal(get(f, 0x12) & LINK_ACTIVE, 0);
	assert_int_equal(child_vendor(f), 0xffff);
}

static void test_the_pin_without_msix(void **state)
{
	struct fixture *f = *state;
	unsigned wire = (DEVFN >> 3) % PCI_HOST_WIRES;

	put(f, 0x18, ATTENTION_OFF | LIGHT_OFF | POWER_OFF | LISTENING);
	plug(f, false);
	assert_true(f->m.wires[wire]);
	put(f, 0x1a, BUTTON);
	/* Presence is not enabled, so it keeps nothing up. */
	assert_false(f->m.wires[wire]);
	pcie_port_press_button(f->port);
	assert_true(f->m.wires[wire]);
	put(f, 0x18, ATTENTION_OFF | LIGHT_OFF | POWER_OFF);
	assert_false(f->m.wires[wire]);
	/* Enabling an event that is already there is an interrupt, too. */
	put(f, 0x18, ATTENTION_OFF | LIGHT_OFF | POWER_OFF | LISTENING);
	assert_true(f->m.wires[wire]);
}

static void test_link_and_bus_reset(void **state)
{
	struct fixture *f = *state;

	plug(f, true);
	put(f, 0x10, 0x10);
	assert_int_equal(child_vendor(f), 0xffff);
	assert_int_equal(f->child_resets, 1);
	put(f, 0x10, 0);
	assert_int_equal(child_vendor(f), 0x1111);
	assert_int_equal(get(f, 0x1a), PRESENT | LINK_CHANGED);
	mmio_write(&f->m, CHILD_CFG + 0x3c, 1, 0x77);
	cfg_write(&f->m, DEVFN, 0x3e, 2, 0x40);
	cfg_write(&f->m, DEVFN, 0x3e, 2, 0x40);
	assert_int_equal(f->child_resets, 2);
	assert_int_equal(mmio_read(&f->m, CHILD_CFG + 0x3c, 1), 0);
	cfg_write(&f->m, DEVFN, 0x3e, 2, 0);
	assert_int_equal(f->child_resets, 2);
}

/* What is in the slot stays through a reset, and has power after it. */
static void test_machine_reset(void **state)
{
	struct fixture *f = *state;

	put(f, 0x18, ATTENTION_OFF | LIGHT_OFF | POWER_OFF | LISTENING);
	plug(f, false);
	pci_host_reset(f->m.host);
	assert_int_equal(get(f, 0x18), ATTENTION_OFF | LIGHT_ON);
	assert_int_equal(get(f, 0x1a), PRESENT);
	assert_int_equal(cfg_read(&f->m, DEVFN, 0x18, 4), 0);
	for (unsigned i = 0; i < PCI_HOST_WIRES; i++)
		assert_false(f->m.wires[i]);
	cfg_write(&f->m, DEVFN, 0x18, 4, CHILD_BUS << 16 | CHILD_BUS << 8);
	assert_int_equal(child_vendor(f), 0x1111);
	pci_host_remove(f->m.host, &f->child);
	pcie_port_eject(f->port);
	pci_host_reset(f->m.host);
	assert_false(pcie_port_powered(f->port));
}

/* Any value into any register, with things coming and going in between. */
static void test_hostile_writes(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 0x9e3779b97f4a7c15;
	bool in = false;

	for (unsigned i = 0; i < 20000; i++) {
		unsigned size = 1u << (noise(&seed) % 3);
		unsigned at = (unsigned)(noise(&seed) % 256) & ~(size - 1);

		if (noise(&seed) % 50 == 0) {
			if (in) {
				pci_host_remove(f->m.host, &f->child);
				pcie_port_eject(f->port);
			} else {
				plug(f, noise(&seed) & 1);
			}
			in = !in;
		}
		if (noise(&seed) % 20 == 0)
			pcie_port_press_button(f->port);
		if (noise(&seed) % 90 == 0)
			(void)pcie_port_cancel_press(f->port);
		cfg_write(&f->m, DEVFN, at, size, (uint32_t)noise(&seed));
		(void)child_vendor(f);
		mmio_write(&f->m, CHILD_CFG + at, size, noise(&seed));
	}
	/* What cannot be changed was not. */
	assert_int_equal(cfg_read(&f->m, DEVFN, 0, 4), 0x000c1b36);
	assert_int_equal(!!(get(f, 0x1a) & PRESENT), in);
}

static void test_a_place_that_is_taken(void **state)
{
	struct fixture *f = *state;
	struct pcie_port_params params = {
		.host = f->m.host, .devfn = DEVFN, .msi = &f->m.msi};
	struct pcie_port *p = NULL;
	struct error e = ERROR_INIT;

	assert_int_equal(pcie_port_new(&params, &p, &e), -EBUSY);
	assert_null(p);
	assert_null(pcie_port_free(NULL));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_registers),	    T(test_an_empty_slot),
		T(test_there_at_power_on),  T(test_attach),
		T(test_graceful_detach),    T(test_a_press_is_taken_back),
		T(test_surprise),	    T(test_the_pin_without_msix),
		T(test_link_and_bus_reset), T(test_machine_reset),
		T(test_hostile_writes),	    T(test_a_place_that_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
