#include "vmm-kvm/devices/virtio_net_internal.h"

/* Frames moved in a turn of the loop. */
#define BURST VIRTQUEUE_SIZE_MAX

/* What a segmentation asks of the driver to have taken; 0: it is none of
 * those, ~0: nobody could. */
static uint64_t gso_needs(uint8_t type)
{
	switch (type & ~NET_GSO_ECN) {
	case NET_GSO_NONE:
		return 0;
	case NET_GSO_TCPV4:
		return NET_F_HOST_TSO4;
	case NET_GSO_TCPV6:
		return NET_F_HOST_TSO6;
	case NET_GSO_UDP:
		return NET_F_HOST_UFO;
	case NET_GSO_UDP_L4:
		return NET_F_HOST_USO;
	default:
		return ~0ull;
	}
}

/* A header that asks for no more than the driver took; what it means in the
 * frame is the host's to judge. */
static bool header_judge(const struct virtio_net *net,
			 struct net_header *header)
{
	uint64_t features = net->dev.features, needed;

	header->num_buffers = 0;
	if (!(features & NET_F_CSUM)) {
		memset(header, 0, sizeof(*header));
		return true;
	}
	header->flags &= NET_HEADER_NEEDS_CSUM;
	needed = gso_needs(header->gso_type);
	if (header->gso_type & NET_GSO_ECN)
		needed |= NET_F_HOST_ECN;
	return (features & needed) == needed;
}

/* One frame. One that the guest may not send, or the host does not take, is
 * lost: 0. 1: it is sent. -EAGAIN: the host takes it later. */
static int transmit(struct net_pair *p, struct virtq_chain *chain)
{
	struct virtio_net *net = p->net;
	struct net_header header;
	struct iovec *data = chain->iov;
	ssize_t bytes;
	unsigned n;

	iov_read(chain->iov, chain->n_out, 0, &header, sizeof(header));
	n = iov_drop_front(&data, chain->n_out, NETDEV_HEADER_BYTES);
	if (n == 0 ||
	    chain->out_bytes > NETDEV_HEADER_BYTES + NETDEV_FRAME_MAX ||
	    !header_judge(net, &header) || !net_link_is_up(net))
		return 0;
	net->iov[0] = (struct iovec){&header, sizeof(header)};
	memcpy(&net->iov[1], data, n * sizeof(*data));
	bytes = netdev_send(p->netdev, net->iov, (int)n + 1);
	return bytes == -EAGAIN ? -EAGAIN : bytes > 0;
}

void net_tx_pump(struct net_pair *p)
{
	struct virtio_net *net = p->net;
	uint64_t began = p->full_ns ? p->full_ns : uv_hrtime();
	unsigned queue = net_tx_queue(p), n, sent = 0;

	if (net->dev.doomed)
		return;
	p->full = false;
	p->full_ns = 0;
	for (n = 0; n < BURST && virtio_pop(&net->dev, queue, &net->first);
	     n++) {
		if (net->first.out_bytes < NETDEV_HEADER_BYTES) {
			virtio_fail(&net->dev);
			return;
		}
		int r = transmit(p, &net->first);

		if (r == -EAGAIN) {
			virtqueue_unpop(&net->dev.queues[queue], 1);
			p->full = true;
			p->full_ns = began;
			break;
		}
		sent += (unsigned)r;
		virtio_push(&net->dev, queue, net->first.head, 0);
	}
	netdev_flush(p->netdev);
	if (sent)
		io_flow_time(&p->tx_times, sent, uv_hrtime() - began);
	virtio_notify(&net->dev, queue);
	if (n == BURST)
		virtio_kick_later(&net->dev, queue);
}
