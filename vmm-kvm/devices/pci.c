#include <assert.h>

#include "vmm-kvm/devices/pci.h"
#include "vmm-kvm/devices/pci_host.h"
#include "vmm-kvm/devices/pci_mirror.h"

#define FIRST_CAPABILITY 0x40

/* PCI Express capability, version 2 (PCIe Base 4.0, 7.5.3). */
#define EXPRESS_BYTES	     0x3c
#define EXPRESS_VERSION	     2
#define EXPRESS_ROLE_ERRORS  (1u << 15) /* mandatory since 1.1 */
#define EXPRESS_CONTROL_BITS 0x7fff	/* without function level reset */
#define LINK_2_5_GT	     1u
#define LINK_ONE_LANE	     (1u << 4)
#define LINK_SPEEDS_2_5_GT   (1u << 1) /* of link capabilities 2 */
/* ASPM, read completion boundary, common clock, extended synch. */
#define LINK_CONTROL_BITS 0x00cb

uint16_t pci_get16(const uint8_t *bytes, unsigned reg)
{
	return (uint16_t)(bytes[reg] | bytes[reg + 1] << 8);
}

uint32_t pci_get32(const uint8_t *bytes, unsigned reg)
{
	return pci_get16(bytes, reg) | (uint32_t)pci_get16(bytes, reg + 2)
					       << 16;
}

void pci_put16(uint8_t *bytes, unsigned reg, uint16_t value)
{
	bytes[reg] = (uint8_t)value;
	bytes[reg + 1] = (uint8_t)(value >> 8);
}

void pci_put32(uint8_t *bytes, unsigned reg, uint32_t value)
{
	pci_put16(bytes, reg, (uint16_t)value);
	pci_put16(bytes, reg + 2, (uint16_t)(value >> 16));
}

void pci_dev_init(struct pci_dev *d, const char *name,
		  const struct pci_ids *ids, const struct pci_dev_ops *ops)
{
	uint8_t *c = d->config;

	d->name = name;
	d->ops = ops;
	d->cap_free = FIRST_CAPABILITY;
	pci_put16(c, PCI_REG_VENDOR, ids->vendor);
	pci_put16(c, PCI_REG_DEVICE, ids->device);
	pci_put16(c, PCI_REG_STATUS, PCI_STATUS_CAPABILITIES);
	c[PCI_REG_REVISION] = ids->revision;
	c[PCI_REG_CLASS] = (uint8_t)ids->class_code;
	pci_put16(c, PCI_REG_CLASS + 1, (uint16_t)(ids->class_code >> 8));
	pci_put16(c, PCI_REG_SUBSYSTEM_VENDOR, ids->subsystem_vendor);
	pci_put16(c, PCI_REG_SUBSYSTEM, ids->subsystem);
	c[PCI_REG_INTERRUPT_PIN] = 1; /* INTA */

	pci_put16(d->wmask, PCI_REG_COMMAND,
		  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			  PCI_COMMAND_INTX_DISABLE);
	d->wmask[PCI_REG_CACHE_LINE] = 0xff;
	d->wmask[PCI_REG_INTERRUPT_LINE] = 0xff;
}

void pci_bar_init(struct pci_dev *d, unsigned bar, uint64_t size_bytes,
		  const struct mmio_ops *ops, void *dev)
{
	unsigned reg = PCI_REG_BAR0 + 4 * bar;
	uint64_t mask = ~(size_bytes - 1);

	assert(bar + 1 < PCI_BARS && size_bytes >= 16 &&
	       (size_bytes & (size_bytes - 1)) == 0);
	d->bars[bar] = (struct mmio_region){
		.name = d->name,
		.size_bytes = size_bytes,
		.ops = ops,
		.dev = dev,
	};
	d->config[reg] = PCI_BAR_MEM64;
	pci_put32(d->wmask, reg, (uint32_t)mask);
	pci_put32(d->wmask, reg + 4, (uint32_t)(mask >> 32));
}

bool pci_bar_enabled(const struct pci_dev *d, unsigned bar)
{
	return d->bars[bar].enabled;
}

unsigned pci_cap_add(struct pci_dev *d, uint8_t id, unsigned size)
{
	unsigned at = d->cap_free;
	unsigned end = at + ALIGN_UP(size, 4u);

	/* The last dword stays free, so that cap_free fits its byte. */
	if (end >= PCI_CONFIG_SIZE)
		return 0;
	d->config[at] = id;
	d->config[at + 1] = 0;
	d->config[d->cap_last ? d->cap_last + 1 : PCI_REG_CAPABILITIES] =
		(uint8_t)at;
	d->cap_last = (uint8_t)at;
	d->cap_free = (uint8_t)end;
	return at;
}

static void express_add_link(struct pci_dev *d, unsigned at)
{
	pci_put32(d->config, at + PCI_EXPRESS_LINK_CAP,
		  LINK_2_5_GT | LINK_ONE_LANE);
	pci_put16(d->wmask, at + PCI_EXPRESS_LINK_CONTROL, LINK_CONTROL_BITS);
	pci_put16(d->config, at + PCI_EXPRESS_LINK_STATUS,
		  LINK_2_5_GT | LINK_ONE_LANE);
	pci_put32(d->config, at + PCI_EXPRESS_LINK_CAP_2, LINK_SPEEDS_2_5_GT);
	pci_put16(d->config, at + PCI_EXPRESS_LINK_CONTROL_2, LINK_2_5_GT);
}

unsigned pci_cap_add_express(struct pci_dev *d, enum pci_express_type type)
{
	unsigned at = pci_cap_add(d, PCI_CAP_EXPRESS, EXPRESS_BYTES);

	if (!at)
		return 0;
	pci_put16(d->config, at + PCI_EXPRESS_FLAGS,
		  (uint16_t)(EXPRESS_VERSION | type << 4));
	pci_put32(d->config, at + PCI_EXPRESS_DEVICE_CAP, EXPRESS_ROLE_ERRORS);
	pci_put16(d->wmask, at + PCI_EXPRESS_DEVICE_CONTROL,
		  EXPRESS_CONTROL_BITS);
	if (type != PCI_EXPRESS_INTEGRATED)
		express_add_link(d, at);
	return at;
}

void pci_config_changed(struct pci_dev *d)
{
	struct pci_mirror *m = d->parent ? pci_host_mirror(d->host) : NULL;

	pci_mirror_update(m, d);
	if (d->ops->config_live && d->ops->config_live(d))
		pci_mirror_trap(m);
}

/* The wire follows what the device wants unless the command register's
 * interrupt disable bit is set; the status bit always does (PCI 3.0, 6.2.3). */
static void intx_update(struct pci_dev *d)
{
	uint16_t command = pci_get16(d->config, PCI_REG_COMMAND);
	bool level = d->intx_asserted && !(command & PCI_COMMAND_INTX_DISABLE);

	d->config[PCI_REG_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	if (d->intx_asserted)
		d->config[PCI_REG_STATUS] |= PCI_STATUS_INTERRUPT;
	if (level != d->intx_level) {
		d->intx_level = level;
		pci_host_intx(d->host, d, level);
	}
}

void pci_intx_set(struct pci_dev *d, bool asserted)
{
	d->intx_asserted = asserted;
	intx_update(d);
	pci_config_changed(d);
}

static void bar_update(struct pci_dev *d, unsigned bar)
{
	struct mmio_region *region = &d->bars[bar];
	unsigned reg = PCI_REG_BAR0 + 4 * bar;
	uint64_t base = pci_get32(d->config, reg) & ~(uint64_t)0xf;
	bool enabled;

	base |= (uint64_t)pci_get32(d->config, reg + 4) << 32;
	enabled = (pci_get16(d->config, PCI_REG_COMMAND) &
		   PCI_COMMAND_MEMORY) &&
		  pci_host_decodes(d->host, base, region->size_bytes);
	if (region->base == base && region->enabled == enabled)
		return;
	bus_region_move(pci_host_bus(d->host), region, base, enabled);
	if (d->ops->bar_moved)
		d->ops->bar_moved(d, bar);
}

static void header_changed(struct pci_dev *d)
{
	for (unsigned i = 0; i < PCI_BARS; i++)
		if (d->bars[i].size_bytes)
			bar_update(d, i);
	intx_update(d);
}

uint32_t pci_config_read(struct pci_dev *d, unsigned reg, unsigned size)
{
	uint32_t value = 0;

	if (reg >= PCI_CONFIG_SIZE || size > PCI_CONFIG_SIZE - reg)
		return 0;
	if (d->ops->config_read)
		d->ops->config_read(d, reg, size);
	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)d->config[reg + i] << (8 * i);
	return value;
}

void pci_config_write(struct pci_dev *d, unsigned reg, unsigned size,
		      uint32_t value)
{
	if (reg >= PCI_CONFIG_SIZE || size > PCI_CONFIG_SIZE - reg)
		return;
	for (unsigned i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)(value >> (8 * i));
		uint8_t w = d->wmask[reg + i];
		uint8_t *c = &d->config[reg + i];

		*c = (uint8_t)((*c & ~w) | (byte & w));
		*c &= (uint8_t) ~(byte & d->w1cmask[reg + i]);
	}
	if (reg < FIRST_CAPABILITY)
		header_changed(d);
	if (d->ops->config_written)
		d->ops->config_written(d, reg, size);
	pci_config_changed(d);
	if (d->secondary && reg < FIRST_CAPABILITY)
		pci_mirror_walk(pci_host_mirror(d->host));
}

void pci_dev_reset(struct pci_dev *d)
{
	memcpy(d->config, d->initial, sizeof(d->config));
	d->intx_asserted = false;
	header_changed(d);
	if (d->ops->reset)
		d->ops->reset(d);
	pci_config_changed(d);
	if (d->secondary)
		pci_mirror_walk(pci_host_mirror(d->host));
}

void pci_dev_save(const struct pci_dev *d, struct state_out *out)
{
	size_t began = state_begin(out, "pci", 1);

	state_put(out, d->config, sizeof(d->config));
	state_put_u8(out, d->intx_asserted);
	state_end(out, began);
}

int pci_dev_load(struct pci_dev *d, struct state_in *in, struct error *e)
{
	uint8_t config[PCI_CONFIG_SIZE];
	bool asserted;
	struct state_in r;
	int err = state_open(in, "pci", 1, &r, e);

	if (err)
		return err;
	state_get(&r, config, sizeof(config));
	asserted = state_get_bool(&r);
	err = state_close(&r, e);
	if (err)
		return err;
	/* Vendor and device, class, kind of header. */
	if (memcmp(config, d->initial, 4) != 0 ||
	    memcmp(config + PCI_REG_REVISION, d->initial + PCI_REG_REVISION,
		   4) != 0 ||
	    config[PCI_REG_HEADER_TYPE] != d->initial[PCI_REG_HEADER_TYPE])
		return state_bad(&r, e, "is of another device");
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++) {
		uint8_t may = d->wmask[i] | d->w1cmask[i];

		d->config[i] = (uint8_t)((d->config[i] & ~may) |
					 (config[i] & may));
	}
	d->intx_asserted = asserted;
	header_changed(d);
	pci_config_changed(d);
	if (d->secondary)
		pci_mirror_walk(pci_host_mirror(d->host));
	return 0;
}
