/*
 * One page of registers as memory, lent to one device at a time: what the guest
 * reads there it finds in a read-only memory slot, without an exit; its writes
 * arrive at the device as ever.
 *
 * For drivers that read the same registers again and again while nothing
 * changes. EDK2's is one: before each notification of a virtio queue it reads
 * and writes the selector, and reads where to notify.
 *
 * Thread: making and freeing with no vCPU running, all else with the device
 * lock held.
 */
#ifndef VMM_KVM_DEVICES_REG_PAGE_H
#define VMM_KVM_DEVICES_REG_PAGE_H

#include "lib/base/error.h"

#define REG_PAGE_BYTES KIB(4)

struct reg_page;

/* How the owner of the machine shows it. */
struct reg_page_sink {
	/* `page` is to be read at `gpa`, a multiple of REG_PAGE_BYTES. An
	 * address that cannot be had is an error, which changes nothing. */
	int (*show)(void *cookie, uint64_t gpa, void *page);
	void (*hide)(void *cookie, uint64_t gpa, void *page);
	void *cookie;
};

/* Who has it; embedded in a device. `lost` is told before another one has it,
 * and gives it back. */
struct reg_page_user {
	void (*lost)(struct reg_page_user *u);
};

/* -EOPNOTSUPP where the host's pages have another size; -ENOMEM. */
int reg_page_new(const struct reg_page_sink *sink, struct reg_page **ret,
		 struct error *e) must_check;
/* Nobody has it. NULL is fine. */
struct reg_page *reg_page_free(struct reg_page *p);

/* Show `size` bytes, and zeroes behind them, at `gpa`, until it is given back.
 * As struct reg_page_sink says. */
int reg_page_take(struct reg_page *p, struct reg_page_user *u, uint64_t gpa,
		  const void *regs, size_t size) must_check;
/* Once taken. */
void reg_page_give_back(struct reg_page *p, struct reg_page_user *u);

/* An eventfd that nobody listens to: for writes that change nothing. */
int reg_page_deaf_fd(const struct reg_page *p);

#endif
