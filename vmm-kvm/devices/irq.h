/*
 * How a device reaches the interrupt controller and how it hears of guest
 * notifications without a vCPU exit to user space, with no knowledge of KVM:
 * wired lines, message signalled interrupts through event descriptors, and
 * doorbells (ioeventfd).
 *
 * vmm-kvm implements these over KVM_IRQ_LINE, KVM_SET_GSI_ROUTING + KVM_IRQFD
 * and KVM_IOEVENTFD; unit tests implement them with plain variables.
 *
 * Thread: called with the device lock held.
 */
#ifndef VMM_KVM_DEVICES_IRQ_H
#define VMM_KVM_DEVICES_IRQ_H

#include <stdbool.h>

#include "lib/base/error.h"

/* A level-triggered wire. Zeroed means not connected. */
struct irq_line {
	void (*set)(void *cookie, uint32_t intid, bool level);
	void *cookie;
	uint32_t intid; /* SPI as the GIC counts: 32 and up */
};

static inline void irq_line_set(const struct irq_line *line, bool level)
{
	if (line->set)
		line->set(line->cookie, line->intid, level);
}

/* Where messages (MSI-X) go. */
struct msi_sink {
	/* Make a vector; *ret_fd is an eventfd owned by the sink which, when
	 * written, raises the vector. The vector starts masked. */
	int (*vector_new)(void *cookie, uint32_t *ret_vector, int *ret_fd);
	void (*vector_free)(void *cookie, uint32_t vector);
	/* (Re)program; device_id is the PCI requester id (bus<<8 | devfn). */
	int (*vector_set)(void *cookie, uint32_t vector, uint64_t address,
			  uint32_t data, uint32_t device_id);
	void (*vector_mask)(void *cookie, uint32_t vector);
	void *cookie;
};

/* Guest writes that become event descriptors. */
struct doorbell_sink {
	/* A write of `size` bytes (0: any) to gpa signals eventfd `fd`, and
	 * does not reach the bus any more. match < 0: any value. */
	int (*add)(void *cookie, uint64_t gpa, unsigned size, int64_t match,
		   int fd);
	void (*remove)(void *cookie, uint64_t gpa, unsigned size, int64_t match,
		       int fd);
	void *cookie;
};

#endif
