/*
 * What is memory to the guest: RAM, the firmware's code and its variables; and
 * how the guest's address space is shared between RAM and PCI.
 *
 * Thread: the loop thread.
 */
#ifndef VMM_KVM_BOARD_MEMORY_H
#define VMM_KVM_BOARD_MEMORY_H

#include <stdbool.h>

#include "lib/base/error.h"

/* RAM below, PCI's high window in the upper half of all addresses. */
struct board_space {
	unsigned ipa_bits;
	uint64_t ram_size;
	uint64_t mmio64_base, mmio64_size;
};

/* The most RAM that addresses of that width have room for. */
uint64_t board_space_ram_max(unsigned ipa_bits);

/* `ipa_bits_max` is the host's limit. -EINVAL names the field and the limit. */
int board_space_plan(uint64_t ram_size, unsigned ipa_bits_max,
		     struct board_space *ret, struct error *e) must_check;

enum board_bank {
	BOARD_BANK_RAM,
	BOARD_BANK_CODE,
	BOARD_BANK_VARS,
	BOARD_BANK_PVTIME, /* KVM's records of stolen time */
	BOARD_BANK_CONFIG, /* PCI configuration space, see pci_mirror.h */
	BOARD_BANK_COUNT
};

/* One stretch of memory; owns its mapping of [hva, hva + size_bytes), unless it
 * is a device's. */
struct board_bank_memory {
	const char *name;
	uint64_t gpa, size_bytes;
	void *hva;
	bool readonly; /* to the guest: its writes go to a device */
	bool device;   /* a device makes it; it is no state of the machine */
	int fd;	       /* its memfd, when it is shared; else -1 */
};

struct board_memory {
	struct board_bank_memory banks[BOARD_BANK_COUNT];
	int backing;
};

struct board_memory_params {
	uint64_t ram_size;
	int backing; /* enum vm_memory_backing */
	bool pvtime;
	int firmware_fd, nvram_fd;
	uint64_t nvram_size;
};

/*
 * Both descriptors are borrowed and may be closed afterwards. The firmware is
 * mapped privately and read-only, so that machines share the page cache; the
 * variables shared. Without a firmware (-1) those two banks are empty: their
 * hva is NULL. Sizes must be multiples of the host's page. `m` is zeroed.
 */
int board_memory_init(struct board_memory *m,
		      const struct board_memory_params *params,
		      struct error *e) must_check;
/* A zeroed or half-made one is fine. */
void board_memory_done(struct board_memory *m);

/* Private zeroed memory instead of the firmware's file, at the same place. */
int board_memory_own_code(struct board_memory *m, struct error *e) must_check;

/* RAM reads as zero again and costs nothing. */
void board_memory_discard_ram(struct board_memory *m);

#endif
