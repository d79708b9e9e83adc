/*
 * One function per kind of node a machine of ours has; both backends use them.
 * Each writes the whole node, so that a board reads as a list of what it is
 * made of. Addresses and interrupt numbers are the caller's.
 *
 * Sources: Devicetree Specification v0.4; the kernel's
 * Documentation/devicetree/bindings, named at each function; the PCI Bus
 * Binding to IEEE 1275 (ranges, interrupt-map).
 *
 * Errors stick in the builder. Strings and arrays are borrowed for the call.
 * The tree's root is expected to have 2 address and 2 size cells, which
 * fdt_add_root() writes; it comes first.
 */
#ifndef LIB_FDT_FDT_NODES_H
#define LIB_FDT_FDT_NODES_H

#include <stdbool.h>

#include "lib/fdt/fdt_builder.h"

/* Interrupt numbers as the GIC counts them. */
#define FDT_GIC_PPI_BASE 16
#define FDT_GIC_SPI_BASE 32

/* arm/linux,dummy-virt: a virtual machine with no more identity than that. */
void fdt_add_root(struct fdt_builder *b, const char *model,
		  uint32_t intc_phandle);

struct fdt_chosen {
	const char *stdout_path;	   /* a path or alias here; or NULL */
	const char *bootargs;		   /* or NULL */
	uint64_t initrd_start, initrd_end; /* both the same: none */
	uint8_t rng_seed[64];
	uint64_t kaslr_seed;
};

/* /chosen (dt-schema chosen.yaml). The seeds must be fresh at every boot. */
void fdt_add_chosen(struct fdt_builder *b, const struct fdt_chosen *c);

/* /aliases with one entry. */
void fdt_add_alias(struct fdt_builder *b, const char *name, const char *path);

/* arm/cpus, enable-method psci; mpidrs[n] are the affinity values. */
void fdt_add_cpus(struct fdt_builder *b, const uint64_t *mpidrs, size_t n);

/* arm/psci, 1.0 by HVC. */
void fdt_add_psci(struct fdt_builder *b);

/* dt-schema memory.yaml. */
void fdt_add_memory(struct fdt_builder *b, uint64_t base, uint64_t size);

/* PPIs of the generic timer, 16 to 31 each. */
struct fdt_timer_ppis {
	uint32_t secure, nonsecure, virt, hyp;
	unsigned
		gicv2_cpus; /* of a GICv2, where PPIs name their CPUs; else 0 */
};

/* timer/arm,arch_timer. */
void fdt_add_timer(struct fdt_builder *b, const struct fdt_timer_ppis *t);

struct fdt_gicv3 {
	uint64_t dist_base, dist_size;
	uint64_t redist_base, redist_size;
	uint64_t its_base, its_size;
	uint32_t phandle, its_phandle;
};

/* interrupt-controller/arm,gic-v3 with its ITS. */
void fdt_add_gicv3(struct fdt_builder *b, const struct fdt_gicv3 *g);

struct fdt_gicv2 {
	uint64_t dist_base, dist_size;
	uint64_t cpu_base, cpu_size;
	uint64_t v2m_base, v2m_size;
	uint32_t phandle, v2m_phandle;
};

/* interrupt-controller/arm,gic with a GICv2m frame. */
void fdt_add_gicv2(struct fdt_builder *b, const struct fdt_gicv2 *g);

/* arm/pmu of ARMv8; gicv2_cpus as for the timer. */
void fdt_add_pmu(struct fdt_builder *b, uint32_t ppi, unsigned gicv2_cpus);

/* clock/fixed-clock. */
void fdt_add_fixed_clock(struct fdt_builder *b, uint32_t hz, uint32_t phandle);

/* A PrimeCell on the APB: one register range, one SPI, one clock. */
struct fdt_primecell {
	uint64_t base, size;
	uint32_t intid; /* 32 and up */
	uint32_t clock_phandle;
};

/* serial/pl011, rtc/arm,pl031, gpio/pl061-gpio. */
void fdt_add_pl011(struct fdt_builder *b, const struct fdt_primecell *p);
void fdt_add_pl031(struct fdt_builder *b, const struct fdt_primecell *p);
void fdt_add_pl061(struct fdt_builder *b, const struct fdt_primecell *p,
		   uint32_t phandle);

/* firmware/qemu,fw-cfg-mmio. */
void fdt_add_fw_cfg(struct fdt_builder *b, uint64_t base, uint64_t size);

/* watchdog/arm,sp805. */
void fdt_add_sp805(struct fdt_builder *b, const struct fdt_primecell *p);

/* input/gpio-keys: a power button on `pin` of that GPIO controller. */
void fdt_add_power_key(struct fdt_builder *b, uint32_t gpio_phandle,
		       uint32_t pin);

/* mtd/mtd-physmap, cfi-flash: two banks of paired 16-bit chips. */
void fdt_add_flash(struct fdt_builder *b, const uint64_t base[2],
		   uint64_t bank_size);

/* virtio/mmio: one device; coherent with the CPUs' caches. */
struct fdt_virtio_mmio {
	uint64_t base, size;
	uint32_t intid; /* 32 and up; level-triggered */
};

void fdt_add_virtio_mmio(struct fdt_builder *b,
			 const struct fdt_virtio_mmio *v);

struct fdt_pcie {
	uint64_t ecam_base;
	unsigned buses;		   /* 1 MiB of ECAM each; 0 to buses - 1 */
	uint64_t io_base, io_size; /* I/O port 0 sits at io_base */
	uint64_t mmio32_base, mmio32_size; /* bus address = CPU address */
	uint64_t mmio64_base, mmio64_size; /* likewise; size 0: none */
	uint32_t intc_phandle;
	uint32_t msi_phandle; /* the ITS's or the GICv2m frame's */
	/* INTx pin p (0 to 3) of device d is SPI intx_intid[(d + p) % 4]. */
	uint32_t intx_intid[4];
};

/* pci/host-generic-pci, pci-host-ecam-generic. */
void fdt_add_pcie(struct fdt_builder *b, const struct fdt_pcie *p);

#endif
