#include <inttypes.h>

#include "lib/fdt/fdt_nodes.h"

#define HI(x) ((uint32_t)((x) >> 32))
#define LO(x) ((uint32_t)(x))

/* First cell of a GIC interrupt specifier, and the flags in its third. */
enum { GIC_SPI = 0, GIC_PPI = 1 };
enum { IRQ_LEVEL_HIGH = 4 };

enum { GPIO_ACTIVE_HIGH = 0 };
enum { KEY_POWER = 116 }; /* Linux input event codes */

/* PCI Bus Binding, 2.2.1.1: phys.hi of a range. */
#define PCI_RANGE_IO	 0x01000000u
#define PCI_RANGE_MMIO32 0x02000000u
#define PCI_RANGE_MMIO64 0x03000000u

void fdt_add_root(struct fdt_builder *b, const char *model,
		  uint32_t intc_phandle)
{
	fdt_prop_string(b, "compatible", "linux,dummy-virt");
	fdt_prop_string(b, "model", model);
	fdt_prop_u32(b, "#address-cells", 2);
	fdt_prop_u32(b, "#size-cells", 2);
	fdt_prop_u32(b, "interrupt-parent", intc_phandle);
	/* Everything that masters the bus goes through the host's caches. */
	fdt_prop_empty(b, "dma-coherent");
}

void fdt_add_chosen(struct fdt_builder *b, const struct fdt_chosen *c)
{
	fdt_node_begin(b, "chosen");
	if (c->stdout_path)
		fdt_prop_string(b, "stdout-path", c->stdout_path);
	if (c->bootargs)
		fdt_prop_string(b, "bootargs", c->bootargs);
	if (c->initrd_end > c->initrd_start) {
		fdt_prop_u64(b, "linux,initrd-start", c->initrd_start);
		fdt_prop_u64(b, "linux,initrd-end", c->initrd_end);
	}
	fdt_prop_bytes(b, "rng-seed", c->rng_seed, sizeof(c->rng_seed));
	fdt_prop_u64(b, "kaslr-seed", c->kaslr_seed);
	fdt_node_end(b);
}

void fdt_add_alias(struct fdt_builder *b, const char *name, const char *path)
{
	fdt_node_begin(b, "aliases");
	fdt_prop_string(b, name, path);
	fdt_node_end(b);
}

void fdt_add_cpus(struct fdt_builder *b, const uint64_t *mpidrs, size_t n)
{
	/* Affinity level 3 is beyond one cell: the binding then wants two. */
	bool wide = false;

	for (size_t i = 0; i < n; i++)
		wide |= HI(mpidrs[i]) != 0;

	fdt_node_begin(b, "cpus");
	fdt_prop_u32(b, "#address-cells", wide ? 2 : 1);
	fdt_prop_u32(b, "#size-cells", 0);
	for (size_t i = 0; i < n; i++) {
		fdt_node_begin(b, "cpu@%" PRIx64, mpidrs[i]);
		fdt_prop_string(b, "device_type", "cpu");
		fdt_prop_string(b, "compatible", "arm,armv8");
		if (wide)
			fdt_prop_u64(b, "reg", mpidrs[i]);
		else
			fdt_prop_u32(b, "reg", LO(mpidrs[i]));
		fdt_prop_string(b, "enable-method", "psci");
		fdt_node_end(b);
	}
	fdt_node_end(b);
}

void fdt_add_psci(struct fdt_builder *b)
{
	static const char *const compatible[] = {"arm,psci-1.0",
						 "arm,psci-0.2"};

	fdt_node_begin(b, "psci");
	fdt_prop_strings(b, "compatible", compatible, ARRAY_SIZE(compatible));
	fdt_prop_string(b, "method", "hvc");
	fdt_node_end(b);
}

void fdt_add_memory(struct fdt_builder *b, uint64_t base, uint64_t size)
{
	fdt_node_begin(b, "memory@%" PRIx64, base);
	fdt_prop_string(b, "device_type", "memory");
	fdt_prop_reg(b, base, size);
	fdt_node_end(b);
}

/* A GICv2's PPI also says which CPUs it goes to, one bit each from 8 up. */
static uint32_t ppi_flags(unsigned gicv2_cpus)
{
	return ((1u << gicv2_cpus) - 1) << 8 | IRQ_LEVEL_HIGH;
}

void fdt_add_timer(struct fdt_builder *b, const struct fdt_timer_ppis *t)
{
	const uint32_t ppis[] = {t->secure, t->nonsecure, t->virt, t->hyp};
	uint32_t cells[3 * ARRAY_SIZE(ppis)];

	for (size_t i = 0; i < ARRAY_SIZE(ppis); i++) {
		cells[3 * i] = GIC_PPI;
		cells[3 * i + 1] = ppis[i] - FDT_GIC_PPI_BASE;
		cells[3 * i + 2] = ppi_flags(t->gicv2_cpus);
	}
	fdt_node_begin(b, "timer");
	fdt_prop_string(b, "compatible", "arm,armv8-timer");
	fdt_prop_cells(b, "interrupts", cells, ARRAY_SIZE(cells));
	/* A virtual timer never loses its state to a power-down. */
	fdt_prop_empty(b, "always-on");
	fdt_node_end(b);
}

/* `ranges`: base and size of the distributor, then of the other half. */
static void begin_gic(struct fdt_builder *b, const char *compatible,
		      const uint64_t ranges[4], uint32_t phandle)
{
	fdt_node_begin(b, "interrupt-controller@%" PRIx64, ranges[0]);
	fdt_prop_string(b, "compatible", compatible);
	fdt_prop_empty(b, "interrupt-controller");
	fdt_prop_u32(b, "#interrupt-cells", 3);
	fdt_prop_u32(b, "#address-cells", 2);
	fdt_prop_u32(b, "#size-cells", 2);
	fdt_prop_empty(b, "ranges");
	fdt_prop_cells(b, "reg",
		       FDT_CELLS(HI(ranges[0]), LO(ranges[0]), HI(ranges[1]),
				 LO(ranges[1]), HI(ranges[2]), LO(ranges[2]),
				 HI(ranges[3]), LO(ranges[3])));
	fdt_prop_u32(b, "phandle", phandle);
}

void fdt_add_gicv3(struct fdt_builder *b, const struct fdt_gicv3 *g)
{
	const uint64_t ranges[4] = {g->dist_base, g->dist_size, g->redist_base,
				    g->redist_size};

	begin_gic(b, "arm,gic-v3", ranges, g->phandle);
	fdt_prop_u32(b, "#redistributor-regions", 1);

	fdt_node_begin(b, "msi-controller@%" PRIx64, g->its_base);
	fdt_prop_string(b, "compatible", "arm,gic-v3-its");
	fdt_prop_empty(b, "msi-controller");
	fdt_prop_u32(b, "#msi-cells", 1);
	fdt_prop_reg(b, g->its_base, g->its_size);
	fdt_prop_u32(b, "phandle", g->its_phandle);
	fdt_node_end(b);
	fdt_node_end(b);
}

void fdt_add_gicv2(struct fdt_builder *b, const struct fdt_gicv2 *g)
{
	const uint64_t ranges[4] = {g->dist_base, g->dist_size, g->cpu_base,
				    g->cpu_size};

	/* The one GICv2 name that EDK2 knows. */
	begin_gic(b, "arm,cortex-a15-gic", ranges, g->phandle);

	fdt_node_begin(b, "v2m@%" PRIx64, g->v2m_base);
	fdt_prop_string(b, "compatible", "arm,gic-v2m-frame");
	fdt_prop_empty(b, "msi-controller");
	fdt_prop_reg(b, g->v2m_base, g->v2m_size);
	fdt_prop_u32(b, "phandle", g->v2m_phandle);
	fdt_node_end(b);
	fdt_node_end(b);
}

void fdt_add_pmu(struct fdt_builder *b, uint32_t ppi, unsigned gicv2_cpus)
{
	fdt_node_begin(b, "pmu");
	fdt_prop_string(b, "compatible", "arm,armv8-pmuv3");
	fdt_prop_cells(b, "interrupts",
		       FDT_CELLS(GIC_PPI, ppi - FDT_GIC_PPI_BASE,
				 ppi_flags(gicv2_cpus)));
	fdt_node_end(b);
}

void fdt_add_fixed_clock(struct fdt_builder *b, uint32_t hz, uint32_t phandle)
{
	fdt_node_begin(b, "clock-%" PRIu32, hz);
	fdt_prop_string(b, "compatible", "fixed-clock");
	fdt_prop_u32(b, "#clock-cells", 0);
	fdt_prop_u32(b, "clock-frequency", hz);
	fdt_prop_u32(b, "phandle", phandle);
	fdt_node_end(b);
}

/* What every PrimeCell's node begins with; the caller ends the node. */
static void primecell_begin(struct fdt_builder *b, const char *node,
			    const char *name, const struct fdt_primecell *p)
{
	const char *compatible[] = {name, "arm,primecell"};

	fdt_node_begin(b, "%s@%" PRIx64, node, p->base);
	fdt_prop_strings(b, "compatible", compatible, ARRAY_SIZE(compatible));
	fdt_prop_reg(b, p->base, p->size);
	fdt_prop_cells(b, "interrupts",
		       FDT_CELLS(GIC_SPI, p->intid - FDT_GIC_SPI_BASE,
				 IRQ_LEVEL_HIGH));
}

void fdt_add_pl011(struct fdt_builder *b, const struct fdt_primecell *p)
{
	static const char *const names[] = {"uartclk", "apb_pclk"};

	primecell_begin(b, "serial", "arm,pl011", p);
	fdt_prop_cells(b, "clocks",
		       FDT_CELLS(p->clock_phandle, p->clock_phandle));
	fdt_prop_strings(b, "clock-names", names, ARRAY_SIZE(names));
	fdt_node_end(b);
}

void fdt_add_pl031(struct fdt_builder *b, const struct fdt_primecell *p)
{
	primecell_begin(b, "rtc", "arm,pl031", p);
	fdt_prop_u32(b, "clocks", p->clock_phandle);
	fdt_prop_string(b, "clock-names", "apb_pclk");
	fdt_node_end(b);
}

void fdt_add_pl061(struct fdt_builder *b, const struct fdt_primecell *p,
		   uint32_t phandle)
{
	primecell_begin(b, "gpio", "arm,pl061", p);
	fdt_prop_u32(b, "clocks", p->clock_phandle);
	fdt_prop_string(b, "clock-names", "apb_pclk");
	fdt_prop_empty(b, "gpio-controller");
	fdt_prop_u32(b, "#gpio-cells", 2);
	fdt_prop_empty(b, "interrupt-controller");
	fdt_prop_u32(b, "#interrupt-cells", 2);
	fdt_prop_u32(b, "phandle", phandle);
	fdt_node_end(b);
}

void fdt_add_fw_cfg(struct fdt_builder *b, uint64_t base, uint64_t size)
{
	fdt_node_begin(b, "fw-cfg@%" PRIx64, base);
	fdt_prop_string(b, "compatible", "qemu,fw-cfg-mmio");
	fdt_prop_reg(b, base, size);
	fdt_prop_empty(b, "dma-coherent");
	fdt_node_end(b);
}

void fdt_add_sp805(struct fdt_builder *b, const struct fdt_primecell *p)
{
	static const char *const names[] = {"wdog_clk", "apb_pclk"};

	primecell_begin(b, "watchdog", "arm,sp805", p);
	fdt_prop_cells(b, "clocks",
		       FDT_CELLS(p->clock_phandle, p->clock_phandle));
	fdt_prop_strings(b, "clock-names", names, ARRAY_SIZE(names));
	fdt_node_end(b);
}

void fdt_add_power_key(struct fdt_builder *b, uint32_t gpio_phandle,
		       uint32_t pin)
{
	fdt_node_begin(b, "gpio-keys");
	fdt_prop_string(b, "compatible", "gpio-keys");
	fdt_node_begin(b, "power-key");
	fdt_prop_string(b, "label", "Power");
	fdt_prop_u32(b, "linux,code", KEY_POWER);
	fdt_prop_cells(b, "gpios",
		       FDT_CELLS(gpio_phandle, pin, GPIO_ACTIVE_HIGH));
	fdt_node_end(b);
	fdt_node_end(b);
}

void fdt_add_virtio_mmio(struct fdt_builder *b, const struct fdt_virtio_mmio *v)
{
	fdt_node_begin(b, "virtio_mmio@%" PRIx64, v->base);
	fdt_prop_string(b, "compatible", "virtio,mmio");
	fdt_prop_reg(b, v->base, v->size);
	fdt_prop_cells(b, "interrupts",
		       FDT_CELLS(GIC_SPI, v->intid - FDT_GIC_SPI_BASE,
				 IRQ_LEVEL_HIGH));
	fdt_prop_empty(b, "dma-coherent");
	fdt_node_end(b);
}

void fdt_add_flash(struct fdt_builder *b, const uint64_t base[2],
		   uint64_t bank_size)
{
	fdt_node_begin(b, "flash@%" PRIx64, base[0]);
	fdt_prop_string(b, "compatible", "cfi-flash");
	fdt_prop_cells(b, "reg",
		       FDT_CELLS(HI(base[0]), LO(base[0]), HI(bank_size),
				 LO(bank_size), HI(base[1]), LO(base[1]),
				 HI(bank_size), LO(bank_size)));
	fdt_prop_u32(b, "bank-width", 4);
	fdt_node_end(b);
}

/* phys.hi of a device's configuration space: bits 15..11 are its number. */
static uint32_t pci_devfn_cell(unsigned device)
{
	return device << 11;
}

/*
 * Four devices and four pins suffice: the mask makes device numbers repeat
 * every four. An entry: device (3 cells), pin, controller, its unit address
 * (2 cells, as the GIC node has #address-cells), GIC specifier (3 cells).
 */
static void add_interrupt_map(struct fdt_builder *b, const struct fdt_pcie *p)
{
	uint32_t map[4 * 4 * 10], *at = map;

	for (unsigned device = 0; device < 4; device++) {
		for (unsigned pin = 0; pin < 4; pin++) {
			uint32_t intid = p->intx_intid[(device + pin) % 4];
			const uint32_t entry[10] = {
				pci_devfn_cell(device),
				0,
				0,
				pin + 1,
				p->intc_phandle,
				0,
				0,
				GIC_SPI,
				intid - FDT_GIC_SPI_BASE,
				IRQ_LEVEL_HIGH,
			};

			memcpy(at, entry, sizeof(entry));
			at += ARRAY_SIZE(entry);
		}
	}
	fdt_prop_u32(b, "#interrupt-cells", 1);
	fdt_prop_cells(b, "interrupt-map-mask",
		       FDT_CELLS(pci_devfn_cell(3), 0, 0, 7));
	fdt_prop_cells(b, "interrupt-map", map, ARRAY_SIZE(map));
}

static uint32_t *put_range(uint32_t *at, uint32_t type, uint64_t bus,
			   uint64_t cpu, uint64_t size)
{
	const uint32_t row[] = {type,	 HI(bus),  LO(bus), HI(cpu),
				LO(cpu), HI(size), LO(size)};

	memcpy(at, row, sizeof(row));
	return at + ARRAY_SIZE(row);
}

static void add_pci_ranges(struct fdt_builder *b, const struct fdt_pcie *p)
{
	uint32_t ranges[3 * 7], *at = ranges;

	at = put_range(at, PCI_RANGE_IO, 0, p->io_base, p->io_size);
	at = put_range(at, PCI_RANGE_MMIO32, p->mmio32_base, p->mmio32_base,
		       p->mmio32_size);
	if (p->mmio64_size)
		at = put_range(at, PCI_RANGE_MMIO64, p->mmio64_base,
			       p->mmio64_base, p->mmio64_size);
	fdt_prop_cells(b, "ranges", ranges, at - ranges);
}

void fdt_add_pcie(struct fdt_builder *b, const struct fdt_pcie *p)
{
	fdt_node_begin(b, "pcie@%" PRIx64, p->ecam_base);
	fdt_prop_string(b, "compatible", "pci-host-ecam-generic");
	fdt_prop_string(b, "device_type", "pci");
	fdt_prop_u32(b, "#address-cells", 3);
	fdt_prop_u32(b, "#size-cells", 2);
	fdt_prop_u32(b, "linux,pci-domain", 0);
	fdt_prop_cells(b, "bus-range", FDT_CELLS(0, p->buses - 1));
	fdt_prop_reg(b, p->ecam_base, MIB(p->buses));
	add_pci_ranges(b, p);
	/* Requester ids are the ITS's device ids; a GICv2m frame ignores
	 * them. */
	fdt_prop_cells(b, "msi-map", FDT_CELLS(0, p->msi_phandle, 0, 0x10000));
	fdt_prop_empty(b, "dma-coherent");
	add_interrupt_map(b, p);
	fdt_node_end(b);
}
