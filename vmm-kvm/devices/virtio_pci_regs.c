/*
 * The registers of the PCI transport: VIRTIO 1.2, 4.1.4.3 (common), 4.1.4.4
 * (notification), 4.1.4.5 (ISR), 4.1.4.6 (device).
 */
#include "vmm-kvm/devices/virtio_pci_internal.h"

/* struct virtio_pci_common_cfg, 4.1.4.3. */
enum {
	COMMON_DEVICE_FEATURE_SELECT = 0x00,
	COMMON_DEVICE_FEATURE = 0x04,
	COMMON_DRIVER_FEATURE_SELECT = 0x08,
	COMMON_DRIVER_FEATURE = 0x0c,
	COMMON_CONFIG_VECTOR = 0x10,
	COMMON_NUM_QUEUES = 0x12,
	COMMON_STATUS = 0x14,
	COMMON_GENERATION = 0x15,
	COMMON_QUEUE_SELECT = 0x16,
	COMMON_QUEUE_SIZE = 0x18,
	COMMON_QUEUE_VECTOR = 0x1a,
	COMMON_QUEUE_ENABLE = 0x1c,
	COMMON_QUEUE_NOTIFY_OFF = 0x1e,
	COMMON_QUEUE_DESC = 0x20,
	COMMON_QUEUE_DRIVER = 0x28,
	COMMON_QUEUE_DEVICE = 0x30,
};

/* Width of the register that begins at an offset; 0 where none does. */
static const uint8_t widths[VIRTIO_PCI_COMMON_BYTES] = {
	[COMMON_DEVICE_FEATURE_SELECT] = 4,
	[COMMON_DEVICE_FEATURE] = 4,
	[COMMON_DRIVER_FEATURE_SELECT] = 4,
	[COMMON_DRIVER_FEATURE] = 4,
	[COMMON_CONFIG_VECTOR] = 2,
	[COMMON_NUM_QUEUES] = 2,
	[COMMON_STATUS] = 1,
	[COMMON_GENERATION] = 1,
	[COMMON_QUEUE_SELECT] = 2,
	[COMMON_QUEUE_SIZE] = 2,
	[COMMON_QUEUE_VECTOR] = 2,
	[COMMON_QUEUE_ENABLE] = 2,
	[COMMON_QUEUE_NOTIFY_OFF] = 2,
	/* 64 bits, as two halves (4.1.3.1). */
	[COMMON_QUEUE_DESC] = 4,
	[COMMON_QUEUE_DESC + 4] = 4,
	[COMMON_QUEUE_DRIVER] = 4,
	[COMMON_QUEUE_DRIVER + 4] = 4,
	[COMMON_QUEUE_DEVICE] = 4,
	[COMMON_QUEUE_DEVICE + 4] = 4,
};

static struct virtqueue *selected(struct virtio_pci *v)
{
	if (v->queue_select >= v->device->n_queues)
		return NULL;
	return &v->device->queues[v->queue_select];
}

static uint64_t *ring_address(struct virtqueue *q, uint64_t offset)
{
	switch (offset & ~7ull) {
	case COMMON_QUEUE_DESC:
		return &q->desc_gpa;
	case COMMON_QUEUE_DRIVER:
		return &q->avail_gpa;
	default:
		return &q->used_gpa;
	}
}

/* A queue that does not exist has size 0 and reads as 0 all over. */
static uint32_t queue_read(struct virtio_pci *v, uint64_t offset)
{
	struct virtqueue *q = selected(v);
	uint64_t address;

	if (!q)
		return 0;
	switch (offset) {
	case COMMON_QUEUE_SIZE:
		return q->size;
	case COMMON_QUEUE_VECTOR:
		return v->queue_vectors[v->queue_select];
	case COMMON_QUEUE_ENABLE:
		return q->ready;
	case COMMON_QUEUE_NOTIFY_OFF:
		return v->queue_select;
	default:
		address = *ring_address(q, offset);
		return (uint32_t)(offset & 4 ? address >> 32 : address);
	}
}

static uint32_t feature_word(const struct virtio_pci *v, uint64_t features,
			     uint32_t select)
{
	if (select > 1)
		return 0;
	return (uint32_t)(select ? features >> 32 : features);
}

static uint32_t common_read(struct virtio_pci *v, uint64_t offset)
{
	const struct virtio_dev *d = v->device;

	switch (offset) {
	case COMMON_DEVICE_FEATURE_SELECT:
		return v->device_feature_select;
	case COMMON_DEVICE_FEATURE:
		return feature_word(v, d->features_offered,
				    v->device_feature_select);
	case COMMON_DRIVER_FEATURE_SELECT:
		return v->driver_feature_select;
	case COMMON_DRIVER_FEATURE:
		return feature_word(v, d->features, v->driver_feature_select);
	case COMMON_CONFIG_VECTOR:
		return v->config_vector;
	case COMMON_NUM_QUEUES:
		return d->n_queues;
	case COMMON_STATUS:
		return d->status;
	case COMMON_GENERATION:
		return d->config_generation;
	case COMMON_QUEUE_SELECT:
		return v->queue_select;
	default:
		return queue_read(v, offset);
	}
}

void virtio_pci_common_image(struct virtio_pci *v,
			     uint8_t ret[VIRTIO_PCI_COMMON_BYTES])
{
	for (unsigned at = 0; at < VIRTIO_PCI_COMMON_BYTES; at++) {
		uint32_t value = widths[at] ? common_read(v, at) : 0;

		if (widths[at])
			memcpy(&ret[at], &value, widths[at]);
	}
}

/* 4.1.5.1.2: a vector that cannot be had reads back as NO_VECTOR. */
static uint16_t checked_vector(const struct virtio_pci *v, uint32_t vector)
{
	return vector < v->msix.n_vectors ? (uint16_t)vector
					  : VIRTIO_MSI_NO_VECTOR;
}

static void queue_write(struct virtio_pci *v, uint64_t offset, uint32_t value)
{
	struct virtqueue *q = selected(v);
	uint64_t *address;
	unsigned shift = offset & 4 ? 32 : 0;

	if (!q)
		return;
	if (offset == COMMON_QUEUE_VECTOR) {
		v->queue_vectors[v->queue_select] = checked_vector(v, value);
		virtio_call_changed(v->device);
		return;
	}
	/* The rings of an enabled queue stay where they are (4.1.4.3.2). */
	if (q->ready)
		return;
	switch (offset) {
	case COMMON_QUEUE_SIZE:
		q->size = (uint16_t)value;
		break;
	case COMMON_QUEUE_ENABLE:
		if (value == 1)
			virtio_queue_enable(v->device, v->queue_select);
		break;
	case COMMON_QUEUE_NOTIFY_OFF:
		break;
	default:
		address = ring_address(q, offset);
		*address &= ~((uint64_t)UINT32_MAX << shift);
		*address |= (uint64_t)value << shift;
		break;
	}
}

static void status_write(struct virtio_pci *v, uint8_t status)
{
	virtio_set_status(v->device, status);
	if (status == 0)
		virtio_pci_regs_reset(v);
	virtio_pci_sync_doorbells(v);
	virtio_pci_status_changed(v);
}

static void common_write(struct virtio_pci *v, uint64_t offset, uint32_t value)
{
	if (offset != COMMON_QUEUE_SELECT || value != v->queue_select)
		virtio_pci_hide(v);
	switch (offset) {
	case COMMON_DEVICE_FEATURE_SELECT:
		v->device_feature_select = value;
		break;
	case COMMON_DRIVER_FEATURE_SELECT:
		v->driver_feature_select = value;
		break;
	case COMMON_DRIVER_FEATURE:
		if (v->driver_feature_select <= 1)
			virtio_set_features(v->device, v->driver_feature_select,
					    value);
		break;
	case COMMON_CONFIG_VECTOR:
		v->config_vector = checked_vector(v, value);
		break;
	case COMMON_STATUS:
		status_write(v, (uint8_t)value);
		break;
	case COMMON_QUEUE_SELECT:
		v->queue_select = (uint16_t)value;
		break;
	case COMMON_DEVICE_FEATURE:
	case COMMON_NUM_QUEUES:
	case COMMON_GENERATION:
		break;
	default:
		queue_write(v, offset, value);
		break;
	}
}

/* Registers answer to accesses of their own width (4.1.3.1). */
static bool is_register(uint64_t offset, unsigned size)
{
	return offset < VIRTIO_PCI_COMMON_BYTES && widths[offset] == size;
}

static uint64_t isr_read(struct virtio_pci *v)
{
	uint8_t isr = v->isr;

	v->isr = 0;
	pci_intx_set(&v->pci, false);
	return isr;
}

static uint64_t bar_read(void *dev, uint64_t offset, unsigned size)
{
	struct virtio_pci *v = dev;
	uint64_t at = offset % VIRTIO_PCI_STRUCTURE_BYTES;

	switch (offset - at) {
	case VIRTIO_PCI_COMMON_AT:
		if (size == 8)
			return bar_read(v, offset, 4) |
			       bar_read(v, offset + 4, 4) << 32;
		if (at == COMMON_QUEUE_SELECT || at == COMMON_QUEUE_NOTIFY_OFF)
			virtio_pci_quiet_read(v);
		return is_register(at, size) ? common_read(v, at) : 0;
	case VIRTIO_PCI_ISR_AT:
		return at == 0 ? isr_read(v) : 0;
	case VIRTIO_PCI_DEVICE_AT:
		return virtio_config_read(v->device, at, size);
	default:
		return 0;
	}
}

static void bar_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct virtio_pci *v = dev;
	uint64_t at = offset % VIRTIO_PCI_STRUCTURE_BYTES;

	switch (offset - at) {
	case VIRTIO_PCI_COMMON_AT:
		if (size == 8) {
			bar_write(v, offset, 4, (uint32_t)value);
			bar_write(v, offset + 4, 4, value >> 32);
		} else if (is_register(at, size)) {
			common_write(v, at, (uint32_t)value);
		}
		break;
	case VIRTIO_PCI_DEVICE_AT:
		virtio_config_write(v->device, at, size, value);
		break;
	case VIRTIO_PCI_NOTIFY_AT:
		if (at % VIRTIO_PCI_NOTIFY_STRIDE == 0 &&
		    at / VIRTIO_PCI_NOTIFY_STRIDE < v->n_kicks)
			virtio_pci_kick(v, (unsigned)at /
						   VIRTIO_PCI_NOTIFY_STRIDE);
		break;
	default:
		break;
	}
}

const struct mmio_ops virtio_pci_bar_ops = {
	.read = bar_read,
	.write = bar_write,
};

void virtio_pci_regs_reset(struct virtio_pci *v)
{
	v->device_feature_select = 0;
	v->driver_feature_select = 0;
	v->queue_select = 0;
	v->config_vector = VIRTIO_MSI_NO_VECTOR;
	for (size_t i = 0; i < ARRAY_SIZE(v->queue_vectors); i++)
		v->queue_vectors[i] = VIRTIO_MSI_NO_VECTOR;
	v->isr = 0;
	pci_intx_set(&v->pci, false);
}
