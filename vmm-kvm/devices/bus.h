/*
 * The memory bus: guest physical ranges to device registers. A device sees an
 * offset into its own region, a size of 1, 2, 4 or 8 bytes, and nothing else.
 *
 * Locks: the two doors into a device are a bus access (a vCPU thread) and a
 * host completion (the loop thread). Both take the device lock, a plain mutex
 * that belongs to the bus: every function here takes it itself; a completion
 * or a loop callback holds bus_lock() around its use of a device. Device code
 * never locks and is always called with the lock held. The mutex is recursive,
 * so that adding, removing and moving regions is right with the lock held
 * and without.
 * Handlers never edit the bus, except that a PCI BAR moves through
 * bus_region_move(), which is safe in a handler.
 */
#ifndef VMM_KVM_DEVICES_BUS_H
#define VMM_KVM_DEVICES_BUS_H

#include <stdbool.h>

#include "lib/base/error.h"

struct mmio_ops {
	/* `size` is 1, 2, 4 or 8; offset+size lies inside the region, and
	 * need not be aligned. What no register answers reads as 0. */
	uint64_t (*read)(void *dev, uint64_t offset, unsigned size);
	void (*write)(void *dev, uint64_t offset, unsigned size,
		      uint64_t value);
};

struct mmio_region {
	const char *name; /* borrowed; accesses are counted by it */
	uint64_t base, size_bytes;
	const struct mmio_ops *ops;
	void *dev;
	bool enabled;
	unsigned tally; /* the bus's own: where its accesses are counted */
};

/* Accesses to all regions of one name, also to those that are gone. */
struct bus_tally {
	char name[24];
	uint64_t reads, writes;
};
#define BUS_TALLIES_MAX 64

struct bus;

int bus_new(struct bus **ret) must_check;
/* Regions are the callers' own and must outlive the bus or be removed. */
struct bus *bus_free(struct bus *b);
DEFINE_CLEANUP(bus_free, struct bus *)

/* `r` is borrowed until removed. -EEXIST when it overlaps an enabled region,
 * -EINVAL when it wraps. */
int bus_add(struct bus *b, struct mmio_region *r) must_check;
void bus_remove(struct bus *b, struct mmio_region *r);
/* Enable, disable or move a region that was added. A region moved over
 * another enabled one is shadowed by the one added first: a guest may program
 * any BAR value and only hurts itself. */
void bus_region_move(struct bus *b, struct mmio_region *r, uint64_t base,
		     bool enabled);

/* false when nothing answered (read gives all ones). Takes the lock. */
bool bus_read(struct bus *b, uint64_t addr, unsigned size, uint64_t *ret);
bool bus_write(struct bus *b, uint64_t addr, unsigned size, uint64_t value);

/* Copies what was counted, in the order the names came, into `ret`, which has
 * room for BUS_TALLIES_MAX; returns how many. Takes the lock. */
size_t bus_tallies(struct bus *b, struct bus_tally *ret);

/*
 * While a fence is up, no vCPU that made an access goes on: its access is not
 * over yet for the guest. For what has to wait for a host end, which a handler
 * cannot do itself. Called from handlers and completions; several may be up.
 */
struct bus_fence {
	void (*set)(void *cookie, bool up); /* any thread */
	void *cookie;
};
/* Before the guest runs. Without one, bus_fence_set() does nothing. */
void bus_use_fence(struct bus *b, const struct bus_fence *fence);
void bus_fence_set(struct bus *b, bool up);

/*
 * Writes inside [addr, addr+size) may be kept back: they arrive in order before
 * any access that is not, read or write, from whichever vCPU. For registers
 * that change nothing but what other accesses do. Called with the lock held;
 * each range is set once, and unset as it was set.
 */
struct bus_delay {
	void (*set)(void *cookie, uint64_t addr, uint64_t size, bool on);
	void *cookie;
};
/* Before the guest runs. Without one, bus_delay_set() does nothing. */
void bus_use_delay(struct bus *b, const struct bus_delay *delay);
void bus_delay_set(struct bus *b, uint64_t addr, uint64_t size, bool on);

void bus_lock(struct bus *b);
void bus_unlock(struct bus *b);

#endif
