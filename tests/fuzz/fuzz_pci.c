/*
 * Configuration space, BARs and MSI-X of two functions: any accesses, BARs
 * over memory, over the interrupt controller, over each other and outside all
 * windows, vector tables, pending bits, vectors beyond, machine resets. What
 * is read-only must stay, BARs may answer in the windows alone, and a vector
 * is open at the sink only while nothing masks it.
 *
 * Input: steps of 1 byte and operands, see run().
 */
#include "tests/fuzz/fuzz_machine.h"

#define FUNCTIONS 2
#define VECTORS	  5
#define BAR_BYTES 0x1000

struct function {
	struct pci_dev pci;
	struct msix msix;
	uint8_t devfn, registers[BAR_BYTES];
};

struct fixture {
	struct fuzz_machine m;
	struct function functions[FUNCTIONS];
};

static uint64_t bar_read(void *dev, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, ((struct function *)dev)->registers + offset, size);
	return value;
}

static void bar_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	memcpy(((struct function *)dev)->registers + offset, &value, size);
}

static const struct mmio_ops bar_ops = {bar_read, bar_write};

static void config_written(struct pci_dev *d, unsigned reg, unsigned size)
{
	msix_config_written(&container_of(d, struct function, pci)->msix);
}

static void reset(struct pci_dev *d)
{
	msix_reset(&container_of(d, struct function, pci)->msix);
}

static const struct pci_dev_ops ops = {.config_written = config_written,
				       .reset = reset};

static void function_init(struct fixture *f, struct function *fn, uint8_t slot)
{
	const struct pci_ids ids = {.vendor = 0x1af4, .device = slot};

	pci_dev_init(&fn->pci, "function", &ids, &ops);
	pci_bar_init(&fn->pci, 0, BAR_BYTES, &bar_ops, fn);
	fuzz_check(msix_init(&fn->msix, &fn->pci, 2, VECTORS, &f->m.msi,
			     NULL) == 0);
	fuzz_check(pci_cap_add_express(&fn->pci, PCI_EXPRESS_INTEGRATED) != 0);
	fn->devfn = PCI_DEVFN(slot, 0);
	fuzz_check(pci_host_add(f->m.host, &fn->pci, fn->devfn, NULL) == 0);
}

/* Bits no write may change hold; MSI-X is open where it may be. */
static void check(struct fixture *f, struct function *fn)
{
	const struct pci_dev *d = &fn->pci;
	const uint8_t *control = &d->config[fn->msix.cap + 2];
	bool open = (control[1] & 0xc0) == 0x80;

	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
		fuzz_check(i == PCI_REG_STATUS ||
			   ((d->config[i] ^ d->initial[i]) &
			    (uint8_t) ~(d->wmask[i] | d->w1cmask[i])) == 0);
	for (unsigned i = 0; i < VECTORS; i++) {
		const struct msix_vector *v = &fn->msix.vectors[i];

		fuzz_check(!v->open || (open && !v->masked && !v->pending));
		fuzz_check(f->m.vectors[v->id].open == v->open);
	}
	fuzz_bars_check(&f->m, d);
}

static void config_access(struct fixture *f, struct fuzz_input *in,
			  const struct function *fn)
{
	uint8_t how = fuzz_u8(in);
	unsigned width = 1u << (how & 3);
	uint64_t reg = fuzz_number(in, how & 4 ? 2 : 1) % (4097 - width);
	uint64_t at = fuzz_config_at(fn->devfn, 0) + reg, value;

	if (how & 8) { /* any function of any bus */
		at = FUZZ_ECAM + fuzz_u32(in) % (FUZZ_BUSES * MIB(1) - 8);
		fuzz_check(bus_read(f->m.bus, at, width, &value));
	}
	if (how & 16)
		fuzz_check(
			bus_write(f->m.bus, at, width, fuzz_number(in, width)));
	else
		fuzz_check(bus_read(f->m.bus, at, width, &value));
}

static void bar_access(struct fixture *f, struct fuzz_input *in,
		       const struct function *fn)
{
	uint8_t how = fuzz_u8(in);
	unsigned width = 1u << (how & 3);
	uint64_t at = fn->pci.bars[how & 4 ? 0 : 2].base +
		      fuzz_u16(in) % (BAR_BYTES + 8);
	uint64_t value;

	if (!(how & 4) && fn->pci.bars[2].enabled)
		fuzz_kind(width == 4 ? KIND_MSIX : KIND_WIDTH);

	if (how & 8)
		bus_write(f->m.bus, at, width, fuzz_number(in, width));
	else
		bus_read(f->m.bus, at, width, &value);
}

static void run(struct fixture *f, struct fuzz_input *in)
{
	while (fuzz_more(in)) {
		uint8_t step = fuzz_u8(in);
		struct function *fn = &f->functions[step >> 7];

		switch (step & 7) {
		case 0:
			fuzz_bar_move(&f->m, fn->devfn, step & 8 ? 0 : 2,
				      fuzz_bar_place(in));
			break;
		case 1: /* memory on; MSI-X on, perhaps masked */
			fuzz_config_write(&f->m, fn->devfn, PCI_REG_COMMAND, 2,
					  2 | (step & 8 ? 0x400 : 0));
			fuzz_config_write(&f->m, fn->devfn, fn->msix.cap + 2u,
					  2, (step & 0x70) << 9);
			break;
		case 2:
			msix_notify(&fn->msix, step >> 3 & 7);
			break;
		case 3:
			pci_intx_set(&fn->pci, step & 8);
			break;
		case 4:
			f->m.refuse = step & 8;
			if (step & 16)
				pci_host_reset(f->m.host);
			break;
		case 5:
			config_access(f, in, fn);
			break;
		default:
			bar_access(f, in, fn);
			break;
		}
		for (unsigned i = 0; i < FUNCTIONS; i++)
			check(f, &f->functions[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fixture f = {0};

	fuzz_machine_init(&f.m);
	for (uint8_t i = 0; i < FUNCTIONS; i++)
		function_init(&f, &f.functions[i], i + 1);
	run(&f, &in);
	for (unsigned i = 0; i < FUNCTIONS; i++) {
		pci_host_remove(f.m.host, &f.functions[i].pci);
		msix_done(&f.functions[i].msix);
	}
	fuzz_machine_done(&f.m);
	return 0;
}
