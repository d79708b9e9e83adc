/*
 * Guest physical memory as the host sees it. This is the only way from a guest
 * physical address to a host pointer, and it always takes a length, so no
 * device can be talked into touching what is not RAM.
 *
 * Invariant: regions do not overlap and do not wrap; the table does not change
 * while the guest runs.
 * Thread: lookups from any thread; guest_mem_add() before the first vCPU runs.
 */
#ifndef VMM_KVM_DEVICES_GUEST_MEM_H
#define VMM_KVM_DEVICES_GUEST_MEM_H

#include "lib/base/error.h"

#define GUEST_MEM_REGIONS_MAX 4

struct guest_mem_region {
	uint64_t gpa, size_bytes;
	uint8_t *hva;
	/* Its file and where in it, borrowed; for those who share it. -1: it
	 * has none. */
	int fd;
	uint64_t fd_offset;
};

struct guest_mem {
	struct guest_mem_region regions[GUEST_MEM_REGIONS_MAX];
	size_t count;
};

/* `hva` is borrowed. -EINVAL on overlap or wrap, -ENOSPC when full. */
int guest_mem_add(struct guest_mem *m, uint64_t gpa, uint64_t size_bytes,
		  void *hva) must_check;
/* The region at `gpa`, which was added, is a shared mapping of that file. */
void guest_mem_set_file(struct guest_mem *m, uint64_t gpa, int fd,
			uint64_t offset);

/* The host address of [gpa, gpa+size), or NULL unless all of it is RAM of one
 * region. A size of 0 gives NULL. */
void *guest_mem_ptr(const struct guest_mem *m, uint64_t gpa, uint64_t size);

/*
 * The guest needs what is in [gpa, gpa+size) no more: it reads as zero from now
 * on, and costs the host nothing until it is used again. Only whole pages of
 * the host are given back, and only RAM. Returns how many bytes were. The
 * second form takes what guest_mem_ptr() gave.
 */
uint64_t guest_mem_discard(const struct guest_mem *m, uint64_t gpa,
			   uint64_t size);
uint64_t guest_mem_discard_host(const struct guest_mem *m, void *hva,
				uint64_t size);

/* Copies; -EFAULT when the range is not RAM, nothing copied then. */
int guest_mem_read(const struct guest_mem *m, uint64_t gpa, void *out,
		   size_t size) must_check;
int guest_mem_write(const struct guest_mem *m, uint64_t gpa, const void *in,
		    size_t size) must_check;

/*
 * Have the guest see `size` bytes that were stored at `at`, in memory it has
 * mapped as a device (flash, configuration space): its reads then bypass the
 * caches of an AArch64 host that lacks FEAT_S2FWB, so this cleans them to the
 * point of coherency. Elsewhere memory is coherent for everyone.
 */
void guest_mem_publish(const void *at, uint64_t size);

#endif
