#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm-kvm/kvm_coalesced.h"

void kvm_coalesced_zone(struct kvm_vm *vm, uint64_t gpa, uint64_t size, bool on)
{
	struct kvm_coalesced_mmio_zone zone = {
		.addr = gpa,
		.size = (uint32_t)size,
	};

	(void)ioctl(vm->fd,
		    on ? KVM_REGISTER_COALESCED_MMIO
		       : KVM_UNREGISTER_COALESCED_MMIO,
		    &zone);
}

struct kvm_coalesced kvm_coalesced_of(const struct kvm_vm *vm, void *run,
				      size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int at = ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);
	struct kvm_coalesced c = {NULL, 0};

	if (at <= 0 || ((size_t)at + 1) * page > size)
		return c;
	c.ring = (void *)((uint8_t *)run + (size_t)at * page);
	c.n = (unsigned)((page - sizeof(*c.ring)) /
			 sizeof(c.ring->coalesced_mmio[0]));
	return c;
}

/* `first` moves when a write has been made, so that whoever finds the ring
 * empty comes after all of it. The kernel publishes `last` likewise. */
static unsigned drain(const struct kvm_coalesced *c, struct bus *bus,
		      unsigned *unanswered)
{
	struct kvm_coalesced_mmio_ring *ring = c->ring;
	uint32_t at = ring->first;
	unsigned n = 0;

	while (at != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
		const struct kvm_coalesced_mmio *w = &ring->coalesced_mmio[at];
		unsigned size = MIN(w->len, (uint32_t)sizeof(w->data));
		uint64_t value = 0;

		memcpy(&value, w->data, size);
		*unanswered += !bus_write(bus, w->phys_addr, size, value);
		n++;
		at = (at + 1) % c->n;
		__atomic_store_n(&ring->first, at, __ATOMIC_RELEASE);
	}
	return n;
}

unsigned kvm_coalesced_drain(const struct kvm_coalesced *c, struct bus *bus,
			     unsigned *unanswered)
{
	unsigned n;

	if (!c->ring ||
	    __atomic_load_n(&c->ring->first, __ATOMIC_ACQUIRE) ==
		    __atomic_load_n(&c->ring->last, __ATOMIC_ACQUIRE))
		return 0;
	bus_lock(bus);
	n = drain(c, bus, unanswered);
	bus_unlock(bus);
	return n;
}
