/*
 * Frames to the guest. The short way is one readv() into the guest's buffers,
 * as many as the last frame lets expect; what does not fit them lands behind,
 * in the pair's own frame, and goes the long way: it is put together there and
 * copied, now or when the guest has more buffers.
 */
#include "vmm-kvm/devices/virtio_net_internal.h"

/* Frames moved in a turn of the loop. */
#define BURST VIRTQUEUE_SIZE_MAX
/* Buffers one frame may be spread over; a guest that offers tiny ones loses
 * its large frames. */
#define MERGE_MAX 64
/* What we look at is copied once, then judged, then copied to the guest. */
#define HEAD_BYTES (NETDEV_HEADER_BYTES + NET_FILTER_BYTES)
/* Frames thrown away at once; more come by themselves. */
#define DISCARD_MAX 4096

/* Buffers of the guest, popped and not used yet. */
struct window {
	struct {
		uint16_t head;
		unsigned iov_at, n_iov;
		size_t bytes;
	} chains[MERGE_MAX];
	unsigned at, n; /* chains[at..n) are left */
	unsigned n_iov; /* of net->iov, from 1 on */
	size_t bytes;	/* of those left */
};

static bool chain_usable(struct virtio_net *net,
			 const struct virtq_chain *chain, unsigned n)
{
	/* 5.1.6.3.1: the first buffer holds at least the header; one without
	 * anything to write can only be a mistake. */
	if (chain->in_bytes >= (n == 0 ? NETDEV_HEADER_BYTES : 1))
		return true;
	virtio_fail(&net->dev);
	return false;
}

/* Fill one popped chain with what remains of the frame from *at. */
static bool fill(struct net_pair *p, const struct virtq_chain *chain,
		 unsigned n, size_t *at)
{
	struct virtqueue *q = &p->net->dev.queues[net_rx_queue(p)];
	size_t written;

	if (!chain_usable(p->net, chain, n))
		return false;
	written = iov_write(chain->iov + chain->n_out, chain->n_in, 0,
			    p->frame + *at, p->frame_bytes - *at);
	virtqueue_fill(q, chain->head, (uint32_t)written, n);
	*at += written;
	return true;
}

/*
 * The long way: spread the pair's frame over as many buffers as it takes
 * (5.1.6.4). Returns false when the guest has to add buffers first; what was
 * popped is then put back. A frame that can never fit is dropped.
 */
static bool deliver(struct net_pair *p)
{
	struct virtio_net *net = p->net;
	struct virtqueue *q = &net->dev.queues[net_rx_queue(p)];
	unsigned max = net->dev.features & NET_F_MRG_RXBUF ? MERGE_MAX : 1;
	uint16_t n = 0;
	size_t at = 0;

	while (at < p->frame_bytes && n < max) {
		struct virtq_chain *chain = n == 0 ? &net->first : &net->more;

		if (!virtio_pop(&net->dev, net_rx_queue(p), chain) ||
		    !fill(p, chain, n, &at)) {
			virtqueue_unpop(q, n);
			return false;
		}
		n++;
	}
	if (at < p->frame_bytes) {
		virtqueue_unpop(q, n);
		p->no_room++;
	} else {
		/* Only now is it known. Little-endian, as is the host. */
		iov_write(net->first.iov + net->first.n_out, net->first.n_in,
			  offsetof(struct net_header, num_buffers), &n,
			  sizeof(n));
		virtqueue_publish(q, n);
		p->moved++;
	}
	p->frame_bytes = 0;
	return true;
}

/* What a segmentation asks of the guest; ~0: it cannot. */
static uint64_t gso_needs(uint8_t type)
{
	switch (type & ~NET_GSO_ECN) {
	case NET_GSO_NONE:
		return 0;
	case NET_GSO_TCPV4:
		return NET_F_GUEST_TSO4;
	case NET_GSO_TCPV6:
		return NET_F_GUEST_TSO6;
	case NET_GSO_UDP:
		return NET_F_GUEST_UFO;
	case NET_GSO_UDP_L4:
		return NET_F_GUEST_USO4 | NET_F_GUEST_USO6;
	default:
		return ~0ull;
	}
}

/* What the driver did not take, the host must not leave to it; and what it did
 * not ask for, it need not hear of. `head` is the frame's beginning. */
static bool is_wanted(const struct virtio_net *net, uint8_t *head, size_t bytes)
{
	struct net_header header;
	uint64_t needed;
	bool good = true;

	if (bytes <= NETDEV_HEADER_BYTES || !net_link_is_up(net) ||
	    !net_filter_passes(&net->filter, net->config.mac,
			       head + NETDEV_HEADER_BYTES,
			       bytes - NETDEV_HEADER_BYTES))
		return false;
	memcpy(&header, head, sizeof(header));
	needed = gso_needs(header.gso_type);
	if (net->offloads & NET_F_GUEST_CSUM)
		good = (net->offloads & needed) == needed;
	else
		memset(&header, 0, sizeof(header));
	memcpy(head, &header, sizeof(header));
	return good;
}

static bool judge(struct net_pair *p, uint8_t *head, size_t bytes)
{
	bool wanted = is_wanted(p->net, head, bytes);

	p->unwanted += !wanted;
	return wanted;
}

static bool chain_add(struct virtio_net *net, struct window *w,
		      const struct virtq_chain *chain)
{
	if (w->n_iov + chain->n_in > 2 * VIRTQUEUE_SIZE_MAX)
		return false;
	w->chains[w->n].head = chain->head;
	w->chains[w->n].iov_at = w->n_iov;
	w->chains[w->n].n_iov = chain->n_in;
	w->chains[w->n].bytes = chain->in_bytes;
	memcpy(&net->iov[1 + w->n_iov], chain->iov + chain->n_out,
	       chain->n_in * sizeof(*chain->iov));
	w->n_iov += chain->n_in;
	w->bytes += chain->in_bytes;
	w->n++;
	return true;
}

static void window_clear(struct net_pair *p, struct window *w)
{
	virtqueue_unpop(&p->net->dev.queues[net_rx_queue(p)], w->n - w->at);
	w->at = w->n = w->n_iov = 0;
	w->bytes = 0;
}

/* Pop buffers until the frame that is expected fits; false: there is none. */
static bool window_fill(struct net_pair *p, struct window *w)
{
	struct virtio_net *net = p->net;
	struct virtqueue *q = &net->dev.queues[net_rx_queue(p)];
	bool several = p->large && net->dev.features & NET_F_MRG_RXBUF;
	size_t wanted = several ? sizeof(p->frame) : 1;

	if (w->bytes < wanted && w->at > 0)
		window_clear(p, w);
	while (w->bytes < wanted && w->n < MERGE_MAX &&
	       virtio_pop(&net->dev, net_rx_queue(p), &net->first)) {
		if (!chain_usable(net, &net->first, w->n))
			break;
		if (!chain_add(net, w, &net->first)) {
			virtqueue_unpop(q, 1);
			break;
		}
	}
	return w->at < w->n && virtio_live(&net->dev);
}

/* One frame: its first HEAD_BYTES to `head`, then into the window, then into
 * p->frame as far behind as if it were all there. */
static ssize_t read_frame(struct net_pair *p, struct window *w,
			  uint8_t head[HEAD_BYTES])
{
	struct virtio_net *net = p->net;
	unsigned first = w->chains[w->at].iov_at;
	struct iovec saved[HEAD_BYTES + 1], *iov = &net->iov[1 + first];
	unsigned n = w->n_iov - first, kept = MIN(n, (unsigned)HEAD_BYTES + 1);
	ssize_t bytes;

	memcpy(saved, iov, kept * sizeof(*iov));
	n = iov_drop_front(&iov, n, HEAD_BYTES);
	iov[n] = (struct iovec){p->frame + w->bytes,
				sizeof(p->frame) - w->bytes};
	n += w->bytes < sizeof(p->frame);
	iov--;
	*iov = (struct iovec){head, HEAD_BYTES};
	bytes = netdev_recv(p->netdev, iov, (int)n + 1);
	memcpy(&net->iov[1 + first], saved, kept * sizeof(*iov));
	return bytes;
}

/* The frame is in the window: hand its buffers over. */
static void hand_over(struct net_pair *p, struct window *w, uint8_t *head,
		      size_t bytes)
{
	struct virtio_net *net = p->net;
	struct virtqueue *q = &net->dev.queues[net_rx_queue(p)];
	unsigned first = w->at;
	uint16_t n = 0;

	for (size_t left = bytes; left > 0; n++) {
		size_t part = MIN(left, w->chains[w->at].bytes);

		virtqueue_fill(q, w->chains[w->at].head, (uint32_t)part, n);
		w->bytes -= w->chains[w->at].bytes;
		w->at++;
		left -= part;
	}
	memcpy(head + offsetof(struct net_header, num_buffers), &n, sizeof(n));
	iov_write(&net->iov[1 + w->chains[first].iov_at],
		  w->n_iov - w->chains[first].iov_at, 0, head,
		  MIN(bytes, (size_t)HEAD_BYTES));
	virtqueue_publish(q, n);
	p->moved++;
}

/* It is partly in the window: put it together, and give the buffers back. */
static void put_together(struct net_pair *p, struct window *w,
			 const uint8_t *head, size_t bytes)
{
	struct virtio_net *net = p->net;
	unsigned first = w->chains[w->at].iov_at;

	iov_read(&net->iov[1 + first], w->n_iov - first, HEAD_BYTES,
		 p->frame + HEAD_BYTES, w->bytes - HEAD_BYTES);
	memcpy(p->frame, head, HEAD_BYTES);
	p->frame_bytes = bytes;
	window_clear(p, w);
}

/* 1: a frame was moved or dropped; 0: the host has none; -1: no room. */
static int move_short(struct net_pair *p, struct window *w)
{
	uint8_t head[HEAD_BYTES];
	ssize_t n = read_frame(p, w, head);

	if (n <= 0)
		return 0;
	p->large = (size_t)n > w->chains[w->at].bytes;
	if (!judge(p, head, (size_t)n))
		return 1;
	if ((size_t)n <= (p->net->dev.features & NET_F_MRG_RXBUF
				  ? w->bytes
				  : w->chains[w->at].bytes)) {
		hand_over(p, w, head, (size_t)n);
		return 1;
	}
	put_together(p, w, head, (size_t)n);
	return deliver(p) ? 1 : -1;
}

/* For buffers too small to look at a frame's beginning in. */
static int move_long(struct net_pair *p, struct window *w)
{
	const struct iovec iov = {p->frame, sizeof(p->frame)};
	ssize_t n;

	window_clear(p, w);
	n = netdev_recv(p->netdev, &iov, 1);
	if (n <= 0)
		return 0;
	if (!judge(p, p->frame, (size_t)n))
		return 1;
	p->frame_bytes = (size_t)n;
	return deliver(p) ? 1 : -1;
}

static int move(struct net_pair *p, struct window *w)
{
	if (p->frame_bytes)
		return deliver(p) ? 1 : -1;
	if (!window_fill(p, w))
		return -1;
	return w->chains[w->at].bytes < HEAD_BYTES ? move_long(p, w)
						   : move_short(p, w);
}

/* All that was moved since `began`, and before it what had to stay longer. */
static void take_times(struct net_pair *p, uint64_t began)
{
	uint64_t now = uv_hrtime();

	if (p->frame_ns && !p->frame_bytes) {
		if (p->moved) {
			io_flow_time(&p->rx_times, 1, now - p->frame_ns);
			p->moved--;
		}
		p->frame_ns = 0;
	}
	if (p->moved)
		io_flow_time(&p->rx_times, p->moved, now - began);
	if (p->frame_bytes && !p->frame_ns)
		p->frame_ns = now;
	p->moved = 0;
}

void net_rx_pump(struct net_pair *p)
{
	struct virtio_net *net = p->net;
	uint64_t began = uv_hrtime();
	struct window w;
	bool live = virtio_live(&net->dev) &&
		    net->dev.queues[net_rx_queue(p)].ready;
	int moved = live ? 1 : -1;
	unsigned n;

	if (net->dev.doomed) {
		netdev_poll(p->netdev, false);
		return;
	}
	w.at = w.n = w.n_iov = 0;
	w.bytes = 0;
	for (n = 0; n < BURST && moved > 0 && net_link_is_up(net); n++)
		moved = move(p, &w);
	window_clear(p, &w);
	/* Polling stops while the guest has no room; its next buffer is
	 * announced by a kick. */
	netdev_poll(p->netdev, moved >= 0 && net_link_is_up(net));
	virtio_notify(&net->dev, net_rx_queue(p));
	take_times(p, began);
	if (n == BURST)
		virtio_kick_later(&net->dev, net_rx_queue(p));
}

void net_rx_discard(struct net_pair *p)
{
	const struct iovec iov = {p->frame, sizeof(p->frame)};

	p->frame_bytes = 0;
	for (unsigned i = 0; i < DISCARD_MAX; i++)
		if (netdev_recv(p->netdev, &iov, 1) <= 0)
			break;
		else
			p->unwanted++;
}
