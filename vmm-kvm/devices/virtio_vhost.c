#include <stdio.h>
#include <sys/eventfd.h>

#include "lib/base/fd.h"
#include "vmm-kvm/devices/virtio_vhost.h"

/* The loop looks at notifications while nobody else does. */
static void watch(struct virtio_vhost_ring *ring, bool on)
{
	const struct virtio_dev *d = ring->vh->dev;

	if (ring->watched == on)
		return;
	ring->watched = on;
	d->transport_ops->kick_watch(d->transport, ring->index, on);
}

static void watch_all(struct virtio_vhost *vh)
{
	for (unsigned i = 0; i < vh->n_rings; i++)
		watch(&vh->rings[i], true);
}

static int ring_call_fd(const struct virtio_vhost_ring *ring)
{
	const struct virtio_dev *d = ring->vh->dev;
	int fd = d->transport_ops->call_fd(d->transport, ring->index);

	return fd >= 0 ? fd : ring->relay_fd;
}

static unsigned fill_regions(const struct virtio_dev *d,
			     struct vhost_region regions[VHOST_REGIONS_MAX])
{
	const struct guest_mem *mem = d->queues[0].mem;

	_Static_assert(GUEST_MEM_REGIONS_MAX <= VHOST_REGIONS_MAX,
		       "all regions can be told");
	for (size_t i = 0; i < mem->count; i++)
		regions[i] = (struct vhost_region){
			.gpa = mem->regions[i].gpa,
			.size_bytes = mem->regions[i].size_bytes,
			.hva = mem->regions[i].hva,
			.fd = mem->regions[i].fd,
			.fd_offset = mem->regions[i].fd_offset,
		};
	return (unsigned)mem->count;
}

static void fill_rings(struct virtio_vhost *vh, struct vhost_ring *rings)
{
	const struct virtio_dev *d = vh->dev;

	for (unsigned i = 0; i < vh->n_rings; i++) {
		struct virtio_vhost_ring *ring = &vh->rings[i];
		const struct virtqueue *q = &d->queues[i];

		ring->started = q->ready && i < vh->n_active;
		ring->call_fd = ring_call_fd(ring);
		watch(ring, !ring->started);
		rings[i] = (struct vhost_ring){
			.ready = ring->started,
			.size = q->size,
			.next = q->last_avail,
			.desc = q->desc,
			.avail = q->avail,
			.used = q->used,
			.kick_fd = d->transport_ops->kick_fd(d->transport, i),
			.call_fd = ring->call_fd,
			.error_fd = vh->error_fd,
		};
	}
}

void virtio_vhost_fail(struct virtio_vhost *vh, const char *why)
{
	virtio_vhost_stop(vh);
	if (vh->dev->status & VIRTIO_STATUS_NEEDS_RESET ||
	    (vh->blameless && vh->blameless(vh->cookie)))
		return;
	virtio_fail(vh->dev);
	if (vh->failed)
		vh->failed(vh->cookie, why);
}

/* What the driver notified of until now the loop has read, and the server would
 * wait for the next one. */
static void kick_server(struct virtio_vhost *vh)
{
	const struct virtio_dev *d = vh->dev;

	for (unsigned i = 0; i < vh->n_rings; i++)
		if (vh->rings[i].started)
			d->transport_ops->kick_later(d->transport, i);
}

static void start(struct virtio_vhost *vh)
{
	struct vhost_region regions[VHOST_REGIONS_MAX];
	struct vhost_ring rings[VIRTIO_QUEUES_MAX];
	struct error e = ERROR_INIT;
	const struct vhost_setup setup = {
		.features = vh->dev->features & vh->vhost->features,
		.regions = regions,
		.n_regions = fill_regions(vh->dev, regions),
		.rings = rings,
		.n_rings = vh->n_rings,
	};

	fill_rings(vh, rings);
	if (vh->vhost->ops->start(vh->vhost, &setup, &e) == 0) {
		vh->started = true;
		kick_server(vh);
		return;
	}
	watch_all(vh);
	virtio_vhost_fail(vh, e.message);
}

/* Whether a queue became ready that the server does not know yet. */
static bool has_more(const struct virtio_vhost *vh)
{
	for (unsigned i = 0; i < vh->n_active; i++)
		if (vh->dev->queues[i].ready && !vh->rings[i].started)
			return true;
	return false;
}

void virtio_vhost_kick(struct virtio_vhost *vh)
{
	if (!virtio_live(vh->dev))
		return;
	if (vh->started && has_more(vh))
		virtio_vhost_stop(vh);
	if (!vh->started)
		start(vh);
}

void virtio_vhost_stop(struct virtio_vhost *vh)
{
	uint16_t next[VHOST_RINGS_MAX];

	if (!vh->started)
		return;
	vh->started = false;
	for (unsigned i = 0; i < vh->n_rings; i++)
		next[i] = vh->dev->queues[i].last_avail;
	vh->vhost->ops->stop(vh->vhost, next);
	for (unsigned i = 0; i < vh->n_rings; i++)
		if (vh->rings[i].started)
			virtqueue_continue(&vh->dev->queues[i], next[i]);
	/* Only the loop may give the notifications back to itself. */
	uv_async_send(&vh->changed);
}

void virtio_vhost_set_active(struct virtio_vhost *vh, unsigned n)
{
	virtio_vhost_stop(vh);
	vh->n_active = MIN(n, vh->n_rings);
}

void virtio_vhost_reset(struct virtio_vhost *vh)
{
	virtio_vhost_stop(vh);
}

void virtio_vhost_call_changed(struct virtio_vhost *vh)
{
	if (vh->started)
		uv_async_send(&vh->changed);
}

static void follow_calls(struct virtio_vhost *vh)
{
	for (unsigned i = 0; i < vh->n_rings && vh->started; i++) {
		struct virtio_vhost_ring *ring = &vh->rings[i];
		int fd = ring_call_fd(ring);

		if (!ring->started || fd == ring->call_fd)
			continue;
		ring->call_fd = fd;
		if (vh->vhost->ops->set_call(vh->vhost, i, fd) < 0)
			virtio_vhost_fail(vh, "an interrupt cannot be moved");
	}
}

static void on_changed(uv_async_t *async)
{
	struct virtio_vhost *vh = async->data;

	virtio_enter(vh->dev);
	if (vh->started)
		follow_calls(vh);
	else
		watch_all(vh);
	virtio_leave(vh->dev);
}

static void on_relay(uv_poll_t *poll, int status, int events)
{
	struct virtio_vhost_ring *ring = poll->data;
	struct virtio_dev *d = ring->vh->dev;
	eventfd_t count;

	if (eventfd_read(ring->relay_fd, &count) < 0)
		return;
	virtio_enter(d);
	if (virtio_live(d))
		d->transport_ops->notify_queue(d->transport, ring->index);
	virtio_leave(d);
}

static void on_error(uv_poll_t *poll, int status, int events)
{
	struct virtio_vhost *vh = poll->data;
	eventfd_t count;

	if (eventfd_read(vh->error_fd, &count) < 0)
		return;
	virtio_enter(vh->dev);
	/* It may be of a guest that has been reset since. */
	if (vh->started)
		virtio_vhost_fail(vh, "the guest's ring is malformed");
	virtio_leave(vh->dev);
}

static int event_new(struct virtio_vhost *vh, uv_loop_t *loop, uv_poll_t *poll,
		     int *ret_fd, uv_poll_cb cb, void *data, struct error *e)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), r;

	if (fd < 0)
		return error_set(e, -errno, "no eventfd for %s: %s",
				 vh->dev->ops->name, strerror(errno));
	r = uv_poll_init(loop, poll, fd);
	if (r < 0) {
		fd_close(fd);
		return error_set(e, r, "cannot poll for %s: %s",
				 vh->dev->ops->name, uv_strerror(r));
	}
	vh->open_handles++;
	poll->data = data;
	*ret_fd = fd;
	/* Cannot fail: the callback is not NULL. */
	(void)uv_poll_start(poll, UV_READABLE, cb);
	return 0;
}

static int init_features(struct virtio_vhost *vh, uint64_t own_features,
			 struct error *e)
{
	uint64_t can = vh->vhost->features;

	if (!(can & VIRTIO_F_VERSION_1))
		return error_set(e, -EOPNOTSUPP,
				 "%s: who serves its rings knows no VIRTIO 1 "
				 "(features %#llx)",
				 vh->dev->ops->name, (unsigned long long)can);
	vh->dev->foreign_rings = true;
	vh->dev->features_offered &= can | own_features;
	vh->needed = vh->dev->features_offered & ~own_features;
	return 0;
}

int virtio_vhost_init(struct virtio_vhost *vh,
		      const struct virtio_vhost_params *p, struct error *e)
{
	int r;

	*vh = (struct virtio_vhost){
		.dev = p->dev,
		.vhost = p->vhost,
		.error_fd = -1,
		.failed = p->failed,
		.blameless = p->blameless,
		.cookie = p->cookie,
	};
	r = uv_async_init(p->loop, &vh->changed, on_changed);
	if (r < 0)
		return error_set(e, r, "%s: %s", p->dev->ops->name,
				 uv_strerror(r));
	vh->changed.data = vh;
	vh->open_handles++;
	r = init_features(vh, p->own_features, e);
	if (r == 0)
		r = event_new(vh, p->loop, &vh->error, &vh->error_fd, on_error,
			      vh, e);
	while (r == 0 && vh->n_rings < p->n_rings) {
		struct virtio_vhost_ring *ring = &vh->rings[vh->n_rings];

		ring->vh = vh;
		ring->index = vh->n_rings;
		ring->watched = true; /* as transports begin */
		r = event_new(vh, p->loop, &ring->relay, &ring->relay_fd,
			      on_relay, ring, e);
		vh->n_rings += r == 0;
	}
	vh->n_active = vh->n_rings;
	return r;
}

int virtio_vhost_replace(struct virtio_vhost *vh, struct vhost *vhost,
			 struct error *e)
{
	if (vh->needed & ~vhost->features) {
		int r = error_set(
			e, -EOPNOTSUPP,
			"%s: who serves its rings lacks features "
			"that the guest was offered (%#llx)",
			vh->dev->ops->name,
			(unsigned long long)(vh->needed & ~vhost->features));

		vhost_free(vhost);
		return r;
	}
	virtio_vhost_stop(vh);
	vhost_free(vh->vhost);
	vh->vhost = vhost;
	return 0;
}

static void closed_one(struct virtio_vhost *vh)
{
	if (--vh->open_handles == 0)
		vh->closed(vh->dev);
}

static void on_ring_closed(uv_handle_t *handle)
{
	closed_one(((struct virtio_vhost_ring *)handle->data)->vh);
}

static void on_handle_closed(uv_handle_t *handle)
{
	closed_one(handle->data);
}

void virtio_vhost_close(struct virtio_vhost *vh,
			void (*closed)(struct virtio_dev *d))
{
	vh->closed = closed;
	virtio_vhost_stop(vh);
	vh->vhost = vhost_free(vh->vhost);
	if (vh->open_handles == 0) {
		closed(vh->dev);
		return;
	}
	for (unsigned i = 0; i < vh->n_rings; i++) {
		uv_close((uv_handle_t *)&vh->rings[i].relay, on_ring_closed);
		fd_close(vh->rings[i].relay_fd);
	}
	if (vh->error_fd >= 0)
		uv_close((uv_handle_t *)&vh->error, on_handle_closed);
	vh->error_fd = fd_close(vh->error_fd);
	uv_close((uv_handle_t *)&vh->changed, on_handle_closed);
}
