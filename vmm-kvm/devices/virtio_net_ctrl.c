/* The control queue: VIRTIO 1.2, 5.1.6.5. */
#include <endian.h>

#include "vmm-kvm/devices/virtio_net_internal.h"

enum { ACK_OK = 0, ACK_ERR = 1 };

enum {
	CLASS_RX = 0,
	CLASS_MAC = 1,
	CLASS_VLAN = 2,
	CLASS_ANNOUNCE = 3,
	CLASS_MQ = 4,
	CLASS_GUEST_OFFLOADS = 5,
};

enum {
	RX_PROMISC = 0,
	RX_ALLMULTI = 1,
	RX_ALLUNI = 2,
	RX_NOMULTI = 3,
	RX_NOUNI = 4,
	RX_NOBCAST = 5,
	MAC_TABLE_SET = 0,
	MAC_ADDR_SET = 1,
	VLAN_ADD = 0,
	VLAN_DEL = 1,
	ANNOUNCE_ACK = 0,
	MQ_PAIRS_SET = 0,
	GUEST_OFFLOADS_SET = 0,
};

#define COMMANDS_MAX 64 /* of a turn of the loop */

/* A command, what follows its two bytes, and how far that was read. */
struct command {
	uint8_t class, number;
	const struct virtq_chain *chain;
	size_t at;
};

/* Exactly `size` bytes of the command's own data. */
static bool take(struct command *c, void *out, size_t size)
{
	size_t n = iov_read(c->chain->iov, c->chain->n_out, c->at, out, size);

	c->at += n;
	return n == size;
}

static bool has_feature(const struct virtio_net *net, uint64_t feature)
{
	return net->dev.features & feature;
}

static bool rx_mode(struct virtio_net *net, struct command *c)
{
	struct net_filter *f = &net->filter;
	bool *const modes[] = {
		[RX_PROMISC] = &f->promiscuous,
		[RX_ALLMULTI] = &f->all_multicast,
		[RX_ALLUNI] = &f->all_unicast,
		[RX_NOMULTI] = &f->no_multicast,
		[RX_NOUNI] = &f->no_unicast,
		[RX_NOBCAST] = &f->no_broadcast,
	};
	uint8_t on;

	if (c->number >= ARRAY_SIZE(modes) ||
	    !has_feature(net, c->number <= RX_ALLMULTI ? NET_F_CTRL_RX
						       : NET_F_CTRL_RX_EXTRA) ||
	    !take(c, &on, 1))
		return false;
	*modes[c->number] = on;
	return true;
}

/* le32 entries, then that many addresses. */
static bool take_table(struct command *c, struct net_filter_table *t)
{
	uint32_t n;

	if (!take(c, &n, sizeof(n)))
		return false;
	n = le32toh(n);
	t->all = n > NET_FILTER_MACS;
	t->n = t->all ? 0 : n;
	if (!t->all)
		return take(c, t->macs, n * sizeof(*t->macs));
	/* Skipped, and there, or the tables do not agree with the chain. */
	if (n > (c->chain->out_bytes - c->at) / sizeof(*t->macs))
		return false;
	c->at += n * sizeof(*t->macs);
	return true;
}

static bool mac_table(struct virtio_net *net, struct command *c)
{
	struct net_filter_table unicast = {0}, multicast = {0};

	if (!take_table(c, &unicast) || !take_table(c, &multicast))
		return false;
	net->filter.unicast = unicast;
	net->filter.multicast = multicast;
	return true;
}

static bool mac(struct virtio_net *net, struct command *c)
{
	uint8_t address[6];

	if (c->number == MAC_TABLE_SET && has_feature(net, NET_F_CTRL_RX))
		return mac_table(net, c);
	if (c->number != MAC_ADDR_SET ||
	    !has_feature(net, NET_F_CTRL_MAC_ADDR) ||
	    !take(c, address, sizeof(address)) || (address[0] & 1))
		return false;
	memcpy(net->config.mac, address, sizeof(address));
	return true;
}

static bool vlan(struct virtio_net *net, struct command *c)
{
	uint16_t id;
	uint32_t *word, bit;

	if (!has_feature(net, NET_F_CTRL_VLAN) || c->number > VLAN_DEL ||
	    !take(c, &id, sizeof(id)))
		return false;
	id = le16toh(id);
	if (id >= 4096)
		return false;
	word = &net->filter.vlans[id / 32];
	bit = 1u << id % 32;
	*word = c->number == VLAN_ADD ? *word | bit : *word & ~bit;
	return true;
}

static bool announced(struct virtio_net *net, struct command *c)
{
	if (!has_feature(net, NET_F_GUEST_ANNOUNCE) ||
	    c->number != ANNOUNCE_ACK ||
	    !(net->config.status & NET_STATUS_ANNOUNCE))
		return false;
	net->config.status &= (uint16_t)~NET_STATUS_ANNOUNCE;
	return true;
}

static bool pairs(struct virtio_net *net, struct command *c)
{
	uint16_t n;

	if (!has_feature(net, NET_F_MQ) || c->number != MQ_PAIRS_SET ||
	    !take(c, &n, sizeof(n)))
		return false;
	n = le16toh(n);
	if (n < 1 || n > net->n_pairs)
		return false;
	net_set_active(net, n);
	return true;
}

static bool guest_offloads(struct virtio_net *net, struct command *c)
{
	uint64_t offloads;

	if (!has_feature(net, NET_F_CTRL_GUEST_OFFLOADS) ||
	    c->number != GUEST_OFFLOADS_SET ||
	    !take(c, &offloads, sizeof(offloads)))
		return false;
	offloads = le64toh(offloads);
	if (offloads & ~(net->dev.features & NET_GUEST_OFFLOADS))
		return false;
	net->offloads = offloads;
	net->synced = false;
	net_sync(net);
	return true;
}

static bool obey(struct virtio_net *net, struct command *c)
{
	switch (c->class) {
	case CLASS_RX:
		return rx_mode(net, c);
	case CLASS_MAC:
		return mac(net, c);
	case CLASS_VLAN:
		return vlan(net, c);
	case CLASS_ANNOUNCE:
		return announced(net, c);
	case CLASS_MQ:
		return pairs(net, c);
	case CLASS_GUEST_OFFLOADS:
		return guest_offloads(net, c);
	default:
		return false;
	}
}

void net_ctrl_pump(struct virtio_net *net, unsigned queue)
{
	struct virtq_chain *chain = &net->command;
	unsigned n;

	for (n = 0; n < COMMANDS_MAX && virtio_pop(&net->dev, queue, chain);
	     n++) {
		struct command c = {.chain = chain};
		uint8_t ack;

		if (!take(&c, &c.class, 1) || !take(&c, &c.number, 1) ||
		    chain->in_bytes < 1) {
			virtio_fail(&net->dev);
			return;
		}
		ack = obey(net, &c) ? ACK_OK : ACK_ERR;
		iov_write(chain->iov + chain->n_out, chain->n_in, 0, &ack, 1);
		virtio_push(&net->dev, queue, chain->head, 1);
	}
	virtio_notify(&net->dev, queue);
	if (n == COMMANDS_MAX)
		virtio_kick_later(&net->dev, queue);
}
