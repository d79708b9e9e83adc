#include <sys/eventfd.h>

#include "lib/base/fd.h"
#include "vmm-kvm/devices/virtio_mmio_internal.h"

void virtio_mmio_kick(struct virtio_mmio *v, unsigned index)
{
	eventfd_write(v->kicks[index].fd, 1);
}

static void on_kick(void *cookie)
{
	struct virtio_mmio_kick *k = cookie;

	virtio_enter(k->v->device);
	virtio_kick(k->v->device, k->index);
	virtio_leave(k->v->device);
}

static void doorbells_remove(struct virtio_mmio *v, unsigned n)
{
	const struct doorbell_sink *sink = v->params.doorbells;

	while (n > 0) {
		n--;
		sink->remove(sink->cookie,
			     v->region.base + VIRTIO_MMIO_QUEUE_NOTIFY, 4, n,
			     v->kicks[n].fd);
	}
	v->doorbells = false;
}

/* All or none: one register serves all queues, told apart by the value. */
static void doorbells_add(struct virtio_mmio *v)
{
	const struct doorbell_sink *sink = v->params.doorbells;

	for (unsigned i = 0; i < v->n_kicks; i++)
		if (sink->add(sink->cookie,
			      v->region.base + VIRTIO_MMIO_QUEUE_NOTIFY, 4, i,
			      v->kicks[i].fd) != 0) {
			doorbells_remove(v, i); /* it traps instead */
			return;
		}
	v->doorbells = true;
}

void virtio_mmio_sync_doorbells(struct virtio_mmio *v)
{
	bool wanted = v->params.doorbells && v->on_bus &&
		      virtio_live(v->device);

	if (wanted && !v->doorbells)
		doorbells_add(v);
	else if (!wanted && v->doorbells)
		doorbells_remove(v, v->n_kicks);
}

void virtio_mmio_irq(struct virtio_mmio *v, uint32_t clear, uint32_t set)
{
	bool before = v->irq_status != 0, after;

	v->irq_status = (v->irq_status & ~clear) | set;
	after = v->irq_status != 0;
	if (before != after)
		irq_line_set(&v->params.irq, after);
}

static void notify_queue(void *transport, unsigned index)
{
	virtio_mmio_irq(transport, 0, VIRTIO_MMIO_IRQ_QUEUE);
}

static void notify_config(void *transport)
{
	virtio_mmio_irq(transport, 0, VIRTIO_MMIO_IRQ_CONFIG);
}

static void kick_later(void *transport, unsigned index)
{
	virtio_mmio_kick(transport, index);
}

static int kick_fd(void *transport, unsigned index)
{
	struct virtio_mmio *v = transport;

	return v->kicks[index].fd;
}

static void kick_watch(void *transport, unsigned index, bool watch)
{
	struct virtio_mmio *v = transport;

	loop_event_watch(v->kicks[index].heard, watch);
}

/* The wire also needs the interrupt status, which only we can set. */
static int call_fd(void *transport, unsigned index)
{
	return -1;
}

static const struct virtio_transport_ops transport_ops = {
	.notify_queue = notify_queue,
	.notify_config = notify_config,
	.kick_later = kick_later,
	.kick_fd = kick_fd,
	.kick_watch = kick_watch,
	.call_fd = call_fd,
};

void virtio_mmio_reset(struct virtio_mmio *v)
{
	virtio_reset(v->device);
	virtio_mmio_regs_reset(v);
	virtio_mmio_sync_doorbells(v);
}

static int kicks_init(struct virtio_mmio *v, struct error *e)
{
	const char *name = v->device->ops->name;

	for (; v->n_kicks < v->device->n_queues; v->n_kicks++) {
		struct virtio_mmio_kick *k = &v->kicks[v->n_kicks];
		int r;

		k->v = v;
		k->index = v->n_kicks;
		k->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (k->fd < 0)
			return error_set(e, -errno, "no eventfd for %s: %s",
					 name, strerror(errno));
		r = loop_event_new(v->params.loop, k->fd, on_kick, k,
				   &k->heard);
		if (r < 0) {
			k->fd = fd_close(k->fd);
			return error_set(e, r, "cannot poll for %s: %s", name,
					 strerror(-r));
		}
		loop_event_watch(k->heard, true);
	}
	return 0;
}

static int place(struct virtio_mmio *v, struct error *e)
{
	int r;

	v->region = (struct mmio_region){
		.name = v->device->ops->name,
		.base = v->params.base,
		.size_bytes = VIRTIO_MMIO_SIZE,
		.ops = &virtio_mmio_ops,
		.dev = v,
		.enabled = true,
	};
	r = bus_add(v->params.bus, &v->region);
	if (r < 0)
		return error_set(
			e, r, "no place for %s at %#llx: %s", v->region.name,
			(unsigned long long)v->region.base, strerror(-r));
	v->on_bus = true;
	return 0;
}

int virtio_mmio_new(const struct virtio_mmio_params *params,
		    struct virtio_mmio **ret, struct error *e)
{
	_cleanup_(virtio_dev_freep) struct virtio_dev *device = params->device;
	_cleanup_(virtio_mmio_freep) struct virtio_mmio *v = NULL;
	int r;

	v = calloc(1, sizeof(*v));
	if (!v)
		return error_set(e, -ENOMEM, "out of memory for %s",
				 device->ops->name);
	v->params = *params;
	v->device = TAKE_PTR(device);
	virtio_attach(v->device, &transport_ops, v, params->mem, params->bus);
	r = kicks_init(v, e);
	if (r == 0)
		r = place(v, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(v);
	return 0;
}

static void close_kicks(struct virtio_mmio *v)
{
	for (unsigned i = 0; i < v->n_kicks; i++) {
		struct virtio_mmio_kick *k = &v->kicks[i];

		k->heard = loop_event_free(k->heard);
		k->fd = fd_close(k->fd);
	}
}

struct virtio_mmio *virtio_mmio_free(struct virtio_mmio *v)
{
	if (!v)
		return NULL;
	/* First no more requests, then none under way, then the rest. */
	virtio_enter(v->device);
	virtio_mmio_reset(v);
	virtio_leave(v->device);
	v->device = virtio_dev_free(v->device);
	if (v->on_bus)
		bus_remove(v->params.bus, &v->region);
	close_kicks(v);
	free(v);
	return NULL;
}
