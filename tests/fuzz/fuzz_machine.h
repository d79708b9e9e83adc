/*
 * A machine for fuzz targets of PCI functions: memory, bus, a register block
 * that stands for the interrupt controller, a PCI host with two windows, and
 * sinks that check what they are told.
 */
#ifndef TESTS_FUZZ_FUZZ_MACHINE_H
#define TESTS_FUZZ_FUZZ_MACHINE_H

#include <sys/eventfd.h>

#include "tests/fuzz/fuzz_kinds.h"
#include "tests/fuzz/fuzz_loop.h"
#include "tests/fuzz/fuzz_ram.h"
#include "vmm-kvm/devices/msix.h"
#include "vmm-kvm/devices/pci_mirror.h"
#include "vmm-kvm/devices/reg_page.h"

#define FUZZ_ECAM	 0x3f000000ull
#define FUZZ_BUSES	 4
#define FUZZ_WINDOW	 0x10000000ull
#define FUZZ_WINDOW_SIZE MIB(1)
#define FUZZ_WINDOW_HIGH GIB(512)
#define FUZZ_GIC	 0x08000000ull
#define FUZZ_GIC_MAGIC	 0x43b7u
#define FUZZ_SINKS	 24

struct fuzz_machine {
	struct fuzz_ram ram;
	struct bus *bus;
	struct pci_host *host;
	struct mmio_region gic;
	unsigned gic_writes;
	struct msi_sink msi;
	struct doorbell_sink doorbells;
	struct {
		bool used, open;
	} vectors[FUZZ_SINKS];
	struct {
		bool used;
		uint64_t gpa;
		int64_t match;
		int fd;
	} bells[FUZZ_SINKS];
	struct {
		uint64_t addr, size; /* 0: none */
	} delays[FUZZ_SINKS];
	struct reg_page *reg_page;
	uint64_t shown_gpa; /* 0: nowhere */
	const uint8_t *shown;
	bool refuse; /* the sinks say no */
	bool wires[PCI_HOST_WIRES];
};

/* One descriptor for all vectors: nobody counts what arrives. */
static inline int fuzz_vector_fd(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fuzz_check(fd >= 0);
	return fd;
}

static inline int fuzz_vector_new(void *cookie, uint32_t *ret, int *ret_fd)
{
	struct fuzz_machine *m = cookie;

	for (uint32_t i = 0; i < FUZZ_SINKS; i++) {
		if (m->vectors[i].used)
			continue;
		m->vectors[i].used = true;
		m->vectors[i].open = false;
		*ret = i;
		*ret_fd = fuzz_vector_fd();
		return 0;
	}
	return -ENOSPC;
}

static inline void fuzz_vector_free(void *cookie, uint32_t vector)
{
	struct fuzz_machine *m = cookie;

	fuzz_check(vector < FUZZ_SINKS && m->vectors[vector].used);
	m->vectors[vector].used = false;
}

static inline int fuzz_vector_set(void *cookie, uint32_t vector,
				  uint64_t address, uint32_t data,
				  uint32_t device_id)
{
	struct fuzz_machine *m = cookie;

	fuzz_check(vector < FUZZ_SINKS && m->vectors[vector].used);
	fuzz_check(device_id < 256 && address % 4 == 0);
	if (m->refuse)
		return -EINVAL;
	m->vectors[vector].open = true;
	return 0;
}

static inline void fuzz_vector_mask(void *cookie, uint32_t vector)
{
	struct fuzz_machine *m = cookie;

	fuzz_check(vector < FUZZ_SINKS && m->vectors[vector].open);
	m->vectors[vector].open = false;
}

static inline int fuzz_bell_add(void *cookie, uint64_t gpa, unsigned size,
				int64_t match, int fd)
{
	struct fuzz_machine *m = cookie;

	fuzz_check(
		(gpa >= FUZZ_WINDOW && gpa < FUZZ_WINDOW + FUZZ_WINDOW_SIZE) ||
		(gpa >= FUZZ_WINDOW_HIGH && gpa < FUZZ_WINDOW_HIGH + GIB(1)));
	for (size_t i = 0; i < FUZZ_SINKS && !m->refuse; i++) {
		if (m->bells[i].used)
			continue;
		m->bells[i].used = true;
		m->bells[i].gpa = gpa;
		m->bells[i].match = match;
		m->bells[i].fd = fd;
		return 0;
	}
	return -ENOSPC;
}

static inline void fuzz_bell_remove(void *cookie, uint64_t gpa, unsigned size,
				    int64_t match, int fd)
{
	struct fuzz_machine *m = cookie;

	for (size_t i = 0; i < FUZZ_SINKS; i++)
		if (m->bells[i].used && m->bells[i].gpa == gpa &&
		    m->bells[i].match == match && m->bells[i].fd == fd) {
			m->bells[i].used = false;
			return;
		}
	fuzz_check(!"a doorbell that was never there");
}

/* In the windows there is no other memory. */
static inline int fuzz_page_show(void *cookie, uint64_t gpa, void *page)
{
	struct fuzz_machine *m = cookie;

	fuzz_check(!m->shown_gpa && gpa % REG_PAGE_BYTES == 0);
	fuzz_check(pci_host_decodes(m->host, gpa, REG_PAGE_BYTES));
	if (m->refuse)
		return -EEXIST;
	fuzz_kind(KIND_SHOWN);
	m->shown_gpa = gpa;
	m->shown = page;
	return 0;
}

static inline void fuzz_page_hide(void *cookie, uint64_t gpa, void *page)
{
	struct fuzz_machine *m = cookie;

	fuzz_check(m->shown_gpa == gpa && m->shown == page);
	m->shown_gpa = 0;
}

static inline void fuzz_wire_set(void *cookie, uint32_t intid, bool level)
{
	fuzz_check(intid >= 35 && intid < 35 + PCI_HOST_WIRES);
	((struct fuzz_machine *)cookie)->wires[intid - 35] = level;
}

static inline uint64_t fuzz_gic_read(void *dev, uint64_t offset, unsigned size)
{
	return FUZZ_GIC_MAGIC;
}

static inline void fuzz_gic_write(void *dev, uint64_t offset, unsigned size,
				  uint64_t value)
{
	((struct fuzz_machine *)dev)->gic_writes++;
}

static const struct mmio_ops fuzz_gic_ops = {fuzz_gic_read, fuzz_gic_write};

/* Writes are kept back inside the windows alone, and each range once. */
static inline void fuzz_delay_set(void *cookie, uint64_t addr, uint64_t size,
				  bool on)
{
	struct fuzz_machine *m = cookie;
	size_t found = FUZZ_SINKS, free = FUZZ_SINKS;

	fuzz_check(addr >= FUZZ_WINDOW && size > 0);
	for (size_t i = 0; i < FUZZ_SINKS; i++) {
		if (!m->delays[i].size)
			free = i;
		else if (m->delays[i].addr == addr)
			found = i;
	}
	if (on) {
		fuzz_check(found == FUZZ_SINKS && free < FUZZ_SINKS);
		m->delays[free].addr = addr;
		m->delays[free].size = size;
	} else {
		fuzz_check(found < FUZZ_SINKS && m->delays[found].size == size);
		m->delays[found].size = 0;
	}
}

static inline void fuzz_machine_init(struct fuzz_machine *m)
{
	struct pci_host_params params = {
		.ecam_base = FUZZ_ECAM,
		.n_buses = FUZZ_BUSES,
		.windows = {{FUZZ_WINDOW, FUZZ_WINDOW_SIZE},
			    {FUZZ_WINDOW_HIGH, GIB(1)}},
		.n_windows = 2,
	};

	*m = (struct fuzz_machine){0};
	fuzz_ram_init(&m->ram);
	fuzz_check(bus_new(&m->bus) == 0);
	m->gic = (struct mmio_region){"gic",	     FUZZ_GIC, KIB(64),
				      &fuzz_gic_ops, m,	       true};
	fuzz_check(bus_add(m->bus, &m->gic) == 0);
	m->msi = (struct msi_sink){fuzz_vector_new, fuzz_vector_free,
				   fuzz_vector_set, fuzz_vector_mask, m};
	m->doorbells = (struct doorbell_sink){fuzz_bell_add, fuzz_bell_remove,
					      m};
	bus_use_delay(m->bus, &(struct bus_delay){fuzz_delay_set, m});
	params.bus = m->bus;
	for (uint32_t i = 0; i < PCI_HOST_WIRES; i++)
		params.intx[i] = (struct irq_line){fuzz_wire_set, m, 35 + i};
	fuzz_check(pci_host_new(&params, &m->host, NULL) == 0);
	fuzz_check(reg_page_new(&(struct reg_page_sink){fuzz_page_show,
							fuzz_page_hide, m},
				&m->reg_page, NULL) == 0);
}

/* After the functions were removed. */
static inline void fuzz_machine_done(struct fuzz_machine *m)
{
	fuzz_check(!m->shown_gpa);
	reg_page_free(m->reg_page);
	pci_host_free(m->host);
	bus_free(m->bus);
	for (size_t i = 0; i < FUZZ_SINKS; i++)
		fuzz_check(!m->vectors[i].used && !m->bells[i].used &&
			   !m->delays[i].size);
	for (size_t i = 0; i < PCI_HOST_WIRES; i++)
		fuzz_check(!m->wires[i]);
	fuzz_ram_done(&m->ram);
}

static inline void fuzz_mirror_mapped(void *cookie, bool mapped)
{
}

/* After its root functions were added. */
static inline struct pci_mirror *fuzz_mirror_new(struct fuzz_machine *m)
{
	const struct pci_mirror_params params = {
		.host = m->host,
		.n_buses = FUZZ_BUSES - 1,
		.set_mapped = fuzz_mirror_mapped,
		.cookie = m,
	};
	struct pci_mirror *mirror;

	fuzz_check(pci_mirror_new(&params, &mirror, NULL) == 0);
	return mirror;
}

/* Memory shows what a read is answered with. */
static inline void fuzz_mirror_check(struct fuzz_machine *m,
				     struct pci_mirror *mirror, unsigned bus,
				     unsigned devfn)
{
	const uint32_t *memory = pci_mirror_memory(mirror);
	uint64_t at = bus * PCI_HOST_BUS_BYTES + devfn * 4096ull, value;

	for (unsigned reg = 0; reg <= PCI_CONFIG_SIZE; reg += 4) {
		fuzz_check(bus_read(m->bus, FUZZ_ECAM + at + reg, 4, &value));
		fuzz_check(memory[(at + reg) / 4] == value);
	}
}

static inline uint64_t fuzz_config_at(unsigned devfn, unsigned reg)
{
	return FUZZ_ECAM + devfn * 4096ull + reg;
}

static inline void fuzz_config_write(struct fuzz_machine *m, unsigned devfn,
				     unsigned reg, unsigned width,
				     uint64_t value)
{
	fuzz_check(bus_write(m->bus, fuzz_config_at(devfn, reg), width, value));
}

/* Where a guest may want a BAR: in the windows, at their ends, on top of the
 * others, over memory or the interrupt controller, anywhere. */
static inline uint64_t fuzz_bar_place(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);

	switch (how & 7) {
	case 0:
		fuzz_kind(KIND_BAR_GIC);
		return FUZZ_GIC;
	case 1:
		fuzz_kind(KIND_BAR_RAM);
		return FUZZ_LOW_GPA;
	case 2:
		return FUZZ_ECAM;
	case 3:
		return fuzz_u64(in);
	case 4:
		return FUZZ_WINDOW + FUZZ_WINDOW_SIZE - (how >> 3) * 0x1000;
	case 5:
		return FUZZ_WINDOW_HIGH + (how >> 3) * 0x4000;
	default:
		return FUZZ_WINDOW + (how >> 3) * 0x1000;
	}
}

static inline void fuzz_bar_move(struct fuzz_machine *m, unsigned devfn,
				 unsigned bar, uint64_t base)
{
	fuzz_config_write(m, devfn, PCI_REG_BAR0 + 4 * bar, 4, (uint32_t)base);
	fuzz_config_write(m, devfn, PCI_REG_BAR0 + 4 * bar + 4, 4, base >> 32);
}

/* Wherever the BARs are: they are decoded in the windows alone, and neither
 * memory nor the interrupt controller is in their way or they in its. */
static inline void fuzz_bars_check(struct fuzz_machine *m,
				   const struct pci_dev *d)
{
	uint64_t value;

	for (unsigned i = 0; i < PCI_BARS; i++)
		if (d->bars[i].enabled)
			fuzz_check(pci_host_decodes(m->host, d->bars[i].base,
						    d->bars[i].size_bytes) &&
				   (d->config[PCI_REG_COMMAND] &
				    PCI_COMMAND_MEMORY));
	fuzz_check(bus_read(m->bus, FUZZ_GIC, 4, &value) &&
		   value == FUZZ_GIC_MAGIC);
	fuzz_check(!bus_read(m->bus, FUZZ_LOW_GPA, 4, &value));
}

#endif
