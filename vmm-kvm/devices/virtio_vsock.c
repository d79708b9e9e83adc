#include "vmm-kvm/devices/virtio_vhost.h"
#include "vmm-kvm/devices/virtio_vsock.h"

/* 5.10.2: receive and transmit, which the kernel serves, then events. */
#define DATA_QUEUES 2
#define EVENTS	    2
#define QUEUE_SIZE  128

#define F_SEQPACKET (1ull << 1)

/* 5.10.6.7: a 32-bit id. */
#define EVENT_TRANSPORT_RESET 0

struct virtio_vsock {
	struct virtio_dev dev;
	struct virtio_vhost vh;
	uint64_t guest_cid; /* the configuration space, 5.10.4 */
	bool moved;	    /* an event waits for a buffer */
	struct virtq_chain chain;
};

static struct virtio_vsock *from_dev(struct virtio_dev *d)
{
	return container_of(d, struct virtio_vsock, dev);
}

static void send_event(struct virtio_vsock *vsock)
{
	const uint32_t event = EVENT_TRANSPORT_RESET;
	struct virtq_chain *c = &vsock->chain;

	if (!vsock->moved || !virtio_pop(&vsock->dev, EVENTS, c))
		return;
	if (c->in_bytes < sizeof(event)) {
		virtio_fail(&vsock->dev);
		return;
	}
	iov_write(c->iov + c->n_out, c->n_in, 0, &event, sizeof(event));
	vsock->moved = false;
	virtio_push(&vsock->dev, EVENTS, c->head, sizeof(event));
	virtio_notify(&vsock->dev, EVENTS);
}

static void kick(struct virtio_dev *d, unsigned index)
{
	if (index == EVENTS)
		send_event(from_dev(d));
	else
		virtio_vhost_kick(&from_dev(d)->vh);
}

static void reset(struct virtio_dev *d)
{
	struct virtio_vsock *vsock = from_dev(d);

	virtio_vhost_reset(&vsock->vh);
	/* Whoever begins anew has no connections to lose. */
	vsock->moved = false;
}

static void call_changed(struct virtio_dev *d)
{
	virtio_vhost_call_changed(&from_dev(d)->vh);
}

/* The server leaves guest memory alone; a kick starts it again. */
static void hold(struct virtio_dev *d, bool held)
{
	if (held)
		virtio_vhost_stop(&from_dev(d)->vh);
}

/* Its connections are in the kernel that it was saved on. */
static int load(struct virtio_dev *d, struct state_in *in, struct error *e)
{
	from_dev(d)->moved = true;
	return 0;
}

static void closed(struct virtio_dev *d)
{
	free(from_dev(d));
}

static void vsock_free(struct virtio_dev *d)
{
	virtio_vhost_close(&from_dev(d)->vh, closed);
}

static const struct virtio_dev_ops ops = {
	.name = "virtio-vsock",
	.device_id = VIRTIO_ID_VSOCK,
	.pci_class = 0x078000,
	.kick = kick,
	.reset = reset,
	.call_changed = call_changed,
	.hold = hold,
	.load = load,
	.free = vsock_free,
};

int virtio_vsock_new(const struct virtio_vsock_params *params,
		     struct virtio_dev **ret, struct error *e)
{
	struct virtio_vsock *vsock = calloc(1, sizeof(*vsock));
	struct virtio_vhost_params vh = {
		.loop = params->loop,
		.vhost = params->vhost,
		.n_rings = DATA_QUEUES,
		.failed = params->failed,
		.cookie = params->cookie,
	};
	int r;

	if (!vsock) {
		vhost_free(params->vhost);
		return error_set(e, -ENOMEM, "out of memory for virtio-vsock");
	}
	vsock->guest_cid = params->cid;
	virtio_dev_init(&vsock->dev, &ops, F_SEQPACKET, &vsock->guest_cid,
			sizeof(vsock->guest_cid), DATA_QUEUES + 1, QUEUE_SIZE);
	vh.dev = &vsock->dev;
	r = virtio_vhost_init(&vsock->vh, &vh, e);
	if (r < 0) {
		vsock_free(&vsock->dev);
		return r;
	}
	*ret = &vsock->dev;
	return 0;
}

void virtio_vsock_moved(struct virtio_dev *d)
{
	struct virtio_vsock *vsock = from_dev(d);

	virtio_enter(d);
	vsock->moved = true;
	send_event(vsock);
	virtio_leave(d);
}
