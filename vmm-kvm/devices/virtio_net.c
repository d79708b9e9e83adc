#include "vmm-kvm/devices/virtio_net.h"

#include "lib/base/fd.h"
#include "vmm-kvm/devices/virtio_net_internal.h"

#define QUEUE_SIZE 256

/* What the driver may use of an offload the host's end knows of: for frames it
 * sends, and for those it receives. */
static const struct {
	unsigned host;
	uint64_t features;
} offload_features[] = {
	{NETDEV_CSUM, NET_F_CSUM | NET_F_GUEST_CSUM},
	{NETDEV_TSO4, NET_F_HOST_TSO4 | NET_F_GUEST_TSO4},
	{NETDEV_TSO6, NET_F_HOST_TSO6 | NET_F_GUEST_TSO6},
	{NETDEV_ECN, NET_F_HOST_ECN | NET_F_GUEST_ECN},
	{NETDEV_UFO, NET_F_HOST_UFO | NET_F_GUEST_UFO},
	{NETDEV_USO, NET_F_HOST_USO | NET_F_GUEST_USO4 | NET_F_GUEST_USO6},
};

static struct virtio_net *from_dev(struct virtio_dev *d)
{
	return container_of(d, struct virtio_net, dev);
}

/* The features whose every host end knows the offload. */
static uint64_t offloads_offered(const struct virtio_net *net)
{
	unsigned known = ~0u;
	uint64_t features = 0;

	for (unsigned i = 0; i < net->n_pairs; i++)
		known &= netdev_offloads(net->pairs[i].netdev);
	for (size_t i = 0; i < ARRAY_SIZE(offload_features); i++)
		if (known & offload_features[i].host)
			features |= offload_features[i].features;
	if (features & NET_GUEST_OFFLOADS)
		features |= NET_F_CTRL_GUEST_OFFLOADS;
	return features;
}

/* 5.1.3: what the driver took, in the host's words. */
static unsigned host_offloads(const struct virtio_net *net)
{
	unsigned offloads = 0;

	for (size_t i = 0; i < ARRAY_SIZE(offload_features); i++) {
		uint64_t guest = offload_features[i].features &
				 NET_GUEST_OFFLOADS;

		if ((net->offloads & guest) == guest)
			offloads |= offload_features[i].host;
	}
	return offloads;
}

/* Only those in use are handed frames; a pair that cannot be detached goes on
 * being handed its own, which nobody fetches. */
static void attach_queues(struct virtio_net *net)
{
	for (unsigned i = 0; i < net->n_pairs && net->n_pairs > 1; i++)
		(void)netdev_attach_queue(net->pairs[i].netdev,
					  i < net->n_active);
}

void net_sync(struct virtio_net *net)
{
	if (net->synced || !virtio_live(&net->dev))
		return;
	for (unsigned i = 0; i < net->n_pairs; i++)
		netdev_set_offloads(net->pairs[i].netdev, host_offloads(net));
	attach_queues(net);
	net->synced = true;
}

/* Frames move without us: nobody else may look for them then. */
static bool served(const struct virtio_net *net)
{
	return net->has_vhost && net_link_is_up(net) && !net->dev.doomed;
}

static void pump_all(struct virtio_net *net)
{
	if (served(net))
		virtio_vhost_kick(&net->vh);
	for (unsigned i = 0; i < net->n_active && !served(net); i++)
		net_rx_pump(&net->pairs[i]);
}

void net_set_active(struct virtio_net *net, unsigned n)
{
	net->n_active = n;
	if (net->has_vhost)
		virtio_vhost_set_active(&net->vh, 2 * n);
	for (unsigned i = n; i < net->n_pairs; i++)
		netdev_poll(net->pairs[i].netdev, false);
	attach_queues(net);
	pump_all(net);
}

/* The first call after DRIVER_OK: until then nothing is known. */
static void begin(struct virtio_net *net)
{
	if (net->synced || !virtio_live(&net->dev))
		return;
	/* One that was loaded has them from its driver already. */
	if (!net->loaded) {
		net->offloads = net->dev.features & NET_GUEST_OFFLOADS;
		net->filter.by_vlan = net->dev.features & NET_F_CTRL_VLAN;
	}
	net_sync(net);
	if (net->has_vhost)
		virtio_vhost_set_active(&net->vh, 2 * net->n_active);
}

/* 5.1.2: behind the pairs the driver knows of. */
static unsigned ctrl_queue(const struct virtio_net *net)
{
	return net->dev.features & NET_F_MQ ? 2 * net->n_pairs : 2;
}

static void kick(struct virtio_dev *d, unsigned index)
{
	struct virtio_net *net = from_dev(d);
	struct net_pair *p = &net->pairs[index / 2];

	begin(net);
	if (index == ctrl_queue(net)) {
		if (d->features & NET_F_CTRL_VQ)
			net_ctrl_pump(net, index);
	} else if (index / 2 >= net->n_active) {
		return;
	} else if (served(net)) {
		netdev_poll(p->netdev, false);
		virtio_vhost_kick(&net->vh);
	} else if (index == net_rx_queue(p)) {
		net_rx_pump(p);
	} else if (!p->full) {
		net_tx_pump(p);
	}
}

static void reset(struct virtio_dev *d)
{
	struct virtio_net *net = from_dev(d);

	if (net->has_vhost)
		virtio_vhost_reset(&net->vh);
	net->synced = net->loaded = false;
	net->n_active = 1;
	net->offloads = 0;
	net->filter = (struct net_filter){.promiscuous = true};
	net->config.status &= (uint16_t)~NET_STATUS_ANNOUNCE;
	memcpy(net->config.mac, net->mac, sizeof(net->mac));
	for (unsigned i = 0; i < net->n_pairs; i++) {
		net->pairs[i].frame_bytes = 0;
		net->pairs[i].full = net->pairs[i].large = false;
	}
}

static void call_changed(struct virtio_dev *d)
{
	if (from_dev(d)->has_vhost)
		virtio_vhost_call_changed(&from_dev(d)->vh);
}

/*
 * From here on no frame moves and no interrupt comes, but commands are
 * answered: Linux (6.1) waits for those with its CPU; and once it has noticed
 * that the device is gone, an interrupt has it look for room in its transmit
 * ring, over and over, with a CPU that does nothing else any more
 * (virtnet_poll_cleantx()).
 */
static void doom(struct virtio_dev *d)
{
	struct virtio_net *net = from_dev(d);

	if (net->has_vhost)
		virtio_vhost_stop(&net->vh);
	for (unsigned i = 0; i < net->n_pairs; i++)
		netdev_poll(net->pairs[i].netdev, false);
}

static void closed(struct virtio_dev *d)
{
	free(from_dev(d));
}

/* No host end may call any more, vhost's among them. */
static void net_free(struct virtio_dev *d)
{
	struct virtio_net *net = from_dev(d);

	if (net->has_vhost)
		virtio_vhost_stop(&net->vh);
	for (unsigned i = 0; i < net->n_pairs; i++)
		netdev_free(net->pairs[i].netdev);
	if (net->has_vhost)
		virtio_vhost_close(&net->vh, closed);
	else
		closed(d);
}

static const struct virtio_dev_ops ops = {
	.name = "virtio-net",
	.device_id = VIRTIO_ID_NET,
	.pci_class = 0x020000,
	.kick = kick,
	.reset = reset,
	.call_changed = call_changed,
	.doom = doom,
	.hold = net_hold,
	.save = net_save,
	.load = net_load,
	.free = net_free,
};

/* 5.1.6.5.4: a guest whose cable was moved tells its neighbours. */
static void link_changed(struct virtio_net *net)
{
	bool was = net_link_is_up(net), is = net->wanted_up && !net->gone;

	if (was == is)
		return;
	net->config.status = is ? NET_STATUS_LINK_UP : 0;
	if (is && (net->dev.features & NET_F_GUEST_ANNOUNCE))
		net->config.status |= NET_STATUS_ANNOUNCE;
	if (net->has_vhost && !is)
		virtio_vhost_stop(&net->vh);
	virtio_config_changed(&net->dev);
}

void virtio_net_set_link(struct virtio_dev *d, bool up)
{
	struct virtio_net *net = from_dev(d);

	virtio_enter(d);
	net->wanted_up = up;
	for (unsigned i = 0; i < net->n_pairs && up && !net_link_is_up(net);
	     i++)
		net_rx_discard(&net->pairs[i]);
	link_changed(net);
	pump_all(net);
	virtio_leave(d);
}

static void on_readable(void *cookie)
{
	struct net_pair *p = cookie;

	virtio_enter(&p->net->dev);
	begin(p->net);
	if (served(p->net))
		netdev_poll(p->netdev, false);
	else
		net_rx_pump(p);
	virtio_leave(&p->net->dev);
}

static void on_writable(void *cookie)
{
	struct net_pair *p = cookie;

	virtio_enter(&p->net->dev);
	net_tx_pump(p);
	virtio_leave(&p->net->dev);
}

/* Once: a guest can break its rings as often as it likes. */
static void tell_failed(struct virtio_net *net, const char *why)
{
	if (net->failed && !net->told)
		net->failed(net->cookie, why);
	net->told = true;
}

/* One queue of a tap goes with the tap; what waited for the host is lost. */
static void lose(struct virtio_net *net, int err)
{
	net->gone = true;
	link_changed(net);
	for (unsigned i = 0; i < net->n_active; i++)
		net_tx_pump(&net->pairs[i]);
	tell_failed(net, err == -EPROTO
				 ? "what its host end sends are no frames; its "
				   "link is down"
				 : "its host end is gone; its link is down");
}

static void on_failed(void *cookie, int err)
{
	struct net_pair *p = cookie;

	virtio_enter(&p->net->dev);
	lose(p->net, err);
	virtio_leave(&p->net->dev);
}

/* To the kernel a ring whose tap is gone is as bad as a malformed one. */
static bool on_vhost_blameless(void *cookie)
{
	struct virtio_net *net = cookie;

	for (unsigned i = 0; i < net->n_pairs; i++)
		if (!netdev_alive(net->pairs[i].netdev)) {
			lose(net, -ENODEV);
			return true;
		}
	return false;
}

/* With the lock held. The device needs a reset, and may work then. */
static void on_vhost_failed(void *cookie, const char *why)
{
	tell_failed(cookie, why);
}

static const struct netdev_guest guest = {
	.readable = on_readable,
	.writable = on_writable,
	.failed = on_failed,
};

static int pairs_open(struct virtio_net *net, uv_loop_t *loop,
		      struct fd_list *ends, struct error *e)
{
	int r = 0;

	while (r == 0 && net->n_pairs < ends->n) {
		struct net_pair *p = &net->pairs[net->n_pairs];

		p->net = net;
		p->index = net->n_pairs;
		r = netdev_open(loop, TAKE_FD(ends->fds[p->index]), &guest, p,
				&p->netdev, e);
		net->n_pairs += r == 0;
	}
	return r;
}

static void init(struct virtio_net *net, const struct virtio_net_params *p)
{
	const uint64_t features = NET_F_MAC | NET_F_MRG_RXBUF | NET_F_STATUS |
				  NET_F_CTRL_VQ | NET_F_CTRL_RX |
				  NET_F_CTRL_RX_EXTRA | NET_F_CTRL_VLAN |
				  NET_F_CTRL_MAC_ADDR | NET_F_GUEST_ANNOUNCE |
				  (net->n_pairs > 1 ? NET_F_MQ : 0) |
				  (p->mtu ? NET_F_MTU : 0);

	net->config = (struct net_config){
		.status = p->link_down ? 0 : NET_STATUS_LINK_UP,
		.max_pairs = (uint16_t)net->n_pairs,
		.mtu = p->mtu,
	};
	memcpy(net->mac, p->mac, sizeof(net->mac));
	net->wanted_up = !p->link_down;
	net->failed = p->failed;
	net->cookie = p->cookie;
	virtio_dev_init(&net->dev, &ops, features | offloads_offered(net),
			&net->config, sizeof(net->config), 2 * net->n_pairs + 1,
			QUEUE_SIZE);
	reset(&net->dev);
}

static int vhost_init(struct virtio_net *net, const struct virtio_net_params *p,
		      struct error *e)
{
	const struct virtio_vhost_params vh = {
		.loop = p->loop,
		.dev = &net->dev,
		.vhost = p->vhost,
		.n_rings = 2 * net->n_pairs,
		/* Of the rings it serves it knows this one alone. */
		.own_features = ~(NET_F_MRG_RXBUF | VIRTIO_F_INDIRECT_DESC |
				  VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1),
		.failed = on_vhost_failed,
		.blameless = on_vhost_blameless,
		.cookie = net,
	};

	net->has_vhost = true;
	return virtio_vhost_init(&net->vh, &vh, e);
}

int virtio_net_new(const struct virtio_net_params *params,
		   struct virtio_dev **ret, struct error *e)
{
	_cleanup_fds_ struct fd_list ends = params->ends;
	_cleanup_(vhost_freep) struct vhost *vhost = params->vhost;
	struct virtio_net *net = NULL;
	int r;

	if (ends.n >= 1 && ends.n <= VIRTIO_NET_PAIRS_MAX)
		net = calloc(1, sizeof(*net) + ends.n * sizeof(*net->pairs));
	if (!net)
		return error_set(e, -ENOMEM, "out of memory for virtio-net");
	r = pairs_open(net, params->loop, &ends, e);
	if (r == 0) {
		init(net, params);
		if (TAKE_PTR(vhost))
			r = vhost_init(net, params, e);
	}
	if (r < 0) {
		net_free(&net->dev);
		return r;
	}
	*ret = &net->dev;
	return 0;
}

static void add_flow(struct io_flow_stats *to, const struct io_flow_stats *flow)
{
	to->frames += flow->frames;
	to->bytes += flow->bytes;
	to->dropped += flow->dropped;
	to->total_ns += flow->total_ns;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->latency.counts[i] += flow->latency.counts[i];
}

const char *virtio_net_vhost_tap(const struct virtio_dev *d)
{
	const struct virtio_net *net = container_of(d, struct virtio_net, dev);

	return net->has_vhost ? netdev_name(net->pairs[0].netdev) : NULL;
}

void virtio_net_stats(struct virtio_dev *d, struct netdev_stats *ret)
{
	const struct virtio_net *net = from_dev(d);

	*ret = (struct netdev_stats){0};
	for (unsigned i = 0; i < net->n_pairs; i++) {
		const struct net_pair *p = &net->pairs[i];
		struct netdev_stats s;

		netdev_stats(p->netdev, &s);
		add_flow(&ret->sent, &s.sent);
		add_flow(&ret->received, &s.received);
		add_flow(&ret->sent, &p->tx_times);
		add_flow(&ret->received, &p->rx_times);
		ret->received.dropped += p->no_room;
		ret->received.frames -= p->no_room + p->unwanted;
	}
}
