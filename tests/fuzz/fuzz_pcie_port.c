/*
 * A hotplug port and what is plugged into it, by a host that inserts, presses
 * the button, takes away and ejects, and a guest that writes what it likes to
 * the port and to what is behind it.
 *
 * Holds: what memory shows of configuration space is what reads are answered
 * with; without power or link nothing behind the port answers; presence is
 * what the host made it; an interrupt wire stands only while an enabled event
 * does; BARs behind it are decoded in the windows alone.
 *
 * Input: steps of 1 byte and operands, see step().
 */
#include "tests/fuzz/fuzz_machine.h"
#include "vmm-kvm/devices/pcie_port.h"

#define DEVFN	    PCI_DEVFN(2, 0)
#define CHILD_BYTES 4096
#define SLOT_STATUS 0x1a
#define PRESENT	    0x40

struct fixture {
	struct fuzz_machine m;
	struct pcie_port *port;
	struct pci_mirror *mirror;
	struct pci_dev child;
	unsigned cap, changes, resets;
	bool inside;  /* the child is on the bus */
	bool present; /* as the guest is to see it */
};

static void changed(void *cookie)
{
	((struct fixture *)cookie)->changes++;
}

static void child_reset(struct pci_dev *d)
{
	container_of(d, struct fixture, child)->resets++;
}

static uint64_t child_read(void *dev, uint64_t offset, unsigned size)
{
	fuzz_check(offset + size <= CHILD_BYTES);
	return 0x42;
}

static void child_write(void *dev, uint64_t offset, unsigned size,
			uint64_t value)
{
	fuzz_check(offset + size <= CHILD_BYTES);
}

static const struct mmio_ops child_mmio = {child_read, child_write};
static const struct pci_dev_ops child_ops = {.reset = child_reset};

static const struct pci_dev *port_pci(struct fixture *f)
{
	return pcie_port_bus(f->port)->bridge;
}

static void insert(struct fixture *f, bool cold)
{
	const struct pci_ids ids = {0x1111, 0x2222, 0, 0, 0, 0x010000};

	if (f->inside)
		return;
	pci_dev_init(&f->child, "child", &ids, &child_ops);
	pci_bar_init(&f->child, 0, CHILD_BYTES, &child_mmio, f);
	fuzz_check(pci_host_add_behind(f->m.host, pcie_port_bus(f->port),
				       &f->child, 0, NULL) == 0);
	f->inside = f->present = true;
	pcie_port_insert(f->port, cold);
}

static void eject(struct fixture *f)
{
	if (!f->inside)
		return;
	pci_host_remove(f->m.host, &f->child);
	f->inside = f->present = false;
	pcie_port_eject(f->port);
}

static void leave(struct fixture *f)
{
	if (!f->inside)
		return;
	f->present = false;
	pcie_port_leave(f->port);
}

static void host_acts(struct fixture *f, uint8_t how)
{
	bus_lock(f->m.bus);
	switch (how & 7) {
	case 0:
	case 1:
		insert(f, how & 1);
		break;
	case 2:
		pcie_port_press_button(f->port);
		break;
	case 3:
		pcie_port_cancel_press(f->port);
		break;
	case 4:
		leave(f);
		break;
	case 5:
		eject(f);
		break;
	case 6:
		pci_host_reset(f->m.host);
		/* What left for good is not back after a reset. */
		break;
	default:
		f->m.refuse = how & 8;
		break;
	}
	bus_unlock(f->m.bus);
}

/* Control of link and slot, as drivers write it: what matters most. */
static void slot_write(struct fixture *f, struct fuzz_input *in)
{
	static const uint8_t regs[] = {0x10, 0x18, 0x1a, 0x1c};
	uint8_t how = fuzz_u8(in);

	fuzz_config_write(&f->m, DEVFN, f->cap + regs[how & 3], 2,
			  fuzz_u16(in));
}

static void config_write(struct fixture *f, struct fuzz_input *in)
{
	unsigned width = fuzz_width(in);

	fuzz_config_write(&f->m, DEVFN, fuzz_u8(in) & ~(width - 1), width,
			  fuzz_number(in, width));
}

/* Any bus the guest may have numbered; config space of what answers. */
static void below(struct fixture *f, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	unsigned width = 1u << (how & 3), reg = fuzz_u8(in);
	uint64_t at = FUZZ_ECAM + (how >> 6) * PCI_HOST_BUS_BYTES +
		      (reg & ~(width - 1)),
		 value;

	if (how & 4)
		fuzz_check(
			bus_write(f->m.bus, at, width, fuzz_number(in, width)));
	else
		fuzz_check(bus_read(f->m.bus, at, width, &value));
	if (how & 8) {
		uint64_t place = fuzz_bar_place(in);
		uint64_t bar = FUZZ_ECAM +
			       pcie_port_bus_number(f->port) % FUZZ_BUSES *
				       PCI_HOST_BUS_BYTES +
			       PCI_REG_BAR0;

		fuzz_check(bus_write(f->m.bus, bar, 4, (uint32_t)place) &&
			   bus_write(f->m.bus, bar + 4, 4, place >> 32) &&
			   bus_write(f->m.bus, bar - 0xc, 2, 2));
	}
}

static void check(struct fixture *f)
{
	const struct pci_bus *bus = pcie_port_bus(f->port);
	uint16_t status = pci_get16(port_pci(f)->config, f->cap + SLOT_STATUS);
	uint8_t number = pcie_port_bus_number(f->port);
	const struct pci_dev *there;

	fuzz_check(!!(status & PRESENT) == f->present);
	there = number ? pci_host_find(f->m.host, number, 0) : NULL;
	fuzz_check(there != &f->child || (f->inside && !bus->dark));
	if (!f->inside || !pcie_port_powered(f->port))
		fuzz_check(bus->dark);
	if (f->inside)
		fuzz_bars_check(&f->m, &f->child);
	fuzz_bars_check(&f->m, port_pci(f));
	fuzz_mirror_check(&f->m, f->mirror, 0, DEVFN);
	for (unsigned i = 1; i < FUZZ_BUSES - 1; i++)
		fuzz_mirror_check(&f->m, f->mirror, i, 0);
}

static void step(struct fixture *f, struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in);

	switch (what & 7) {
	case 0:
	case 1:
		host_acts(f, what >> 3);
		break;
	case 2:
	case 3:
		slot_write(f, in);
		break;
	case 4:
		config_write(f, in);
		break;
	case 5: /* memory, bus numbers */
		fuzz_config_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, 6);
		fuzz_config_write(&f->m, DEVFN, 0x18, 4,
				  (uint32_t)(what >> 3 & 3) * 0x10100);
		break;
	case 6: /* MSI-X on, off, masked */
		fuzz_config_write(&f->m, DEVFN, fuzz_u8(in) & 0xfe, 2,
				  (what & 0x70u) << 9);
		break;
	default:
		below(f, in);
		break;
	}
	check(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fixture f = {0};
	struct pcie_port_params params = {
		.devfn = DEVFN, .slot = 1, .changed = changed, .cookie = &f};

	fuzz_machine_init(&f.m);
	params.host = f.m.host;
	params.msi = &f.m.msi;
	fuzz_check(pcie_port_new(&params, &f.port, NULL) == 0);
	f.cap = port_pci(&f)->config[0x34];
	while (f.cap && port_pci(&f)->config[f.cap] != PCI_CAP_EXPRESS)
		f.cap = port_pci(&f)->config[f.cap + 1];
	fuzz_check(f.cap);
	f.mirror = fuzz_mirror_new(&f.m);
	while (fuzz_more(&in))
		step(&f, &in);
	if (f.inside)
		pci_host_remove(f.m.host, &f.child);
	pci_mirror_free(f.mirror);
	pcie_port_free(f.port);
	fuzz_machine_done(&f.m);
	return 0;
}
