/*
 * virtio network device: VIRTIO 1.2, 5.1, over netdevs, one for each pair of
 * queues. Offers MAC, STATUS, MRG_RXBUF; to leave checksums and the cutting of
 * TCP and UDP to the other side, in both directions, as far as the host's end
 * does; a control queue (receive filters, MAC, VLANs, offloads, announcement);
 * MQ with more than one pair; MTU when one is given. Frames that vhost moves
 * are not filtered.
 */
#ifndef VMM_KVM_DEVICES_VIRTIO_NET_H
#define VMM_KVM_DEVICES_VIRTIO_NET_H

#include <uv.h>

#include "lib/base/fd.h"
#include "lib/host/vhost.h"
#include "vmm-kvm/devices/virtio.h"

#define VIRTIO_NET_PAIRS_MAX 8

struct virtio_net_params {
	uv_loop_t *loop; /* borrowed */
	/* One for each pair of queues, 1 to VIRTIO_NET_PAIRS_MAX, as
	 * netdev_open() wants them; consumed, also on failure. */
	struct fd_list ends;
	/* Serves the rings of all pairs while the link is up, or NULL; it may
	 * borrow `ends`. Consumed, also on failure. */
	struct vhost *vhost;
	uint8_t mac[6];
	uint16_t mtu; /* 0: the guest's own choice */
	bool link_down;
	/* The host's end is gone, and the guest's link down for good, or vhost
	 * cannot serve it: `why` is a sentence. Once; loop thread, with the
	 * device lock held. Optional. */
	void (*failed)(void *cookie, const char *why);
	void *cookie;
};

/* *ret is for a transport's _new. Loop thread, before the guest runs. */
int virtio_net_new(const struct virtio_net_params *params,
		   struct virtio_dev **ret, struct error *e) must_check;

struct netdev_stats;

/* The tap of one whose frames vhost moves, so that only the kernel counts them;
 * NULL for others. Borrowed. */
const char *virtio_net_vhost_tap(const struct virtio_dev *d);

/* Frames from the guest ("sent") and to it ("received"), but for those that
 * vhost moves. What it had no room for at all is dropped; what waits is not.
 * A sent frame's time is from the loop's notice of the guest's notification to
 * the end of the write, also when the host took it only later; a received one's
 * from its being read to the notification of the guest, which may have had no
 * buffer for it. Of frames moved together it is that of the slowest.
 * Loop thread, lock not held. */
void virtio_net_stats(struct virtio_dev *d, struct netdev_stats *ret);

/*
 * Plug the cable in or out. Frames of a guest without one are lost, and so are
 * those that came for it meanwhile. Loop thread, lock not held.
 */
void virtio_net_set_link(struct virtio_dev *d, bool up);

#endif
