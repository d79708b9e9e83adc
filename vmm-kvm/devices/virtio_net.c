#include "lib/base/fd.h"
#include "lib/host/netdev.h"
#include "vmm-kvm/devices/virtio_net.h"

#define RX	   0
#define TX	   1
#define QUEUE_SIZE 256

/* Feature bits, 5.1.3. */
#define F_CSUM	     (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MAC	     (1ull << 5)
#define F_GUEST_TSO4 (1ull << 7)
#define F_GUEST_TSO6 (1ull << 8)
#define F_GUEST_ECN  (1ull << 9)
#define F_HOST_TSO4  (1ull << 11)
#define F_HOST_TSO6  (1ull << 12)
#define F_HOST_ECN   (1ull << 13)
#define F_MRG_RXBUF  (1ull << 15)
#define F_STATUS     (1ull << 16)

#define STATUS_LINK_UP 1

/* struct virtio_net_hdr, 5.1.6; num_buffers is always there in VIRTIO 1. */
#define HEADER_BYTES	   12
#define HEADER_NUM_BUFFERS 10

#define OFFLOADS                                                             \
	(F_CSUM | F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6 | F_GUEST_ECN | \
	 F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_ECN)

/* The largest IP packet, and what stands before it in a frame. */
#define FRAME_MAX (KIB(64) + 64)
/* Buffers one frame may be spread over; a guest that offers tiny ones loses
 * its large frames. */
#define MERGE_MAX 64
/* Frames moved per direction and turn of the loop. */
#define BURST QUEUE_SIZE

/* The beginning of struct virtio_net_hdr, 5.1.6. */
struct net_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

_Static_assert(sizeof(struct net_header) == HEADER_BYTES, "5.1.6");

enum {
	HEADER_NEEDS_CSUM = 1,
	GSO_NONE = 0,
	GSO_TCPV4 = 1,
	GSO_TCPV6 = 4,
	GSO_ECN = 0x80,
};

/* struct virtio_net_config up to what we offer, 5.1.4. */
struct net_config {
	uint8_t mac[6];
	uint16_t status;
} __attribute__((packed));

struct virtio_net {
	struct virtio_dev dev;
	struct netdev *netdev;
	struct net_config config;
	bool offloads_set; /* the host's end knows what was negotiated */
	struct virtq_chain first, more; /* of the frame being moved */
	struct iovec tx[1 + VIRTQUEUE_SIZE_MAX];
	/* A frame read from the host, header first; it stays while the guest
	 * has no room for it. */
	size_t frame_bytes; /* 0: none */
	uint64_t rx_dropped;
	uint8_t frame[HEADER_BYTES + FRAME_MAX];
};

static struct virtio_net *from_dev(struct virtio_dev *d)
{
	return container_of(d, struct virtio_net, dev);
}

/* Fill one popped chain with what remains of the frame from *at. */
static bool rx_fill(struct virtio_net *net, const struct virtq_chain *chain,
		    unsigned n, size_t *at)
{
	size_t written;

	/* 5.1.6.3.1: the first buffer holds at least the header; one without
	 * anything to write can only be a mistake. */
	if (chain->in_bytes < (n == 0 ? HEADER_BYTES : 1)) {
		virtio_fail(&net->dev);
		return false;
	}
	written = iov_write(chain->iov + chain->n_out, chain->n_in, 0,
			    net->frame + *at, net->frame_bytes - *at);
	virtqueue_fill(&net->dev.queues[RX], chain->head, (uint32_t)written, n);
	*at += written;
	return true;
}

/*
 * Spread the frame over as many buffers as it takes (5.1.6.4). Returns false
 * when the guest has to add buffers first; what was popped is then put back.
 * A frame that can never fit is dropped.
 */
static bool rx_deliver(struct virtio_net *net)
{
	struct virtqueue *q = &net->dev.queues[RX];
	unsigned max = net->dev.features & F_MRG_RXBUF ? MERGE_MAX : 1;
	uint16_t n = 0;
	size_t at = 0;

	while (at < net->frame_bytes && n < max) {
		struct virtq_chain *chain = n == 0 ? &net->first : &net->more;

		if (!virtio_pop(&net->dev, RX, chain) ||
		    !rx_fill(net, chain, n, &at)) {
			virtqueue_unpop(q, n);
			return false;
		}
		n++;
	}
	if (at < net->frame_bytes) {
		virtqueue_unpop(q, n);
		net->rx_dropped++;
	} else {
		/* Only now is it known. Little-endian, as is the host. */
		iov_write(net->first.iov + net->first.n_out, net->first.n_in,
			  HEADER_NUM_BUFFERS, &n, sizeof(n));
		virtqueue_publish(q, n);
	}
	net->frame_bytes = 0;
	return true;
}

/* What the driver did not take, the host must not leave to it. */
static bool rx_header_judge(const struct virtio_net *net,
			    struct net_header *header)
{
	uint64_t features = net->dev.features;

	if (!(features & F_GUEST_CSUM)) {
		memset(header, 0, sizeof(*header));
		return true;
	}
	switch (header->gso_type & ~GSO_ECN) {
	case GSO_NONE:
		return true;
	case GSO_TCPV4:
		return features & F_GUEST_TSO4;
	case GSO_TCPV6:
		return features & F_GUEST_TSO6;
	default:
		return false;
	}
}

static bool rx_read(struct virtio_net *net)
{
	const struct iovec iov = {net->frame, sizeof(net->frame)};
	ssize_t n;

	if (net->frame_bytes)
		return true;
	n = netdev_recv(net->netdev, &iov, 1);
	if (n < 0)
		return false;
	if (n > HEADER_BYTES) {
		struct net_header header;

		memcpy(&header, net->frame, sizeof(header));
		if (rx_header_judge(net, &header))
			net->frame_bytes = (size_t)n;
		memcpy(net->frame, &header, sizeof(header));
	}
	return true;
}

/* 5.1.3: what the driver took, in the host's words. */
static void set_offloads(struct virtio_net *net)
{
	uint64_t features = net->dev.features;
	unsigned offloads = 0;

	if (net->offloads_set || !virtio_live(&net->dev))
		return;
	offloads |= features & F_GUEST_CSUM ? NETDEV_CSUM : 0;
	offloads |= features & F_GUEST_TSO4 ? NETDEV_TSO4 : 0;
	offloads |= features & F_GUEST_TSO6 ? NETDEV_TSO6 : 0;
	offloads |= features & F_GUEST_ECN ? NETDEV_ECN : 0;
	netdev_set_offloads(net->netdev, offloads);
	net->offloads_set = true;
}

/* Host to guest. Polling stops while the guest has no room; its next buffer
 * is announced by a kick. */
static void rx_pump(struct virtio_net *net)
{
	bool room = virtio_live(&net->dev);

	set_offloads(net);
	for (unsigned i = 0; room && i < BURST && rx_read(net); i++)
		if (net->frame_bytes)
			room = rx_deliver(net);
	netdev_poll(net->netdev, room && (net->config.status & STATUS_LINK_UP));
	virtio_notify(&net->dev, RX);
}

/* A header that asks for no more than the driver took; what it means in the
 * frame is the host's to judge. */
static bool tx_header_judge(const struct virtio_net *net,
			    struct net_header *header)
{
	uint64_t features = net->dev.features, needed = 0;

	header->num_buffers = 0;
	if (!(features & F_CSUM)) {
		memset(header, 0, sizeof(*header));
		return true;
	}
	header->flags &= HEADER_NEEDS_CSUM;
	if (header->gso_type & GSO_ECN)
		needed |= F_HOST_ECN;
	switch (header->gso_type & ~GSO_ECN) {
	case GSO_NONE:
		break;
	case GSO_TCPV4:
		needed |= F_HOST_TSO4;
		break;
	case GSO_TCPV6:
		needed |= F_HOST_TSO6;
		break;
	default:
		return false;
	}
	return (features & needed) == needed;
}

/* One frame. One the host does not take, or the guest may not send, is lost. */
static void tx_send(struct virtio_net *net, struct virtq_chain *chain)
{
	struct net_header header;
	struct iovec *data = chain->iov;
	unsigned n;
	ssize_t sent;

	iov_read(chain->iov, chain->n_out, 0, &header, sizeof(header));
	n = iov_drop_front(&data, chain->n_out, HEADER_BYTES);
	if (n == 0 || chain->out_bytes > HEADER_BYTES + FRAME_MAX ||
	    !tx_header_judge(net, &header))
		return;
	net->tx[0] = (struct iovec){&header, sizeof(header)};
	memcpy(&net->tx[1], data, n * sizeof(*data));
	sent = netdev_send(net->netdev, net->tx, (int)n + 1);
	(void)sent;
}

static void tx_pump(struct virtio_net *net)
{
	unsigned n;

	for (n = 0; n < BURST && virtio_pop(&net->dev, TX, &net->first); n++) {
		if (net->first.out_bytes < HEADER_BYTES) {
			virtio_fail(&net->dev);
			return;
		}
		tx_send(net, &net->first);
		virtio_push(&net->dev, TX, net->first.head, 0);
	}
	virtio_notify(&net->dev, TX);
	if (n == BURST)
		virtio_kick_later(&net->dev, TX);
}

static void kick(struct virtio_dev *d, unsigned index)
{
	if (index == RX)
		rx_pump(from_dev(d));
	else
		tx_pump(from_dev(d));
}

static void reset(struct virtio_dev *d)
{
	from_dev(d)->frame_bytes = 0;
	from_dev(d)->offloads_set = false;
}

/* A frame that found no room is lost, as on any medium. */
static void hold(struct virtio_dev *d, bool held)
{
	netdev_poll(from_dev(d)->netdev, !held);
}

static void net_free(struct virtio_dev *d)
{
	struct virtio_net *net = from_dev(d);

	netdev_free(net->netdev);
	free(net);
}

static const struct virtio_dev_ops ops = {
	.name = "virtio-net",
	.device_id = VIRTIO_ID_NET,
	.pci_class = 0x020000,
	.kick = kick,
	.reset = reset,
	.hold = hold,
	.free = net_free,
};

static void on_readable(void *cookie)
{
	struct virtio_net *net = cookie;

	virtio_enter(&net->dev);
	rx_pump(net);
	virtio_leave(&net->dev);
}

static void on_failed(void *cookie, int err)
{
	struct virtio_net *net = cookie;

	virtio_enter(&net->dev);
	net->config.status = 0;
	virtio_config_changed(&net->dev);
	virtio_leave(&net->dev);
}

static const struct netdev_guest guest = {
	.readable = on_readable,
	.failed = on_failed,
};

int virtio_net_new(const struct virtio_net_params *params,
		   struct virtio_dev **ret, struct error *e)
{
	_cleanup_close_ int fd = params->tap_fd;
	_cleanup_free_ struct virtio_net *net = calloc(1, sizeof(*net));
	int r;

	if (!net)
		return error_set(e, -ENOMEM, "out of memory for virtio-net");
	memcpy(net->config.mac, params->mac, sizeof(net->config.mac));
	net->config.status = STATUS_LINK_UP;
	virtio_dev_init(&net->dev, &ops,
			F_MAC | F_MRG_RXBUF | F_STATUS | OFFLOADS, &net->config,
			sizeof(net->config), 2, QUEUE_SIZE);
	r = netdev_open(params->loop, TAKE_FD(fd), &guest, net, &net->netdev,
			e);
	if (r < 0)
		return r;
	*ret = &TAKE_PTR(net)->dev;
	return 0;
}

void virtio_net_stats(struct virtio_dev *d, struct netdev_stats *ret)
{
	struct virtio_net *net = from_dev(d);

	netdev_stats(net->netdev, ret);
	ret->received.dropped += net->rx_dropped;
	ret->received.frames -= net->rx_dropped;
}
