#include <sys/random.h>

#include "lib/fdt/fdt_nodes.h"
#include "vmm-kvm/board_internal.h"
#include "vmm-kvm/boot.h"

#define SERIAL_NODE "/serial@9000000"

/*
 * Linux's 32-bit decompressor, started by UEFI, takes the 64 KiB behind its
 * image for a heap and does not ask the firmware for them (up to 6.1 at least,
 * arch/arm/boot/compressed). GRUB makes room, from the top down, for kernel,
 * initrd and its copy of the tree before the image is loaded. A tree of this
 * size is what lies behind the image then, and nobody needs that copy any more;
 * a small one is put elsewhere, and the initrd is overwritten.
 */
#define AARCH32_UEFI_FDT_BYTES BOARD_FDT_SIZE_MAX

/* Nodes that others refer to. */
struct handles {
	uint32_t intc, msi, clock, gpio;
};

static int add_chosen(struct fdt_builder *t, const struct boot_tree *tree,
		      struct error *e)
{
	struct fdt_chosen chosen = {
		/* No node names a console behind PCI; a guest that is named
		 * none looks for it. */
		.stdout_path = tree->no_stdout ? NULL : "serial0:115200n8",
		.bootargs = tree->cmdline,
		.initrd_start = tree->initrd_gpa,
		.initrd_end = tree->initrd_gpa + tree->initrd_size,
	};

	if (getrandom(chosen.rng_seed, sizeof(chosen.rng_seed), 0) !=
		    sizeof(chosen.rng_seed) ||
	    getrandom(&chosen.kaslr_seed, sizeof(chosen.kaslr_seed), 0) !=
		    sizeof(chosen.kaslr_seed))
		return error_set(e, -EIO, "the host gives no random bytes");
	fdt_add_chosen(t, &chosen);
	fdt_add_alias(t, "serial0", SERIAL_NODE);
	return 0;
}

static void add_gic(struct fdt_builder *t, const struct handles *h,
		    const struct boot_tree *tree)
{
	const struct fdt_gicv2 v2 = {
		.dist_base = BOARD_GIC_DIST_BASE,
		.dist_size = KIB(4),
		.cpu_base = BOARD_GIC_CPU_BASE,
		.cpu_size = BOARD_GIC_CPU_SIZE,
		.v2m_base = BOARD_GIC_V2M_BASE,
		.v2m_size = GICV2M_SIZE,
		.phandle = h->intc,
		.v2m_phandle = h->msi,
	};
	const struct fdt_gicv3 v3 = {
		.dist_base = BOARD_GIC_DIST_BASE,
		.dist_size = BOARD_GIC_DIST_SIZE,
		.redist_base = BOARD_GIC_REDIST_BASE,
		.redist_size = tree->n_cpus * BOARD_GIC_REDIST_SIZE,
		.its_base = BOARD_GIC_ITS_BASE,
		.its_size = BOARD_GIC_ITS_SIZE,
		.phandle = h->intc,
		.its_phandle = h->msi,
	};

	if (tree->abi->gic == VM_GIC_V2)
		fdt_add_gicv2(t, &v2);
	else
		fdt_add_gicv3(t, &v3);
}

static void add_processors(struct fdt_builder *t, const struct handles *h,
			   const struct boot_tree *tree)
{
	const struct fdt_timer_ppis timer = {
		.secure = BOARD_PPI_TIMER_SECURE,
		.nonsecure = BOARD_PPI_TIMER_NONSECURE,
		.virt = BOARD_PPI_TIMER_VIRT,
		.hyp = BOARD_PPI_TIMER_HYP,
		.gicv2_cpus = tree->abi->gic == VM_GIC_V2 ? tree->n_cpus : 0,
	};

	fdt_add_cpus(t, tree->affinities, tree->n_cpus);
	fdt_add_psci(t);
	fdt_add_timer(t, &timer);
	if (tree->abi->pmu)
		fdt_add_pmu(t, BOARD_PPI_PMU, timer.gicv2_cpus);
	add_gic(t, h, tree);
}

static void add_primecells(struct fdt_builder *t, const struct handles *h)
{
	struct fdt_primecell cell = {
		.size = BOARD_PRIMECELL_SIZE,
		.clock_phandle = h->clock,
	};

	fdt_add_fixed_clock(t, BOARD_APB_CLOCK_HZ, h->clock);
	cell.base = BOARD_PL011_BASE;
	cell.intid = BOARD_SPI_PL011;
	fdt_add_pl011(t, &cell);
	cell.base = BOARD_PL031_BASE;
	cell.intid = BOARD_SPI_PL031;
	fdt_add_pl031(t, &cell);
	cell.base = BOARD_PL061_BASE;
	cell.intid = BOARD_SPI_PL061;
	fdt_add_pl061(t, &cell, h->gpio);
	cell.base = BOARD_SP805_BASE;
	cell.intid = BOARD_SPI_SP805;
	fdt_add_sp805(t, &cell);
	fdt_add_power_key(t, h->gpio, BOARD_POWER_KEY_PIN);
}

static void add_pcie(struct fdt_builder *t, const struct handles *h,
		     const struct board_space *space)
{
	struct fdt_pcie pcie = {
		.ecam_base = BOARD_PCI_ECAM_BASE,
		.buses = BOARD_PCI_BUSES,
		.io_base = BOARD_PCI_IO_BASE,
		.io_size = BOARD_PCI_IO_SIZE,
		.mmio32_base = BOARD_PCI_MMIO32_BASE,
		.mmio32_size = BOARD_PCI_MMIO32_SIZE,
		.mmio64_base = space->mmio64_base,
		.mmio64_size = space->mmio64_size,
		.intc_phandle = h->intc,
		.msi_phandle = h->msi,
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(pcie.intx_intid); i++)
		pcie.intx_intid[i] = BOARD_SPI_PCI_INTX + i;
	fdt_add_pcie(t, &pcie);
}

static void add_virtio_mmio(struct fdt_builder *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct fdt_virtio_mmio device = {
			.base = BOARD_VIRTIO_MMIO_BASE + i * VIRTIO_MMIO_SIZE,
			.size = VIRTIO_MMIO_SIZE,
			.intid = BOARD_SPI_VIRTIO_MMIO + i,
		};

		fdt_add_virtio_mmio(t, &device);
	}
}

int boot_build_fdt(const struct boot_tree *tree, void **ret_blob,
		   size_t *ret_size, struct error *e)
{
	static const uint64_t banks[2] = {BOARD_FLASH_CODE_BASE,
					  BOARD_FLASH_VARS_BASE};
	_cleanup_(fdt_builder_freep) struct fdt_builder *t = NULL;
	struct handles h;
	int r = fdt_builder_new(&t);

	if (r)
		return error_set(e, r, "out of memory");
	h = (struct handles){
		.intc = fdt_phandle_new(t),
		.msi = fdt_phandle_new(t),
		.clock = fdt_phandle_new(t),
		.gpio = fdt_phandle_new(t),
	};
	fdt_add_root(t, "armvmd virtual machine", h.intc);
	r = add_chosen(t, tree, e);
	if (r)
		return r;
	fdt_add_memory(t, BOARD_RAM_BASE, tree->space->ram_size);
	add_processors(t, &h, tree);
	if (tree->flash)
		fdt_add_flash(t, banks, BOARD_FLASH_BANK_SIZE);
	add_primecells(t, &h);
	fdt_add_fw_cfg(t, BOARD_FW_CFG_BASE, FW_CFG_SIZE);
	add_pcie(t, &h, tree->space);
	add_virtio_mmio(t, tree->n_mmio);
	if (tree->flash && tree->abi->aarch32)
		fdt_builder_pad(t, AARCH32_UEFI_FDT_BYTES);
	return fdt_builder_finish(t, ret_blob, ret_size, e);
}

static int write_fdt(struct board *b, const struct boot_tree *tree,
		     uint64_t gpa, struct error *e)
{
	_cleanup_free_ void *blob = NULL;
	size_t size;
	int r = boot_build_fdt(tree, &blob, &size, e);

	if (r)
		return r;
	if (size > BOARD_FDT_SIZE_MAX)
		return error_set(e, -E2BIG, "the device tree has %zu bytes",
				 size);
	r = guest_mem_write(&b->guest_mem, gpa, blob, size);
	return r ? error_set(e, r, "the device tree does not fit the RAM") : 0;
}

int boot_prepare(struct board *b, const uint64_t *affinities, size_t n_cpus,
		 struct boot_entry *ret, struct error *e)
{
	struct boot_tree tree = {
		.space = &b->space,
		.abi = &b->abi,
		.affinities = affinities,
		.n_cpus = n_cpus,
		.flash = b->flash_code,
		.no_stdout = b->config->console == VM_CONSOLE_VIRTIO,
		.n_mmio = b->n_mmio,
	};
	struct boot_kernel kernel;
	int r;

	if (b->kernel_fd < 0) {
		/* The firmware is the first thing to run (FW-2). */
		*ret = (struct boot_entry){.pc = BOARD_FLASH_CODE_BASE};
		return write_fdt(b, &tree, BOARD_FDT_BASE, e);
	}
	r = boot_kernel_load(b, &kernel, e);
	if (r)
		return r;
	tree.cmdline = b->config->cmdline;
	tree.initrd_gpa = kernel.initrd_gpa;
	tree.initrd_size = kernel.initrd_size;
	*ret = (struct boot_entry){.pc = kernel.gpa};
	/* r0 is 0 and r1 a machine type nobody looks at beside a tree. */
	ret->args[b->config->arch == VM_ARCH_AARCH32 ? 2 : 0] = kernel.fdt_gpa;
	return write_fdt(b, &tree, kernel.fdt_gpa, e);
}
