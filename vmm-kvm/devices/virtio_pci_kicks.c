/*
 * The ways of a function's notifications: an eventfd per queue, which KVM
 * signals by itself while a driver runs, and the loop thread that waits there.
 */
#include <sys/eventfd.h>

#include "lib/base/fd.h"
#include "vmm-kvm/devices/virtio_pci_internal.h"

void virtio_pci_kick(struct virtio_pci *v, unsigned index)
{
	eventfd_write(v->kicks[index].fd, 1);
}

static void on_kick(void *cookie)
{
	struct virtio_pci_kick *k = cookie;

	virtio_enter(k->v->device);
	virtio_kick(k->v->device, k->index);
	virtio_leave(k->v->device);
}

void virtio_pci_kick_watch(void *transport, unsigned index, bool watch)
{
	struct virtio_pci *v = transport;

	loop_event_watch(v->kicks[index].heard, watch);
}

static void doorbell_remove(struct virtio_pci *v, struct virtio_pci_kick *k)
{
	const struct doorbell_sink *sink = v->params.doorbells;

	if (k->doorbell)
		sink->remove(sink->cookie, k->doorbell_gpa, 2, -1, k->fd);
	k->doorbell = false;
}

/* The address that is notified without a trap now; 0 for none. */
static uint64_t notify_base(const struct virtio_pci *v)
{
	if (!v->params.doorbells || !virtio_live(v->device) ||
	    !pci_bar_enabled(&v->pci, VIRTIO_PCI_REGS_BAR))
		return 0;
	return v->pci.bars[VIRTIO_PCI_REGS_BAR].base + VIRTIO_PCI_NOTIFY_AT;
}

void virtio_pci_delay(struct virtio_pci *v, uint64_t gpa)
{
	if (gpa == v->delayed_gpa)
		return;
	if (v->delayed_gpa)
		bus_delay_set(v->params.bus, v->delayed_gpa,
			      VIRTIO_PCI_QUEUE_BYTES, false);
	if (gpa)
		bus_delay_set(v->params.bus, gpa, VIRTIO_PCI_QUEUE_BYTES, true);
	v->delayed_gpa = gpa;
}

void virtio_pci_sync_doorbells(struct virtio_pci *v)
{
	const struct doorbell_sink *sink = v->params.doorbells;
	uint64_t base = notify_base(v);

	virtio_pci_hide(v);
	virtio_pci_delay(v, base ? base - VIRTIO_PCI_NOTIFY_AT +
					    VIRTIO_PCI_QUEUE_AT
				 : 0);
	for (unsigned i = 0; i < v->n_kicks; i++) {
		struct virtio_pci_kick *k = &v->kicks[i];
		uint64_t gpa = base + i * VIRTIO_PCI_NOTIFY_STRIDE;

		if (base && k->doorbell && k->doorbell_gpa == gpa)
			continue;
		doorbell_remove(v, k);
		/* One that is refused traps instead. */
		if (base && sink->add(sink->cookie, gpa, 2, -1, k->fd) == 0) {
			k->doorbell = true;
			k->doorbell_gpa = gpa;
		}
	}
}

int virtio_pci_kicks_init(struct virtio_pci *v, struct error *e)
{
	for (; v->n_kicks < v->device->n_queues; v->n_kicks++) {
		struct virtio_pci_kick *k = &v->kicks[v->n_kicks];
		int r;

		k->v = v;
		k->index = v->n_kicks;
		k->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (k->fd < 0)
			return error_set(e, -errno, "no eventfd for %s: %s",
					 v->pci.name, strerror(errno));
		r = loop_event_new(v->params.loop, k->fd, on_kick, k,
				   &k->heard);
		if (r < 0) {
			k->fd = fd_close(k->fd);
			return error_set(e, r, "cannot poll for %s: %s",
					 v->pci.name, strerror(-r));
		}
		loop_event_watch(k->heard, true);
	}
	return 0;
}

void virtio_pci_kicks_close(struct virtio_pci *v)
{
	virtio_pci_hide(v);
	virtio_pci_delay(v, 0);
	for (unsigned i = 0; i < v->n_kicks; i++) {
		struct virtio_pci_kick *k = &v->kicks[i];

		doorbell_remove(v, k);
		k->heard = loop_event_free(k->heard);
		k->fd = fd_close(k->fd);
	}
}
