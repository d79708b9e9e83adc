#include "vmm-kvm/devices/pci_mirror.h"

struct pci_host {
	struct pci_host_params params;
	struct mmio_region ecam;
	struct pci_bus root;
	struct pci_mirror *mirror;
	/* Functions that pull each wire; it is high while not 0. */
	unsigned asserted[PCI_HOST_WIRES];
};

static struct pci_dev *find_below(struct pci_bus *on, uint8_t number,
				  uint8_t bus, uint8_t devfn)
{
	if (on->dark)
		return NULL;
	if (number == bus)
		return on->devs[devfn];
	for (size_t i = 0; i < ARRAY_SIZE(on->devs); i++) {
		struct pci_dev *d = on->devs[i];
		uint8_t first, last;

		if (!d || !d->secondary)
			continue;
		first = d->config[PCI_REG_SECONDARY_BUS];
		last = d->config[PCI_REG_SUBORDINATE_BUS];
		/* Numbers must grow on the way down, or a guest could send
		 * this in circles; 0 is a bridge not yet numbered. */
		if (first > number && first <= bus && bus <= last)
			return find_below(d->secondary, first, bus, devfn);
	}
	return NULL;
}

struct pci_dev *pci_host_find(struct pci_host *h, uint8_t bus, uint8_t devfn)
{
	return find_below(&h->root, 0, bus, devfn);
}

static struct pci_dev *ecam_target(struct pci_host *h, uint64_t offset)
{
	return pci_host_find(h, (uint8_t)(offset >> 20),
			     (uint8_t)(offset >> 12));
}

/* An access that is wider than a dword or not aligned is made of bytes: legal
 * hardware never sees one, so it only has to be harmless. */
static uint64_t ecam_read(void *dev, uint64_t offset, unsigned size)
{
	struct pci_host *h = dev;
	struct pci_dev *d;
	uint64_t value = 0;

	if (size > 4 || offset % size != 0) {
		for (unsigned i = 0; i < size; i++)
			value |= ecam_read(h, offset + i, 1) << (8 * i);
		return value;
	}
	d = ecam_target(h, offset);
	if (!d)
		return UINT32_MAX >> (32 - 8 * size);
	return pci_config_read(d, offset & 0xfff, size);
}

static void ecam_write(void *dev, uint64_t offset, unsigned size,
		       uint64_t value)
{
	struct pci_host *h = dev;
	struct pci_dev *d;

	if (size > 4 || offset % size != 0) {
		for (unsigned i = 0; i < size; i++)
			ecam_write(h, offset + i, 1, (value >> (8 * i)) & 0xff);
		return;
	}
	d = ecam_target(h, offset);
	if (d)
		pci_config_write(d, offset & 0xfff, size, (uint32_t)value);
}

static const struct mmio_ops ecam_ops = {
	.read = ecam_read,
	.write = ecam_write,
};

static int check_windows(const struct pci_host_params *p, struct error *e)
{
	uint64_t end;

	if (p->n_windows > PCI_HOST_WINDOWS_MAX)
		return error_set(e, -EINVAL,
				 "a PCI host has at most %d windows, not %zu",
				 PCI_HOST_WINDOWS_MAX, p->n_windows);
	for (size_t i = 0; i < p->n_windows; i++)
		if (__builtin_add_overflow(p->windows[i].base,
					   p->windows[i].size_bytes, &end))
			return error_set(e, -EINVAL, "PCI window %zu wraps", i);
	return 0;
}

int pci_host_new(const struct pci_host_params *params, struct pci_host **ret,
		 struct error *e)
{
	_cleanup_free_ struct pci_host *h = NULL;
	int r;

	if (params->n_buses < 1 || params->n_buses > 256)
		return error_set(e, -EINVAL,
				 "a PCI host has 1 to 256 buses, not %u",
				 params->n_buses);
	r = check_windows(params, e);
	if (r < 0)
		return r;
	h = calloc(1, sizeof(*h));
	if (!h)
		return error_set(e, -ENOMEM, "out of memory for a PCI host");
	h->params = *params;
	h->ecam = (struct mmio_region){
		.name = "pci-ecam",
		.base = params->ecam_base,
		.size_bytes = params->n_buses * PCI_HOST_BUS_BYTES,
		.ops = &ecam_ops,
		.dev = h,
		.enabled = true,
	};
	r = bus_add(params->bus, &h->ecam);
	if (r < 0)
		return error_set(e, r, "cannot place the PCI ECAM at 0x%llx",
				 (unsigned long long)params->ecam_base);
	*ret = TAKE_PTR(h);
	return 0;
}

struct pci_host *pci_host_free(struct pci_host *h)
{
	if (!h)
		return NULL;
	bus_remove(h->params.bus, &h->ecam);
	free(h);
	return NULL;
}

static void remove_bars(struct pci_host *h, struct pci_dev *d, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (d->bars[i].size_bytes)
			bus_remove(h->params.bus, &d->bars[i]);
}

int pci_host_add_behind(struct pci_host *h, struct pci_bus *bus,
			struct pci_dev *d, uint8_t devfn, struct error *e)
{
	int r;

	if (bus->devs[devfn])
		return error_set(e, -EBUSY, "PCI function %02x.%x is taken",
				 devfn >> 3, devfn & 7);
	for (unsigned i = 0; i < PCI_BARS; i++) {
		if (!d->bars[i].size_bytes)
			continue;
		r = bus_add(h->params.bus, &d->bars[i]);
		if (r < 0) {
			remove_bars(h, d, i);
			return error_set(e, r, "cannot add BAR %u of %s", i,
					 d->name);
		}
	}
	d->host = h;
	d->parent = bus;
	d->devfn = devfn;
	memcpy(d->initial, d->config, sizeof(d->initial));
	bus->devs[devfn] = d;
	pci_mirror_walk(h->mirror);
	return 0;
}

int pci_host_add(struct pci_host *h, struct pci_dev *d, uint8_t devfn,
		 struct error *e)
{
	return pci_host_add_behind(h, &h->root, d, devfn, e);
}

void pci_host_remove(struct pci_host *h, struct pci_dev *d)
{
	if (d->host != h || !d->parent)
		return;
	pci_intx_set(d, false);
	d->parent->devs[d->devfn] = NULL;
	pci_mirror_walk(h->mirror);
	d->parent = NULL;
	remove_bars(h, d, PCI_BARS);
}

static void reset_below(struct pci_bus *on)
{
	for (size_t i = 0; i < ARRAY_SIZE(on->devs); i++) {
		if (!on->devs[i])
			continue;
		if (on->devs[i]->secondary)
			reset_below(on->devs[i]->secondary);
		pci_dev_reset(on->devs[i]);
	}
}

void pci_host_reset(struct pci_host *h)
{
	reset_below(&h->root);
	pci_mirror_reset(h->mirror);
}

/* PCI-to-PCI Bridge 1.2, 9.1: each bridge on the way up rotates the pin by the
 * slot number, and so does our interrupt-map. */
void pci_host_intx(struct pci_host *h, const struct pci_dev *d, bool level)
{
	unsigned wire = d->config[PCI_REG_INTERRUPT_PIN] - 1u;

	for (; d; d = d->parent->bridge)
		wire += d->devfn >> 3;
	wire %= PCI_HOST_WIRES;
	h->asserted[wire] += level ? 1u : -1u;
	irq_line_set(&h->params.intx[wire], h->asserted[wire] > 0);
}

bool pci_host_decodes(const struct pci_host *h, uint64_t base,
		      uint64_t size_bytes)
{
	for (size_t i = 0; i < h->params.n_windows; i++) {
		const struct pci_window *w = &h->params.windows[i];

		if (base >= w->base && size_bytes <= w->size_bytes &&
		    base - w->base <= w->size_bytes - size_bytes)
			return true;
	}
	return false;
}

struct bus *pci_host_bus(struct pci_host *h)
{
	return h->params.bus;
}

uint32_t pci_requester_id(const struct pci_dev *d)
{
	const struct pci_dev *bridge = d->parent->bridge;
	uint32_t bus = bridge ? bridge->config[PCI_REG_SECONDARY_BUS] : 0;

	return bus << 8 | d->devfn;
}

void pci_host_set_mirror(struct pci_host *h, struct pci_mirror *mirror)
{
	h->mirror = mirror;
}

struct pci_mirror *pci_host_mirror(const struct pci_host *h)
{
	return h->mirror;
}
