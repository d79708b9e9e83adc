/*
 * Where things are in our machine, and on which interrupt. Guests learn all of
 * it from the device tree and from PCI (HW-2); what is fixed by someone else
 * says so.
 *
 *   0x0000_0000  flash bank 0, firmware code        64 MiB
 *   0x0400_0000  flash bank 1, variables            64 MiB
 *   0x0800_0000  GIC distributor                    64 KiB
 *   0x0801_0000  GICv2: CPU interface, MSI frame     8 KiB, 4 KiB
 *   0x0808_0000  GICv3: ITS                        128 KiB
 *   0x0900_0000  pl011, pl031, fw_cfg, pl061, sp805  4 KiB each
 *   0x0904_0000  stolen time, by KVM                 64 KiB
 *   0x0a00_0000  GICv3: redistributors               64 MiB, 512 vCPUs
 *   0x0e00_0000  virtio over MMIO               60 x 4 KiB
 *   0x0eff_0000  PCI I/O ports                      64 KiB
 *   0x1000_0000  PCI memory below 4 GiB            512 MiB
 *   0x3000_0000  PCI configuration space (ECAM)    256 MiB
 *   0x4000_0000  RAM
 *   upper half   PCI memory above 4 GiB
 */
#ifndef VMM_KVM_BOARD_LAYOUT_H
#define VMM_KVM_BOARD_LAYOUT_H

#include "lib/base/util.h"

/* The stock firmware is linked to run at 0, and expects its two volumes in
 * banks of this size (ArmVirtQemu: PcdFdBaseAddress, NV storage after it). */
#define BOARD_FLASH_CODE_BASE 0x00000000ull
#define BOARD_FLASH_VARS_BASE 0x04000000ull
#define BOARD_FLASH_BANK_SIZE MIB(64)

/* Sizes are the architecture's (GICv3, 12.10): KVM lays them out so. */
#define BOARD_GIC_DIST_SIZE   KIB(64)
#define BOARD_GIC_REDIST_SIZE KIB(128) /* per vCPU */
#define BOARD_GIC_ITS_SIZE    KIB(128)
#define BOARD_GIC_CPU_SIZE    KIB(8) /* GICv2, IHI 0048B 4.1.3 */

/* ArmVirtQemu maps 0x0800_0000 to 0x1000_0000 as device memory before it has
 * read any device tree, so everything it touches early is in there. */
#define BOARD_GIC_DIST_BASE    0x08000000ull
#define BOARD_GIC_CPU_BASE     0x08010000ull
#define BOARD_GIC_V2M_BASE     0x08020000ull
#define BOARD_GIC_ITS_BASE     0x08080000ull
#define BOARD_PL011_BASE       0x09000000ull
#define BOARD_PL031_BASE       0x09010000ull
#define BOARD_FW_CFG_BASE      0x09020000ull
#define BOARD_PL061_BASE       0x09030000ull
#define BOARD_SP805_BASE       0x09050000ull
#define BOARD_PRIMECELL_SIZE   KIB(4)
#define BOARD_PVTIME_BASE      0x09040000ull
#define BOARD_PVTIME_SIZE      KIB(64) /* a page, however large it is here */
#define BOARD_GIC_REDIST_BASE  0x0a000000ull
#define BOARD_VCPUS_MAX	       512
#define BOARD_VIRTIO_MMIO_BASE 0x0e000000ull
#define BOARD_VIRTIO_MMIO_MAX  60 /* VIRTIO_MMIO_SIZE and an SPI each */
#define BOARD_PCI_IO_BASE      0x0eff0000ull
#define BOARD_PCI_IO_SIZE      KIB(64)

#define BOARD_PCI_MMIO32_BASE 0x10000000ull
#define BOARD_PCI_MMIO32_SIZE MIB(512)
#define BOARD_PCI_ECAM_BASE   0x30000000ull
#define BOARD_PCI_BUSES	      256 /* 1 MiB of ECAM each */

/* ArmVirtQemu's PcdSystemMemoryBase, and where it looks for the device tree
 * (PcdDeviceTreeInitialBaseAddress). It finds the size in there. */
#define BOARD_RAM_BASE 0x40000000ull
#define BOARD_FDT_BASE BOARD_RAM_BASE
/* The firmware leaves this much alone until it has moved the tree. */
#define BOARD_FDT_SIZE_MAX MIB(1)

/* The least address bits that give RAM below and PCI above something to work
 * with; also what every host without KVM_CAP_ARM_VM_IPA_SIZE has. The PCI
 * window is then 512 GiB at 512 GiB. */
#define BOARD_IPA_BITS 40

/* The architecture's usual PPIs (BSA 3.8.1); KVM raises the virtual timer on
 * 27 and the physical one on 30. */
#define BOARD_PPI_TIMER_SECURE	  29
#define BOARD_PPI_TIMER_NONSECURE 30
#define BOARD_PPI_TIMER_VIRT	  27
#define BOARD_PPI_TIMER_HYP	  26
#define BOARD_PPI_PMU		  23

#define BOARD_SPI_PL011	      33
#define BOARD_SPI_PL031	      34
#define BOARD_SPI_PCI_INTX    35 /* to 38 */
#define BOARD_SPI_PL061	      39
#define BOARD_SPI_SP805	      40
#define BOARD_SPI_VIRTIO_MMIO 64  /* to 123 */
#define BOARD_GIC_IRQS	      128 /* SGIs, PPIs and these; a multiple of 32 */
/* On a GICv2 messages are SPIs, and these are theirs. */
#define BOARD_SPI_MSI  128
#define BOARD_MSI_SPIS 384

#define BOARD_POWER_KEY_PIN 3
#define BOARD_APB_CLOCK_HZ  24000000

/* Devices on the root bus; 0 stays free for a host bridge. */
#define BOARD_PCI_SLOT_FIRST  1	 /* what is built in */
#define BOARD_PCI_PORTS_FIRST 16 /* ports with slots, 8 to a device */
#define BOARD_PCI_PORTS_LAST  31

#endif
