#include <assert.h>

#include "vmm-kvm/devices/virtio.h"

#define COMMON_FEATURES \
	(VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

void virtio_dev_init(struct virtio_dev *d, const struct virtio_dev_ops *ops,
		     uint64_t features, const void *config, size_t config_size,
		     unsigned n_queues, uint16_t queue_size)
{
	assert(n_queues <= VIRTIO_QUEUES_MAX &&
	       queue_size <= VIRTQUEUE_SIZE_MAX);
	*d = (struct virtio_dev){
		.ops = ops,
		.features_offered = features | COMMON_FEATURES,
		.config = config,
		.config_size = config_size,
		.n_queues = n_queues,
	};
	for (unsigned i = 0; i < n_queues; i++)
		virtqueue_init(&d->queues[i], NULL, queue_size);
}

void virtio_offer_packed(struct virtio_dev *d)
{
	if (!d->foreign_rings)
		d->features_offered |= VIRTIO_F_RING_PACKED;
}

void virtio_attach(struct virtio_dev *d, const struct virtio_transport_ops *ops,
		   void *transport, const struct guest_mem *mem,
		   struct bus *bus)
{
	d->transport_ops = ops;
	d->transport = transport;
	d->bus = bus;
	for (unsigned i = 0; i < d->n_queues; i++)
		d->queues[i].mem = mem;
}

struct virtio_dev *virtio_dev_free(struct virtio_dev *d)
{
	if (d)
		d->ops->free(d);
	return NULL;
}

/* A device that no transport took has no lock, and no second door. */
void virtio_enter(struct virtio_dev *d)
{
	if (d->bus)
		bus_lock(d->bus);
}

void virtio_leave(struct virtio_dev *d)
{
	if (d->bus)
		bus_unlock(d->bus);
}

bool virtio_live(const struct virtio_dev *d)
{
	return !d->held &&
	       (d->status &
		(VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET |
		 VIRTIO_STATUS_FAILED)) == VIRTIO_STATUS_DRIVER_OK;
}

bool virtio_pop(struct virtio_dev *d, unsigned index, struct virtq_chain *ret)
{
	int r;

	if (!virtio_live(d) || !d->queues[index].ready)
		return false;
	r = virtqueue_pop(&d->queues[index], ret);
	if (r < 0)
		virtio_fail(d);
	return r > 0;
}

bool virtio_again(struct virtio_dev *d, unsigned index, uint16_t head,
		  struct virtq_chain *ret)
{
	if (!virtio_live(d) || !d->queues[index].ready)
		return false;
	if (virtqueue_again(&d->queues[index], head, ret) == 0)
		return true;
	virtio_fail(d);
	return false;
}

void virtio_push(struct virtio_dev *d, unsigned index, uint16_t head,
		 uint32_t written)
{
	if (virtio_live(d))
		virtqueue_push(&d->queues[index], head, written);
}

void virtio_notify(struct virtio_dev *d, unsigned index)
{
	if (virtio_live(d) && virtqueue_should_notify(&d->queues[index]))
		d->transport_ops->notify_queue(d->transport, index);
}

void virtio_kick_later(struct virtio_dev *d, unsigned index)
{
	if (virtio_live(d))
		d->transport_ops->kick_later(d->transport, index);
}

void virtio_fail(struct virtio_dev *d)
{
	if (d->status & VIRTIO_STATUS_NEEDS_RESET)
		return;
	d->status |= VIRTIO_STATUS_NEEDS_RESET;
	if (d->status & VIRTIO_STATUS_DRIVER_OK)
		d->transport_ops->notify_config(d->transport);
}

void virtio_config_changed(struct virtio_dev *d)
{
	d->config_generation++;
	if (virtio_live(d))
		d->transport_ops->notify_config(d->transport);
}

void virtio_reset(struct virtio_dev *d)
{
	d->status = 0;
	d->features = 0;
	d->epoch++;
	for (unsigned i = 0; i < d->n_queues; i++)
		virtqueue_reset(&d->queues[i]);
	if (d->ops->reset)
		d->ops->reset(d);
}

static bool features_acceptable(const struct virtio_dev *d)
{
	return (d->features & ~d->features_offered) == 0 &&
	       (d->features & VIRTIO_F_VERSION_1);
}

static void now_live(struct virtio_dev *d)
{
	for (unsigned i = 0; i < d->n_queues; i++)
		if (d->queues[i].broken)
			virtio_fail(d);
	/* Whatever was added before, notified or not. */
	for (unsigned i = 0; i < d->n_queues; i++)
		virtio_kick_later(d, i);
}

void virtio_set_status(struct virtio_dev *d, uint8_t status)
{
	uint8_t before = d->status;

	if (status == 0) {
		virtio_reset(d);
		return;
	}
	/* 2.1.1: the driver does not clear bits; NEEDS_RESET is ours. */
	status &= (uint8_t)~VIRTIO_STATUS_NEEDS_RESET;
	status |= before;
	/* 3.1.1 step 6: what we cannot do, we refuse by not keeping the bit. */
	if (!(before & VIRTIO_STATUS_FEATURES_OK) && !features_acceptable(d))
		status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	if (!(status & VIRTIO_STATUS_FEATURES_OK))
		status &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
	d->status = status;
	if (status & ~before & VIRTIO_STATUS_DRIVER_OK)
		now_live(d);
}

void virtio_set_features(struct virtio_dev *d, bool high, uint32_t bits)
{
	unsigned shift = high ? 32 : 0;

	/* Settled once FEATURES_OK is (2.2.1). */
	if (d->status & VIRTIO_STATUS_FEATURES_OK)
		return;
	d->features &= ~((uint64_t)UINT32_MAX << shift);
	d->features |= (uint64_t)bits << shift;
}

void virtio_queue_enable(struct virtio_dev *d, unsigned index)
{
	struct virtqueue *q = &d->queues[index];

	/* 3.1.1: queues are set up once the features are settled. */
	if (index >= d->n_queues || q->ready ||
	    !(d->status & VIRTIO_STATUS_FEATURES_OK))
		return;
	q->event_index = d->features & VIRTIO_F_EVENT_IDX;
	q->indirect = d->features & VIRTIO_F_INDIRECT_DESC;
	q->packed = d->features & VIRTIO_F_RING_PACKED;
	if (virtqueue_enable(q) < 0)
		virtio_fail(d);
	else
		virtio_kick_later(d, index);
}

void virtio_queue_disable(struct virtio_dev *d, unsigned index)
{
	/* 2.6: to stop one queue of a running device is a feature of its own
	 * (RING_RESET), which is not offered. */
	if (index < d->n_queues && !(d->status & VIRTIO_STATUS_DRIVER_OK))
		virtqueue_reset(&d->queues[index]);
}

void virtio_kick(struct virtio_dev *d, unsigned index)
{
	if (index < d->n_queues && virtio_live(d) && d->queues[index].ready)
		d->ops->kick(d, index);
}

uint64_t virtio_config_read(const struct virtio_dev *d, uint64_t offset,
			    unsigned size)
{
	uint64_t value = 0;

	if (offset >= d->config_size)
		return 0;
	memcpy(&value, d->config + offset,
	       MIN((size_t)size, d->config_size - offset));
	return value;
}

void virtio_config_write(struct virtio_dev *d, uint64_t offset, unsigned size,
			 uint64_t value)
{
	if (d->ops->config_write)
		d->ops->config_write(d, offset, size, value);
}

void virtio_call_changed(struct virtio_dev *d)
{
	if (d->ops->call_changed)
		d->ops->call_changed(d);
}
