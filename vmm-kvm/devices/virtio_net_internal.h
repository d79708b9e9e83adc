/*
 * Inside virtio-net: what virtio_net.c (the device), virtio_net_rx.c and _tx.c
 * (frames), virtio_net_ctrl.c (the control queue) and virtio_net_filter.c
 * share. Nobody else includes it.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_NET_INTERNAL_H
#define VMM_KVM_DEVICES_VIRTIO_NET_INTERNAL_H

#include "lib/host/netdev.h"
#include "vmm-kvm/devices/virtio_net.h"
#include "vmm-kvm/devices/virtio_vhost.h"

/* Feature bits, 5.1.3. */
#define NET_F_CSUM		  (1ull << 0)
#define NET_F_GUEST_CSUM	  (1ull << 1)
#define NET_F_CTRL_GUEST_OFFLOADS (1ull << 2)
#define NET_F_MTU		  (1ull << 3)
#define NET_F_MAC		  (1ull << 5)
#define NET_F_GUEST_TSO4	  (1ull << 7)
#define NET_F_GUEST_TSO6	  (1ull << 8)
#define NET_F_GUEST_ECN		  (1ull << 9)
#define NET_F_GUEST_UFO		  (1ull << 10)
#define NET_F_HOST_TSO4		  (1ull << 11)
#define NET_F_HOST_TSO6		  (1ull << 12)
#define NET_F_HOST_ECN		  (1ull << 13)
#define NET_F_HOST_UFO		  (1ull << 14)
#define NET_F_MRG_RXBUF		  (1ull << 15)
#define NET_F_STATUS		  (1ull << 16)
#define NET_F_CTRL_VQ		  (1ull << 17)
#define NET_F_CTRL_RX		  (1ull << 18)
#define NET_F_CTRL_VLAN		  (1ull << 19)
#define NET_F_CTRL_RX_EXTRA	  (1ull << 20)
#define NET_F_GUEST_ANNOUNCE	  (1ull << 21)
#define NET_F_MQ		  (1ull << 22)
#define NET_F_CTRL_MAC_ADDR	  (1ull << 23)
#define NET_F_GUEST_USO4	  (1ull << 54)
#define NET_F_GUEST_USO6	  (1ull << 55)
#define NET_F_HOST_USO		  (1ull << 56)

#define NET_GUEST_OFFLOADS                                        \
	(NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | \
	 NET_F_GUEST_ECN | NET_F_GUEST_UFO | NET_F_GUEST_USO4 |   \
	 NET_F_GUEST_USO6)

#define NET_STATUS_LINK_UP  1
#define NET_STATUS_ANNOUNCE 2

/* struct virtio_net_hdr, 5.1.6; num_buffers is always there in VIRTIO 1. */
struct net_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

_Static_assert(sizeof(struct net_header) == NETDEV_HEADER_BYTES, "5.1.6");

enum {
	NET_HEADER_NEEDS_CSUM = 1,
	NET_GSO_NONE = 0,
	NET_GSO_TCPV4 = 1,
	NET_GSO_UDP = 3,
	NET_GSO_TCPV6 = 4,
	NET_GSO_UDP_L4 = 5,
	NET_GSO_ECN = 0x80,
};

/* struct virtio_net_config up to what we offer, 5.1.4. */
struct net_config {
	uint8_t mac[6];
	uint16_t status, max_pairs, mtu;
} __attribute__((packed));

/* What a driver wants to receive, 5.1.6.5.1 to 5.1.6.5.3. Zeroed but for
 * `promiscuous` it is as after a reset. */
#define NET_FILTER_MACS 64
struct net_filter_table {
	unsigned n;
	bool all; /* more than fit: all of them */
	uint8_t macs[NET_FILTER_MACS][6];
};

struct net_filter {
	bool promiscuous, all_multicast, all_unicast;
	bool no_multicast, no_unicast, no_broadcast;
	bool by_vlan; /* tagged frames of those alone */
	struct net_filter_table unicast, multicast;
	uint32_t vlans[4096 / 32];
};

/* The beginning of a frame that decides: addresses, and a VLAN's tag. */
#define NET_FILTER_BYTES 18

/* Of `bytes` of a frame, NET_FILTER_BYTES or all; what is too short to tell
 * passes. */
bool net_filter_passes(const struct net_filter *f, const uint8_t mac[6],
		       const uint8_t *frame, size_t bytes);

struct virtio_net;

struct net_pair {
	struct virtio_net *net;
	unsigned index;
	struct netdev *netdev;
	bool large; /* the last frame needed several buffers */
	bool full;  /* the host took no more; it says when it does */
	/* A frame read from the host, header first; it stays while the guest
	 * has no room for it. */
	size_t frame_bytes; /* 0: none */
	/* Read, and not for the guest: it had no room, or did not ask. */
	uint64_t no_room, unwanted;
	/* When the frame that stays was read, and the first of those that the
	 * host did not take was noticed; uv_hrtime(). */
	uint64_t frame_ns, full_ns;
	unsigned moved; /* to the guest, in this turn */
	struct io_flow_stats rx_times, tx_times; /* nothing but those */
	uint8_t frame[NETDEV_HEADER_BYTES + NETDEV_FRAME_MAX];
};

struct virtio_net {
	struct virtio_dev dev;
	struct net_config config;
	uint8_t mac[6]; /* as after a reset */
	void (*failed)(void *cookie, const char *why);
	void *cookie;
	unsigned n_pairs, n_active; /* there are; the driver uses */
	bool told;		    /* of the first failure */
	bool wanted_up, gone;	    /* the link, and the host's end */
	bool loaded;		    /* from a snapshot, since its last reset */
	bool synced;	   /* the host's end knows what was negotiated */
	uint64_t offloads; /* of NET_GUEST_OFFLOADS, now */
	bool has_vhost;
	struct virtio_vhost vh; /* serves the pairs in use */
	struct net_filter filter;
	struct virtq_chain first, more; /* of the frame being moved */
	struct virtq_chain command; /* being obeyed, which may move frames */
	struct iovec iov[2 * VIRTQUEUE_SIZE_MAX + 2];
	struct net_pair pairs[];
};

static inline unsigned net_rx_queue(const struct net_pair *p)
{
	return 2 * p->index;
}

static inline unsigned net_tx_queue(const struct net_pair *p)
{
	return 2 * p->index + 1;
}

static inline bool net_link_is_up(const struct virtio_net *net)
{
	return net->config.status & NET_STATUS_LINK_UP;
}

/* Move what there is. Loop thread, lock held, as are all below. */
void net_rx_pump(struct net_pair *p);
void net_tx_pump(struct net_pair *p);
/* Frames nobody wants any more. */
void net_rx_discard(struct net_pair *p);

void net_ctrl_pump(struct virtio_net *net, unsigned queue);

/* Tell the host's end what was negotiated, as far as it does not know. */
void net_sync(struct virtio_net *net);
/* The driver uses that many pairs from now on. */
void net_set_active(struct virtio_net *net, unsigned n);

/* virtio_net_state.c: operations of struct virtio_dev_ops. */
void net_hold(struct virtio_dev *d, bool held);
void net_save(const struct virtio_dev *d, struct state_out *out);
int net_load(struct virtio_dev *d, struct state_in *in, struct error *e);

#endif
