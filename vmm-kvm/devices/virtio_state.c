/*
 * A virtio device in a snapshot: what the core knows of it, its queues, then
 * what the device itself has to say.
 */
#include <inttypes.h>
#include <stdio.h>

#include "vmm-kvm/devices/virtio.h"

void virtio_hold(struct virtio_dev *d, bool held)
{
	if (d->held == held)
		return;
	if (held && d->ops->hold)
		d->ops->hold(d, true);
	d->held = held;
	if (held || !virtio_live(d))
		return;
	if (d->ops->hold)
		d->ops->hold(d, false);
	for (unsigned i = 0; i < d->n_queues; i++) {
		if (!d->queues[i].ready)
			continue;
		d->transport_ops->kick_later(d->transport, i);
		d->transport_ops->notify_queue(d->transport, i);
	}
	d->transport_ops->notify_config(d->transport);
}

const char *virtio_no_snapshot(const struct virtio_dev *d)
{
	const struct virtio_dev_ops *ops = d->ops;

	if (ops->no_snapshot)
		return ops->no_snapshot(d);
	/* Only entropy comes from nowhere: whoever else says nothing of its
	 * state has it in another process. */
	return ops->save || ops->load || ops->device_id == VIRTIO_ID_RNG
		       ? NULL
		       : "its state is not here";
}

void virtio_save(const struct virtio_dev *d, struct state_out *out)
{
	size_t began = state_begin(out, d->ops->name, 1);

	state_put_u64(out, d->features);
	state_put_u8(out, d->status);
	state_put_u8(out, d->config_generation);
	state_put_u8(out, (uint8_t)d->n_queues);
	for (unsigned i = 0; i < d->n_queues; i++) {
		struct virtqueue q = d->queues[i];

		/* Which kind one is is settled when it is used. */
		if (!q.ready)
			q.packed = d->features & VIRTIO_F_RING_PACKED;
		virtqueue_save(&q, out);
	}
	if (d->ops->save)
		d->ops->save(d, out);
	state_end(out, began);
}

static int load_features(struct virtio_dev *d, struct state_in *r,
			 uint64_t features, uint8_t status, struct error *e)
{
	uint64_t missing = features & ~d->features_offered;

	/* A driver may have written anything before they were settled. */
	if ((status & VIRTIO_STATUS_FEATURES_OK) && missing)
		return error_set(e, -EOPNOTSUPP,
				 "%s: its driver uses features %#" PRIx64
				 ", which this host does not offer",
				 r->name, missing);
	d->features = features;
	d->status = status;
	return 0;
}

static int load_queues(struct virtio_dev *d, struct state_in *r,
		       struct error *e)
{
	int err = 0;

	if (state_get_u8(r) != d->n_queues)
		return state_bad(r, e, "has another number of queues");
	for (unsigned i = 0; !err && i < d->n_queues; i++) {
		struct virtqueue *q = &d->queues[i];

		q->event_index = d->features & VIRTIO_F_EVENT_IDX;
		q->indirect = d->features & VIRTIO_F_INDIRECT_DESC;
		q->packed = d->features & VIRTIO_F_RING_PACKED;
		err = virtqueue_load(q, r, e);
	}
	return err ? error_prefix(e, err, "%s", r->name) : 0;
}

int virtio_load(struct virtio_dev *d, struct state_in *in, struct error *e)
{
	struct state_in r;
	uint64_t features;
	uint8_t status;
	int err = state_open(in, d->ops->name, 1, &r, e);

	if (err)
		return err;
	features = state_get_u64(&r);
	status = state_get_u8(&r);
	err = load_features(d, &r, features, status, e);
	if (err)
		return err;
	d->config_generation = state_get_u8(&r);
	err = load_queues(d, &r, e);
	if (!err && d->ops->load)
		err = d->ops->load(d, &r, e);
	return err ? err : state_close(&r, e);
}
