/* Filters are best effort (5.1.6.5.1): they spare the guest its interrupts. */
#include "vmm-kvm/devices/virtio_net_internal.h"

#define ETHERNET_BYTES 14
#define VLAN_AT	       12
#define VLAN_TAG       0x8100
#define VLAN_ID_AT     14

static bool listed(const struct net_filter_table *t, const uint8_t mac[6])
{
	for (unsigned i = 0; i < t->n; i++)
		if (memcmp(t->macs[i], mac, 6) == 0)
			return true;
	return t->all;
}

static bool vlan_passes(const struct net_filter *f, const uint8_t *frame,
			size_t bytes)
{
	unsigned id;

	if (!f->by_vlan || bytes < NET_FILTER_BYTES ||
	    (frame[VLAN_AT] << 8 | frame[VLAN_AT + 1]) != VLAN_TAG)
		return true;
	id = (frame[VLAN_ID_AT] << 8 | frame[VLAN_ID_AT + 1]) & 0xfff;
	return f->vlans[id / 32] & 1u << id % 32;
}

bool net_filter_passes(const struct net_filter *f, const uint8_t mac[6],
		       const uint8_t *frame, size_t bytes)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff,
					     0xff, 0xff, 0xff};

	if (f->promiscuous || bytes < ETHERNET_BYTES)
		return true;
	if (!vlan_passes(f, frame, bytes))
		return false;
	if (memcmp(frame, broadcast, 6) == 0)
		return !f->no_broadcast;
	if (frame[0] & 1)
		return !f->no_multicast &&
		       (f->all_multicast || listed(&f->multicast, frame));
	return !f->no_unicast &&
	       (f->all_unicast || memcmp(frame, mac, 6) == 0 ||
		listed(&f->unicast, frame));
}
