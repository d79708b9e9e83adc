/*
 * pvpanic behind PCI: its BAR moved anywhere, accesses of any width. A panic is
 * told exactly for a write to its byte with the bit set.
 *
 * Input: steps of 1 byte and operands: 0 the BAR moves, 1 memory on or off, 2 a
 * reset of the bus, 3 any access to config space, else one to the BAR.
 */
#include "tests/fuzz/fuzz_machine.h"
#include "vmm-kvm/devices/pvpanic.h"

#define DEVFN PCI_DEVFN(1, 0)
#define BYTES 4096

struct fixture {
	struct fuzz_machine m;
	unsigned panics;
};

static void panicked(void *cookie)
{
	((struct fixture *)cookie)->panics++;
}

static void bar_access(struct fixture *f, struct fuzz_input *in)
{
	const struct pci_dev *d = pci_host_find(f->m.host, 0, DEVFN);
	uint8_t how = fuzz_u8(in);
	unsigned width = 1u << (how & 3), before = f->panics;
	uint64_t offset = how & 4 ? fuzz_u16(in) % BYTES : 0, value;
	uint64_t at = d->bars[0].base + offset;
	/* Neither what lies there already nor its own end is in the way. */
	bool decoded = d->bars[0].enabled && offset + width <= BYTES;
	bool done;

	if (how & 8) {
		done = bus_read(f->m.bus, at, width, &value);
		fuzz_check(!done || !decoded || value == (offset == 0));
		return;
	}
	value = fuzz_number(in, width);
	done = bus_write(f->m.bus, at, width, value);
	if (done && decoded)
		fuzz_check(f->panics == before + (offset == 0 && (value & 1)));
	else
		fuzz_check(f->panics == before);
}

static void config_access(struct fixture *f, struct fuzz_input *in)
{
	unsigned width = fuzz_width(in), before = f->panics;
	unsigned reg = fuzz_u8(in) & ~(width - 1);

	fuzz_config_write(&f->m, DEVFN, reg, width, fuzz_number(in, width));
	fuzz_check(f->panics == before);
}

static void step(struct fixture *f, struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in);

	switch (what & 7) {
	case 0:
		fuzz_bar_move(&f->m, DEVFN, 0, fuzz_bar_place(in));
		break;
	case 1:
		fuzz_config_write(&f->m, DEVFN, PCI_REG_COMMAND, 2,
				  what & 8 ? 2 : 0);
		break;
	case 2:
		pci_host_reset(f->m.host);
		break;
	case 3:
		config_access(f, in);
		break;
	default:
		bar_access(f, in);
		break;
	}
	fuzz_bars_check(&f->m, pci_host_find(f->m.host, 0, DEVFN));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fixture f = {0};
	struct pvpanic_params params = {
		.devfn = DEVFN, .panicked = panicked, .cookie = &f};
	struct pvpanic *dev;

	fuzz_machine_init(&f.m);
	params.host = f.m.host;
	fuzz_check(pvpanic_new(&params, &dev, NULL) == 0);
	while (fuzz_more(&in))
		step(&f, &in);
	pvpanic_free(dev);
	fuzz_machine_done(&f.m);
	return 0;
}
