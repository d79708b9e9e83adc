/*
 * virtio over MMIO, version 2 (modern) only: VIRTIO 1.2, 4.2.
 *
 * One region of registers, one wired interrupt that stays up while the
 * interrupt status has a bit the driver did not acknowledge. Notifications
 * reach the loop thread through one eventfd per queue: directly from the kernel
 * while a doorbell is registered (device running), else by a trapped write.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_MMIO_H
#define VMM_KVM_DEVICES_VIRTIO_MMIO_H

#include <uv.h>

#include "vmm-kvm/devices/guest_mem.h"
#include "vmm-kvm/devices/irq.h"
#include "vmm-kvm/devices/virtio.h"

#define VIRTIO_MMIO_SIZE KIB(4)

struct virtio_mmio;

/* All borrowed, and outliving the device, but for `device`. */
struct virtio_mmio_params {
	struct virtio_dev *device; /* consumed, also on failure */
	const struct guest_mem *mem;
	struct bus *bus;
	uint64_t base; /* of VIRTIO_MMIO_SIZE bytes on the bus */
	uv_loop_t *loop;
	struct irq_line irq;
	const struct doorbell_sink *doorbells; /* NULL: every kick traps */
};

/* Loop thread, lock not held, no vCPU running. */
int virtio_mmio_new(const struct virtio_mmio_params *params,
		    struct virtio_mmio **ret, struct error *e) must_check;
/*
 * Waits for I/O under way, then takes the region off the bus. Loop thread,
 * lock not held, no vCPU running. Memory goes once the loop has run again.
 */
struct virtio_mmio *virtio_mmio_free(struct virtio_mmio *v);
DEFINE_CLEANUP(virtio_mmio_free, struct virtio_mmio *)

/* For a snapshot: of the registers and the device (virtio_mmio_state.c), as
 * virtio_pci.h has it. Device lock held. */
void virtio_mmio_hold(struct virtio_mmio *v, bool held);
const char *virtio_mmio_no_snapshot(const struct virtio_mmio *v);
void virtio_mmio_save(const struct virtio_mmio *v, struct state_out *out);
int virtio_mmio_load(struct virtio_mmio *v, struct state_in *in,
		     struct error *e) must_check;

/* As after power-on. Device lock held. */
void virtio_mmio_reset(struct virtio_mmio *v);

#endif
