/*
 * vhost-net: a kernel thread for each pair of queues moves frames between its
 * rings and a tap. Rings 2 * i and 2 * i + 1 are those of pair i; one that has
 * no ready ring is left alone.
 */
#ifndef LIB_HOST_VHOST_NET_H
#define LIB_HOST_VHOST_NET_H

#include "lib/host/vhost.h"

#define VHOST_NET_PAIRS_MAX (VHOST_RINGS_MAX / 2)

/* fds: of /dev/vhost-net, `n` of them (1 to VHOST_NET_PAIRS_MAX); consumed,
 * also on failure. taps: as many, borrowed for its life. */
int vhost_net_open(const int *fds, const int *taps, unsigned n,
		   struct vhost **ret, struct error *e) must_check;
#endif
