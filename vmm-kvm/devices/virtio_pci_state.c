/*
 * The PCI transport in a snapshot: configuration space, registers, the device
 * behind them, and last the vectors, by which it can be heard again.
 */
#include "vmm-kvm/devices/virtio_pci_internal.h"

void virtio_pci_hold(struct virtio_pci *v, bool held)
{
	virtio_hold(v->device, held);
	if (!held)
		virtio_pci_sync_doorbells(v);
}

const char *virtio_pci_no_snapshot(const struct virtio_pci *v)
{
	return virtio_no_snapshot(v->device);
}

static void save_regs(const struct virtio_pci *v, struct state_out *out)
{
	size_t began = state_begin(out, "virtio-pci", 1);

	state_put_u32(out, v->device_feature_select);
	state_put_u32(out, v->driver_feature_select);
	state_put_u16(out, v->queue_select);
	state_put_u16(out, v->config_vector);
	for (unsigned i = 0; i < v->device->n_queues; i++)
		state_put_u16(out, v->queue_vectors[i]);
	state_put_u8(out, v->isr);
	state_end(out, began);
}

static int load_regs(struct virtio_pci *v, struct state_in *in, struct error *e)
{
	struct state_in r;
	int err = state_open(in, "virtio-pci", 1, &r, e);

	if (err)
		return err;
	v->device_feature_select = state_get_u32(&r);
	v->driver_feature_select = state_get_u32(&r);
	v->queue_select = state_get_u16(&r);
	v->config_vector = state_get_u16(&r);
	/* A vector that does not exist is never raised (msix_notify()). */
	for (unsigned i = 0; i < v->device->n_queues; i++)
		v->queue_vectors[i] = state_get_u16(&r);
	v->isr = state_get_u8(&r);
	return state_close(&r, e);
}

void virtio_pci_save(const struct virtio_pci *v, struct state_out *out)
{
	pci_dev_save(&v->pci, out);
	save_regs(v, out);
	virtio_save(v->device, out);
	msix_save(&v->msix, out);
}

int virtio_pci_load(struct virtio_pci *v, struct state_in *in, struct error *e)
{
	int err = pci_dev_load(&v->pci, in, e);

	if (!err)
		err = load_regs(v, in, e);
	if (!err)
		err = virtio_load(v->device, in, e);
	return err ? err : msix_load(&v->msix, in, e);
}
