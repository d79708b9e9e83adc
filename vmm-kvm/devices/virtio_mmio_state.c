/* The MMIO transport in a snapshot. */
#include "vmm-kvm/devices/virtio_mmio_internal.h"

void virtio_mmio_hold(struct virtio_mmio *v, bool held)
{
	virtio_hold(v->device, held);
	if (!held)
		virtio_mmio_sync_doorbells(v);
}

const char *virtio_mmio_no_snapshot(const struct virtio_mmio *v)
{
	return virtio_no_snapshot(v->device);
}

void virtio_mmio_save(const struct virtio_mmio *v, struct state_out *out)
{
	size_t began = state_begin(out, "virtio-mmio", 1);

	state_put_u32(out, v->device_feature_select);
	state_put_u32(out, v->driver_feature_select);
	state_put_u32(out, v->queue_select);
	state_put_u32(out, v->irq_status);
	state_end(out, began);
	virtio_save(v->device, out);
}

int virtio_mmio_load(struct virtio_mmio *v, struct state_in *in,
		     struct error *e)
{
	uint32_t irq_status;
	struct state_in r;
	int err = state_open(in, "virtio-mmio", 1, &r, e);

	if (err)
		return err;
	v->device_feature_select = state_get_u32(&r);
	v->driver_feature_select = state_get_u32(&r);
	v->queue_select = state_get_u32(&r);
	irq_status = state_get_u32(&r);
	err = state_close(&r, e);
	if (err)
		return err;
	virtio_mmio_irq(v, UINT32_MAX, irq_status);
	return virtio_load(v->device, in, e);
}
