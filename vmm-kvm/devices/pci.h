/*
 * Configuration space of one PCI function: read and write rules as byte masks,
 * base address registers, the capability list.
 *
 * A function is a `pci_dev` embedded in its device. Registers are bytes of
 * config[]; a guest write changes the bits wmask[] allows and clears those
 * w1cmask[] names. Base address registers need no code of their own for
 * sizing: their low bits are simply not writable (PCI Local Bus 3.0,
 * 6.2.5.1).
 *
 * Sources: PCI Local Bus Specification 3.0 chapter 6; PCI Express Base 4.0
 * 7.5 for the layout beyond.
 * Thread: every function with the device lock held, except before the guest
 * runs.
 */
#ifndef VMM_KVM_DEVICES_PCI_H
#define VMM_KVM_DEVICES_PCI_H

#include "lib/snapshot/state.h"
#include "vmm-kvm/devices/bus.h"

#define PCI_CONFIG_SIZE		  256
#define PCI_BARS		  6
#define PCI_DEVFN(slot, function) ((uint8_t)((slot) << 3 | (function)))

/* Registers of a type 0 header. */
enum {
	PCI_REG_VENDOR = 0x00,
	PCI_REG_DEVICE = 0x02,
	PCI_REG_COMMAND = 0x04,
	PCI_REG_STATUS = 0x06,
	PCI_REG_REVISION = 0x08,
	PCI_REG_CLASS = 0x09, /* 3 bytes: interface, subclass, base */
	PCI_REG_CACHE_LINE = 0x0c,
	PCI_REG_HEADER_TYPE = 0x0e,
	PCI_REG_BAR0 = 0x10,
	PCI_REG_SECONDARY_BUS = 0x19,	/* type 1 only */
	PCI_REG_SUBORDINATE_BUS = 0x1a, /* type 1 only */
	PCI_REG_SUBSYSTEM_VENDOR = 0x2c,
	PCI_REG_SUBSYSTEM = 0x2e,
	PCI_REG_CAPABILITIES = 0x34,
	PCI_REG_INTERRUPT_LINE = 0x3c,
	PCI_REG_INTERRUPT_PIN = 0x3d,
};

enum {
	PCI_COMMAND_MEMORY = 1 << 1,
	PCI_COMMAND_MASTER = 1 << 2,
	PCI_COMMAND_INTX_DISABLE = 1 << 10,
	PCI_STATUS_INTERRUPT = 1 << 3,
	PCI_STATUS_CAPABILITIES = 1 << 4,
	PCI_BAR_MEM64 = 0x4,
	PCI_HEADER_BRIDGE = 1,
};

enum {
	PCI_CAP_VENDOR = 0x09,
	PCI_CAP_EXPRESS = 0x10,
	PCI_CAP_MSIX = 0x11,
};

/* Device/port types of the PCI Express capability (PCIe Base 4.0, 7.5.3.2). */
enum pci_express_type {
	PCI_EXPRESS_ENDPOINT = 0,
	PCI_EXPRESS_ROOT_PORT = 4,
	PCI_EXPRESS_INTEGRATED = 9, /* root complex integrated endpoint */
};

/* Registers of the PCI Express capability. */
enum {
	PCI_EXPRESS_FLAGS = 0x02,
	PCI_EXPRESS_DEVICE_CAP = 0x04,
	PCI_EXPRESS_DEVICE_CONTROL = 0x08,
	PCI_EXPRESS_LINK_CAP = 0x0c,
	PCI_EXPRESS_LINK_CONTROL = 0x10,
	PCI_EXPRESS_LINK_STATUS = 0x12,
	PCI_EXPRESS_SLOT_CAP = 0x14,
	PCI_EXPRESS_SLOT_CONTROL = 0x18,
	PCI_EXPRESS_SLOT_STATUS = 0x1a,
	PCI_EXPRESS_ROOT_CONTROL = 0x1c,
	PCI_EXPRESS_LINK_CAP_2 = 0x2c,
	PCI_EXPRESS_LINK_CONTROL_2 = 0x30,
};

struct pci_host;
struct pci_bus;
struct pci_dev;

struct pci_dev_ops {
	/* Before config[] is read at [reg, reg+size): refresh it. Optional; has
	 * config_live, too. */
	void (*config_read)(struct pci_dev *d, unsigned reg, unsigned size);
	/* Whether config_read() has to be called now. */
	bool (*config_live)(const struct pci_dev *d);
	/* After a write changed config[]. Optional. */
	void (*config_written)(struct pci_dev *d, unsigned reg, unsigned size);
	/* Base address `bar` was moved, enabled or disabled. Optional. */
	void (*bar_moved)(struct pci_dev *d, unsigned bar);
	/* The machine is reset; config space has been already. Optional. */
	void (*reset)(struct pci_dev *d);
};

struct pci_dev {
	const char *name; /* borrowed; for diagnosis */
	const struct pci_dev_ops *ops;
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t wmask[PCI_CONFIG_SIZE], w1cmask[PCI_CONFIG_SIZE];
	uint8_t initial[PCI_CONFIG_SIZE]; /* config[] as it was when added */
	/* size_bytes 0: no such BAR. A 64-bit BAR leaves the next unused. */
	struct mmio_region bars[PCI_BARS];
	uint8_t cap_last, cap_free; /* last capability; first free byte */
	bool intx_asserted;	    /* what the device wants */
	bool intx_level;	    /* what the wire has, after masking */
	/* Set by pci_host_add(). */
	struct pci_host *host;
	struct pci_bus *parent;
	uint8_t devfn;
	struct pci_bus *secondary; /* bridges only, owned by the bridge */
	uint32_t *shown;	   /* the mirror's: its page there, or NULL */
};

struct pci_ids {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class_code; /* 0xBBSSII */
};

/* A zeroed pci_dev becomes a type 0 function with a capability list. */
void pci_dev_init(struct pci_dev *d, const char *name,
		  const struct pci_ids *ids, const struct pci_dev_ops *ops);

/* Little-endian access to config[]; `reg` inside it. */
uint16_t pci_get16(const uint8_t *bytes, unsigned reg);
uint32_t pci_get32(const uint8_t *bytes, unsigned reg);
void pci_put16(uint8_t *bytes, unsigned reg, uint16_t value);
void pci_put32(uint8_t *bytes, unsigned reg, uint32_t value);

/*
 * A 64-bit memory BAR at index `bar` (even) and bar+1: size is a power of two,
 * at least 16. Before pci_host_add().
 */
void pci_bar_init(struct pci_dev *d, unsigned bar, uint64_t size_bytes,
		  const struct mmio_ops *ops, void *dev);
/* True while the guest has the BAR decoded at bars[bar].base. */
bool pci_bar_enabled(const struct pci_dev *d, unsigned bar);

/*
 * Append a capability of `size` bytes (header included), dword aligned, all of
 * it read-only. Returns its offset, or 0 when there is no room: then nothing
 * changed.
 */
unsigned pci_cap_add(struct pci_dev *d, uint8_t id, unsigned size);
/* PCI Express capability, version 2. All but what is integrated has a link:
 * one lane of 2.5 GT/s, in training never. */
unsigned pci_cap_add_express(struct pci_dev *d, enum pci_express_type type);

/* What a function changed of its config[] outside of a guest's write is in
 * force; pci_intx_set() includes it. Also before pci_host_add(). */
void pci_config_changed(struct pci_dev *d);

/* Pin INTA: level as the device wants it. Only after pci_host_add(). */
void pci_intx_set(struct pci_dev *d, bool asserted);

/*
 * One access to configuration space of up to 4 bytes; beyond
 * PCI_CONFIG_SIZE reads are 0 (no extended capabilities).
 */
uint32_t pci_config_read(struct pci_dev *d, unsigned reg, unsigned size);
void pci_config_write(struct pci_dev *d, unsigned reg, unsigned size,
		      uint32_t value);

/*
 * For a snapshot. Of what is recorded only bits that can change are taken:
 * those a guest may write or clear. BARs and the pin follow. Without ops calls
 * but bar_moved; what else a function has depend on its registers it loads
 * itself, afterwards.
 */
void pci_dev_save(const struct pci_dev *d, struct state_out *out);
int pci_dev_load(struct pci_dev *d, struct state_in *in,
		 struct error *e) must_check;

/* Configuration space as it was when added: BARs off; then ops->reset. */
void pci_dev_reset(struct pci_dev *d);

#endif
