#include "daemon/tap_stats.h"

#include <linux/rtnetlink.h>
#include <string.h>

#include "daemon/interface.h"

static const struct rtattr *find(const struct rtattr *at, int left,
				 unsigned short type)
{
	for (; RTA_OK(at, left); at = RTA_NEXT(at, left))
		if ((at->rta_type & NLA_TYPE_MASK) == type)
			return at;
	return NULL;
}

/* A supervisor names the interface: what it may learn of is taps. */
static bool is_tap(const struct rtattr *attributes, int left)
{
	const struct rtattr *info = find(attributes, left, IFLA_LINKINFO);
	const struct rtattr *kind = info ? find(RTA_DATA(info),
						(int)RTA_PAYLOAD(info),
						IFLA_INFO_KIND)
					 : NULL;

	return kind && RTA_PAYLOAD(kind) >= sizeof("tun") &&
	       memcmp(RTA_DATA(kind), "tun", sizeof("tun")) == 0;
}

static void take(const struct nlmsghdr *h, size_t size,
		 struct io_flow_stats *rx, struct io_flow_stats *tx)
{
	const struct rtattr *attributes, *stats;
	struct rtnl_link_stats64 s;
	int left;

	if (!NLMSG_OK(h, size))
		return;
	attributes = IFLA_RTA(NLMSG_DATA(h));
	left = (int)IFLA_PAYLOAD(h);
	stats = find(attributes, left, IFLA_STATS64);
	if (!stats || !is_tap(attributes, left))
		return;
	memset(&s, 0, sizeof(s));
	memcpy(&s, RTA_DATA(stats), MIN(sizeof(s), RTA_PAYLOAD(stats)));
	/* What the tap transmits the guest receives. */
	*rx = (struct io_flow_stats){s.tx_packets, s.tx_bytes, s.tx_dropped};
	*tx = (struct io_flow_stats){s.rx_packets, s.rx_bytes, s.rx_dropped};
}

void tap_stats_read(const char *tap, struct io_flow_stats *rx,
		    struct io_flow_stats *tx)
{
	_Alignas(struct nlmsghdr) uint8_t answer[INTERFACE_ANSWER_MAX];
	ssize_t n = interface_ask(tap, answer, sizeof(answer));

	if (n > 0)
		take((const void *)answer, (size_t)n, rx, tx);
}
