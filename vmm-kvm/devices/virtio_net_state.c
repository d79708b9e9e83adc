/*
 * virtio-net in a snapshot: what its driver asked for by the control queue. A
 * frame that found no room is lost, as on any medium.
 */
#include "vmm-kvm/devices/virtio_net_internal.h"

void net_hold(struct virtio_dev *d, bool held)
{
	struct virtio_net *net = container_of(d, struct virtio_net, dev);

	if (held && net->has_vhost)
		virtio_vhost_stop(&net->vh);
	/* Afterwards the kick of each queue begins it again. */
	for (unsigned i = 0; held && i < net->n_pairs; i++)
		netdev_poll(net->pairs[i].netdev, false);
}

static void put_table(struct state_out *out, const struct net_filter_table *t)
{
	state_put_u8(out, t->all);
	state_put_u8(out, (uint8_t)t->n);
	state_put(out, t->macs, t->n * sizeof(t->macs[0]));
}

void net_save(const struct virtio_dev *d, struct state_out *out)
{
	const struct virtio_net *net = container_of(d, struct virtio_net, dev);
	const struct net_filter *f = &net->filter;

	state_put_u16(out, (uint16_t)net->n_active);
	state_put_u8(out, net->wanted_up);
	state_put_u64(out, net->synced ? net->offloads
				       : d->features & NET_GUEST_OFFLOADS);
	state_put(out, net->config.mac, sizeof(net->config.mac));
	state_put_u8(out, f->promiscuous);
	state_put_u8(out, f->all_multicast);
	state_put_u8(out, f->all_unicast);
	state_put_u8(out, f->no_multicast);
	state_put_u8(out, f->no_unicast);
	state_put_u8(out, f->no_broadcast);
	put_table(out, &f->unicast);
	put_table(out, &f->multicast);
	for (size_t i = 0; i < ARRAY_SIZE(f->vlans); i++)
		state_put_u32(out, f->vlans[i]);
}

static void get_table(struct state_in *in, struct net_filter_table *t)
{
	t->all = state_get_bool(in);
	t->n = state_get_u8(in);
	if (t->n > NET_FILTER_MACS)
		in->failed = true;
	else
		state_get(in, t->macs, t->n * sizeof(t->macs[0]));
}

static void get_filter(struct state_in *in, struct net_filter *f)
{
	f->promiscuous = state_get_bool(in);
	f->all_multicast = state_get_bool(in);
	f->all_unicast = state_get_bool(in);
	f->no_multicast = state_get_bool(in);
	f->no_unicast = state_get_bool(in);
	f->no_broadcast = state_get_bool(in);
	get_table(in, &f->unicast);
	get_table(in, &f->multicast);
	for (size_t i = 0; i < ARRAY_SIZE(f->vlans); i++)
		f->vlans[i] = state_get_u32(in);
}

/* 5.1.6.5.4: its neighbours are to learn where it is now; the interrupt of
 * the configuration comes with the end of the hold. */
static void set_link(struct virtio_net *net, bool up)
{
	net->wanted_up = up;
	net->config.status = up && !net->gone ? NET_STATUS_LINK_UP : 0;
	if (net_link_is_up(net) && (net->dev.features & NET_F_GUEST_ANNOUNCE))
		net->config.status |= NET_STATUS_ANNOUNCE;
}

int net_load(struct virtio_dev *d, struct state_in *in, struct error *e)
{
	struct virtio_net *net = container_of(d, struct virtio_net, dev);
	struct net_filter filter = {.by_vlan = d->features & NET_F_CTRL_VLAN};
	unsigned n_active = state_get_u16(in);
	bool up = state_get_bool(in);
	uint64_t offloads = state_get_u64(in);
	uint8_t mac[sizeof(net->config.mac)];

	state_get(in, mac, sizeof(mac));
	get_filter(in, &filter);
	if (in->failed || n_active < 1 || n_active > net->n_pairs ||
	    (offloads & ~(d->features & NET_GUEST_OFFLOADS)))
		return state_bad(in, e, "cannot be");
	memcpy(net->config.mac, mac, sizeof(mac));
	net->filter = filter;
	net->n_active = n_active;
	net->offloads = offloads;
	net->loaded = true;
	set_link(net, up);
	return 0;
}
