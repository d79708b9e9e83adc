/*
 * The registers of the MMIO transport: VIRTIO 1.2, 4.2.2. All are 32 bits wide
 * and answer to aligned accesses of that width only; the configuration space
 * behind them answers to any.
 */
#include "vmm-kvm/devices/virtio_mmio_internal.h"

enum {
	MAGIC = 0x000,
	VERSION = 0x004,
	DEVICE_ID = 0x008,
	VENDOR_ID = 0x00c,
	DEVICE_FEATURES = 0x010,
	DEVICE_FEATURES_SEL = 0x014,
	DRIVER_FEATURES = 0x020,
	DRIVER_FEATURES_SEL = 0x024,
	QUEUE_SEL = 0x030,
	QUEUE_NUM_MAX = 0x034,
	QUEUE_NUM = 0x038,
	QUEUE_READY = 0x044,
	QUEUE_NOTIFY = VIRTIO_MMIO_QUEUE_NOTIFY,
	INTERRUPT_STATUS = 0x060,
	INTERRUPT_ACK = 0x064,
	STATUS = 0x070,
	QUEUE_DESC = 0x080,
	QUEUE_DRIVER = 0x090,
	QUEUE_DEVICE = 0x0a0,
	SHM_LEN_LOW = 0x0b0,
	SHM_BASE_HIGH = 0x0bc,
	CONFIG_GENERATION = 0x0fc,
	CONFIG = 0x100,
};

#define MAGIC_VALUE 0x74726976 /* "virt" */
#define VENDOR	    0x1af4     /* as on PCI */

static struct virtqueue *selected(struct virtio_mmio *v)
{
	if (v->queue_select >= v->device->n_queues)
		return NULL;
	return &v->device->queues[v->queue_select];
}

static uint32_t device_features(const struct virtio_mmio *v)
{
	uint64_t features = v->device->features_offered;

	if (v->device_feature_select > 1)
		return 0;
	return (uint32_t)(v->device_feature_select ? features >> 32 : features);
}

static uint32_t reg_read(struct virtio_mmio *v, uint64_t offset)
{
	const struct virtio_dev *d = v->device;
	const struct virtqueue *q = selected(v);

	switch (offset) {
	case MAGIC:
		return MAGIC_VALUE;
	case VERSION:
		return 2;
	case DEVICE_ID:
		return d->ops->device_id;
	case VENDOR_ID:
		return VENDOR;
	case DEVICE_FEATURES:
		return device_features(v);
	case QUEUE_NUM_MAX:
		return q ? q->size_max : 0;
	case QUEUE_READY:
		return q && q->ready;
	case INTERRUPT_STATUS:
		return v->irq_status;
	case STATUS:
		return d->status;
	case CONFIG_GENERATION:
		return d->config_generation;
	default:
		/* 4.2.2.1: no shared memory region has a length of all ones. */
		return offset >= SHM_LEN_LOW && offset <= SHM_BASE_HIGH
			       ? UINT32_MAX
			       : 0;
	}
}

static uint64_t *ring_address(struct virtqueue *q, uint64_t offset)
{
	switch (offset & ~4ull) {
	case QUEUE_DESC:
		return &q->desc_gpa;
	case QUEUE_DRIVER:
		return &q->avail_gpa;
	case QUEUE_DEVICE:
		return &q->used_gpa;
	default:
		return NULL;
	}
}

static void queue_write(struct virtio_mmio *v, uint64_t offset, uint32_t value)
{
	struct virtqueue *q = selected(v);
	unsigned shift = offset & 4 ? 32 : 0;
	uint64_t *address;

	if (!q)
		return;
	if (offset == QUEUE_READY && value == 0)
		virtio_queue_disable(v->device, v->queue_select);
	/* The rings of a ready queue stay where they are (4.2.2.2). */
	if (q->ready)
		return;
	if (offset == QUEUE_NUM && value == 0) {
		/* No size: EDK2's driver for virtio-fs asks for none, and its
		 * transport then writes this and takes the queue as it is. */
	} else if (offset == QUEUE_NUM) {
		/* What does not fit is refused when the queue is enabled. */
		q->size = value <= UINT16_MAX ? (uint16_t)value : 0;
	} else if (offset == QUEUE_READY && value == 1) {
		virtio_queue_enable(v->device, v->queue_select);
	} else if ((address = ring_address(q, offset)) != NULL) {
		*address &= ~((uint64_t)UINT32_MAX << shift);
		*address |= (uint64_t)value << shift;
	}
}

static void status_write(struct virtio_mmio *v, uint8_t status)
{
	virtio_set_status(v->device, status);
	if (status == 0)
		virtio_mmio_regs_reset(v);
	virtio_mmio_sync_doorbells(v);
}

static void reg_write(struct virtio_mmio *v, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case DEVICE_FEATURES_SEL:
		v->device_feature_select = value;
		break;
	case DRIVER_FEATURES_SEL:
		v->driver_feature_select = value;
		break;
	case DRIVER_FEATURES:
		if (v->driver_feature_select <= 1)
			virtio_set_features(v->device, v->driver_feature_select,
					    value);
		break;
	case QUEUE_SEL:
		v->queue_select = value;
		break;
	case QUEUE_NOTIFY:
		if (value < v->n_kicks)
			virtio_mmio_kick(v, value);
		break;
	case INTERRUPT_ACK:
		virtio_mmio_irq(v, value, 0);
		break;
	case STATUS:
		status_write(v, (uint8_t)value);
		break;
	default:
		queue_write(v, offset, value);
		break;
	}
}

static uint64_t mmio_read(void *dev, uint64_t offset, unsigned size)
{
	struct virtio_mmio *v = dev;

	if (offset >= CONFIG)
		return virtio_config_read(v->device, offset - CONFIG, size);
	return size == 4 && offset % 4 == 0 ? reg_read(v, offset) : 0;
}

static void mmio_write(void *dev, uint64_t offset, unsigned size,
		       uint64_t value)
{
	struct virtio_mmio *v = dev;

	if (offset >= CONFIG)
		virtio_config_write(v->device, offset - CONFIG, size, value);
	else if (size == 4 && offset % 4 == 0)
		reg_write(v, offset, (uint32_t)value);
}

const struct mmio_ops virtio_mmio_ops = {
	.read = mmio_read,
	.write = mmio_write,
};

void virtio_mmio_regs_reset(struct virtio_mmio *v)
{
	v->device_feature_select = 0;
	v->driver_feature_select = 0;
	v->queue_select = 0;
	virtio_mmio_irq(v, UINT32_MAX, 0);
}
