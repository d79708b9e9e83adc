#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "daemon/resource.h"
#include "lib/base/fd.h"
#include <linux/sockios.h>

/* virtio 1.x always has the 12-byte header (VIRTIO 1.1, 5.1.6). */
#define VNET_HEADER_SIZE 12

static int interface_up(int sock, const char *name, struct error *e)
{
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(sock, SIOCGIFFLAGS, &ifr) < 0)
		return error_set(e, -errno, "interface %s: %m", name);
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, &ifr) < 0)
		return error_set(e, -errno, "cannot bring up %s: %m", name);
	return 0;
}

static int bridge_join(int sock, const char *bridge, const char *tap,
		       struct error *e)
{
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", bridge);
	ifr.ifr_ifindex = (int)if_nametoindex(tap);
	if (ioctl(sock, SIOCBRADDIF, &ifr) < 0)
		return error_set(e, -errno,
				 "cannot join %s to bridge \"%s\": %m (see: "
				 "ip link show type bridge)",
				 tap, bridge);
	return 0;
}

/* A name with "%d" in it becomes the first one that is free. */
static int tap_attach(char name[IFNAMSIZ], int *ret_fd, struct error *e)
{
	_cleanup_close_ int fd = open("/dev/net/tun",
				      O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int header = VNET_HEADER_SIZE;

	if (fd < 0)
		return error_set(e, -errno,
				 "cannot open /dev/net/tun: %m (is the module "
				 "\"tun\" loaded?)");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return error_set(e, -errno, "cannot attach to tap %s: %m%s",
				 name,
				 errno == EBUSY ? " (another VM uses it)" : "");
	snprintf(name, IFNAMSIZ, "%s", ifr.ifr_name);
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, 0) < 0)
		return error_set(e, -errno, "cannot set up tap %s: %m", name);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int tap_open(const struct nic_config *nic, int64_t vm_id, int *ret_fd,
	     struct error *e)
{
	_cleanup_close_ int fd = -1, sock = -1;
	char name[IFNAMSIZ];
	int r;

	if (nic->tap)
		snprintf(name, sizeof(name), "%s", nic->tap);
	else
		snprintf(name, sizeof(name), "avm%xn%%d",
			 (unsigned)(vm_id & 0xffffff));
	if (nic->bridge && if_nametoindex(nic->bridge) == 0)
		return error_set(e, -ENOENT,
				 "bridge \"%s\" does not exist; make it with: "
				 "ip link add %s type bridge",
				 nic->bridge, nic->bridge);
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return error_set(e, -errno, "cannot make a socket: %m");
	r = tap_attach(name, &fd, e);
	if (r == 0 && nic->bridge)
		r = bridge_join(sock, nic->bridge, name, e);
	if (r == 0)
		r = interface_up(sock, name, e);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
