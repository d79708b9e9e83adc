/*
 * The common structure as memory (reg_page.h), once a driver has read nothing
 * but its selector and where to notify for a while. EDK2's does that for each
 * request: it reads the selector, writes it, reads the offset, writes the
 * selector back. Then reads are memory's, and a write of what the selector is
 * already is the kernel's (an eventfd nobody listens to); any other write, and
 * anything the device changes by itself, ends it.
 */
#include "vmm-kvm/devices/virtio_pci_internal.h"

/* What it takes to set up (three changes of what KVM has to know) and to end
 * again costs less than so many exits. */
#define READS_BEFORE 64

/* At the first of these, the selector would be a register that decides about
 * others: its writes may not come late any more. */
static void show(struct virtio_pci *v)
{
	const struct doorbell_sink *sink = v->params.doorbells;
	uint8_t regs[VIRTIO_PCI_COMMON_BYTES];
	uint64_t gpa = v->delayed_gpa - VIRTIO_PCI_QUEUE_AT;
	int fd = reg_page_deaf_fd(v->params.reg_page);

	virtio_pci_delay(v, 0);
	virtio_pci_common_image(v, regs);
	if (sink->add(sink->cookie, gpa + VIRTIO_PCI_QUEUE_AT, 2,
		      v->queue_select, fd) == 0) {
		if (reg_page_take(v->params.reg_page, &v->shown_user, gpa, regs,
				  sizeof(regs)) == 0) {
			v->shown_gpa = gpa;
			v->shown_select = v->queue_select;
			return;
		}
		sink->remove(sink->cookie, gpa + VIRTIO_PCI_QUEUE_AT, 2,
			     v->queue_select, fd);
	}
	virtio_pci_delay(v, gpa + VIRTIO_PCI_QUEUE_AT);
}

void virtio_pci_hide(struct virtio_pci *v)
{
	const struct doorbell_sink *sink = v->params.doorbells;
	uint64_t gpa = v->shown_gpa;

	v->quiet_reads = 0;
	if (!gpa)
		return;
	v->shown_gpa = 0;
	reg_page_give_back(v->params.reg_page, &v->shown_user);
	sink->remove(sink->cookie, gpa + VIRTIO_PCI_QUEUE_AT, 2,
		     v->shown_select, reg_page_deaf_fd(v->params.reg_page));
	virtio_pci_delay(v, gpa + VIRTIO_PCI_QUEUE_AT);
}

static void lost(struct reg_page_user *u)
{
	virtio_pci_hide(container_of(u, struct virtio_pci, shown_user));
}

void virtio_pci_shown_init(struct virtio_pci *v)
{
	v->shown_user.lost = lost;
}

void virtio_pci_quiet_read(struct virtio_pci *v)
{
	if (!v->params.reg_page || !v->delayed_gpa || !virtio_live(v->device))
		return;
	if (++v->quiet_reads == READS_BEFORE)
		show(v);
}
