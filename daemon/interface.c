#include "daemon/interface.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"

struct question {
	struct nlmsghdr header;
	struct ifinfomsg info;
	struct rtattr name;
	char text[IFNAMSIZ];
};

ssize_t interface_ask(const char *name, void *answer, size_t size)
{
	_cleanup_close_ int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
					  NETLINK_ROUTE);
	struct question q = {
		.header = {.nlmsg_len = sizeof(q),
			   .nlmsg_type = RTM_GETLINK,
			   .nlmsg_flags = NLM_F_REQUEST},
		.name = {.rta_len = RTA_LENGTH(sizeof(q.text)),
			 .rta_type = IFLA_IFNAME},
	};
	const struct nlmsghdr *h = answer;
	ssize_t n;

	strncpy(q.text, name, sizeof(q.text) - 1);
	/* The kernel answers from within send(). */
	if (sock < 0 || send(sock, &q, sizeof(q), 0) != sizeof(q))
		return -errno;
	n = recv(sock, answer, size, MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	if (!NLMSG_OK(h, (size_t)n))
		return -EBADMSG;
	return h->nlmsg_type == RTM_NEWLINK ? n : -ENODEV;
}

int interface_index(const char *name)
{
	_Alignas(struct nlmsghdr) uint8_t answer[INTERFACE_ANSWER_MAX];
	ssize_t n = interface_ask(name, answer, sizeof(answer));
	const struct ifinfomsg *info;

	if (n < (ssize_t)NLMSG_SPACE(sizeof(*info)))
		return 0;
	info = NLMSG_DATA((struct nlmsghdr *)answer);
	return info->ifi_index;
}
