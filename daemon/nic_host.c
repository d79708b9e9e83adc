#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "daemon/interface.h"
#include "daemon/nic_host.h"
#include "daemon/nic_mac.h"
#include "daemon/supervisor_link.h"
#include "daemon/vm.h"
#include "lib/base/parse.h"

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
	ifr.ifr_ifindex = interface_index(tap);
	if (ioctl(sock, SIOCBRADDIF, &ifr) < 0)
		return error_set(e, -errno,
				 "cannot join %s to bridge \"%s\": %m (see: "
				 "ip link show type bridge)",
				 tap, bridge);
	return 0;
}

/* The greatest frame an interface carries, less its Ethernet header. */
static int interface_mtu(int sock, const char *name, uint32_t *ret,
			 struct error *e)
{
	struct ifreq ifr = {0};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(sock, SIOCGIFMTU, &ifr) < 0)
		return error_set(e, -errno, "interface %s: %m", name);
	*ret = (uint32_t)ifr.ifr_mtu;
	return 0;
}

static int interface_set_mtu(int sock, const char *name, uint32_t mtu,
			     struct error *e)
{
	struct ifreq ifr = {.ifr_mtu = (int)mtu};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(sock, SIOCSIFMTU, &ifr) < 0)
		return error_set(e, -errno,
				 "cannot set the MTU of %s to %u: %m", name,
				 mtu);
	return 0;
}

/* What the guest is told, its host interface has to carry. */
static int check_mtu(int sock, const char *name, const struct nic_config *nic,
		     uint32_t *ret, struct error *e)
{
	int r = interface_mtu(sock, name, ret, e);

	if (r < 0 || nic->mtu <= *ret)
		return r;
	return error_set(e, -EINVAL,
			 "nic \"%s\": mtu is %u, but %s carries %u; lower it, "
			 "or: ip link set %s mtu %u",
			 nic->id, nic->mtu, name, *ret, name, nic->mtu);
}

/*
 * A tap of ours takes the MTU it is to have before it joins a bridge: a bridge
 * follows the smallest of its ports.
 */
static int fit_mtu(int sock, const char *name, bool fresh,
		   const struct nic_config *nic, struct error *e)
{
	uint32_t mtu = nic->mtu;
	int r = 0;

	if (nic->bridge)
		r = check_mtu(sock, nic->bridge, nic, &mtu, e);
	else if (!fresh)
		r = check_mtu(sock, name, nic, &mtu, e);
	if (r == 0 && fresh && mtu)
		r = interface_set_mtu(sock, name, mtu, e);
	return r;
}

/*
 * The guest's own address with another first byte: the same at every start, so
 * that what a restored guest remembers of its neighbour is still true; and so
 * high that a bridge, which takes the lowest of its ports, never takes it.
 */
static int interface_set_mac(int sock, const char *name, const char *guest,
			     struct error *e)
{
	struct ifreq ifr = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};
	uint8_t mac[6];
	int r = parse_mac(guest, "mac", mac, e);

	if (r < 0)
		return r;
	mac[0] = mac[0] == 0xfe ? 0xfa : 0xfe;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	memcpy(ifr.ifr_hwaddr.sa_data, mac, sizeof(mac));
	if (ioctl(sock, SIOCSIFHWADDR, &ifr) < 0)
		return error_set(e, -errno, "cannot set the address of %s: %m",
				 name);
	return 0;
}

static int set_iff(int fd, char name[IFNAMSIZ], short flags)
{
	struct ifreq ifr = {.ifr_flags = flags};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	snprintf(name, IFNAMSIZ, "%s", ifr.ifr_name);
	return 0;
}

/* One queue. A tap that exists has several or one, and is to be opened as what
 * it is; one queue of several will do. */
static int queue_attach(int fd, char name[IFNAMSIZ], unsigned queues,
			struct error *e)
{
	const short flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	int r = set_iff(fd, name, queues > 1 ? flags | IFF_MULTI_QUEUE : flags);

	if (r == -EINVAL && queues == 1)
		r = set_iff(fd, name, flags | IFF_MULTI_QUEUE);
	if (r == -EINVAL && queues > 1)
		return error_set(
			e, r,
			"tap %s has one queue; give it more (ip tuntap "
			"add dev %s mode tap multi_queue), or leave "
			"\"queues\" out",
			name, name);
	if (r < 0)
		return error_set(e, r, "cannot attach to tap %s: %s%s", name,
				 strerror(-r),
				 r == -EBUSY ? " (another VM uses it)" : "");
	return 0;
}

/* A name with "%d" in it becomes the first one that is free. */
static int tap_attach(char name[IFNAMSIZ], unsigned queues, struct fd_list *ret,
		      struct error *e)
{
	_cleanup_close_ int fd = open("/dev/net/tun",
				      O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int header = VNET_HEADER_SIZE, r;

	if (fd < 0)
		return error_set(e, -errno,
				 "cannot open /dev/net/tun: %m (is the module "
				 "\"tun\" loaded?)");
	r = queue_attach(fd, name, queues, e);
	if (r < 0)
		return r;
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, 0) < 0)
		return error_set(e, -errno, "cannot set up tap %s: %m", name);
	ret->fds[ret->n++] = TAKE_FD(fd);
	return 0;
}

/* With a number of the kernel's behind it, which is the first that is free. */
static void made_prefix(int64_t vm_id, char ret[IFNAMSIZ])
{
	snprintf(ret, IFNAMSIZ, "avm%xn", (unsigned)(vm_id & 0xffffff));
}

static int tap_open(const struct nic_config *nic, int64_t vm_id,
		    struct fd_list *ret, struct error *e)
{
	unsigned queues = vm_nic_queues(nic);
	_cleanup_close_ int sock = -1;
	char name[IFNAMSIZ];
	bool fresh;
	int r = 0;

	if (nic->tap) {
		snprintf(name, sizeof(name), "%s", nic->tap);
	} else {
		made_prefix(vm_id, name);
		strcat(name, "%d");
	}
	fresh = !nic->tap || interface_index(name) == 0;
	if (nic->bridge && interface_index(nic->bridge) == 0)
		return error_set(e, -ENOENT,
				 "bridge \"%s\" does not exist; make it with: "
				 "ip link add %s type bridge",
				 nic->bridge, nic->bridge);
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return error_set(e, -errno, "cannot make a socket: %m");
	for (unsigned i = 0; r == 0 && i < queues; i++)
		r = tap_attach(name, queues, ret, e);
	if (r == 0 && fresh)
		r = interface_set_mac(sock, name, nic->mac, e);
	if (r == 0)
		r = fit_mtu(sock, name, fresh, nic, e);
	if (r == 0 && nic->bridge)
		r = bridge_join(sock, nic->bridge, name, e);
	return r == 0 ? interface_up(sock, name, e) : r;
}

/* For each queue, or, where that is only wished for, for none. */
static int vhost_open(const struct nic_config *nic, struct fd_list *ret,
		      struct error *e)
{
	_cleanup_fds_ struct fd_list opened = {0};
	unsigned queues = vm_nic_queues(nic);

	if (nic->vhost == VM_VHOST_OFF)
		return 0;
	while (opened.n < queues) {
		int fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);

		if (fd < 0 && nic->vhost == VM_VHOST_AUTO)
			return 0;
		if (fd < 0)
			return error_set(e, -errno,
					 "nic \"%s\": vhost is on, but "
					 "/dev/vhost-net cannot be opened: %m "
					 "(is the module \"vhost_net\" "
					 "loaded?)",
					 nic->id);
		opened.fds[opened.n++] = fd;
	}
	memcpy(&ret->fds[ret->n], opened.fds, opened.n * sizeof(*opened.fds));
	ret->n += fd_list_take(&opened).n;
	return 0;
}

static int user_open(const struct nic_config *nic, struct vm *vm,
		     struct nic_host *ret, struct error *e)
{
	const struct passt_params params = {
		.loop = vm->manager->loop,
		.nic = nic,
		.uid = link_uid(vm),
	};
	int r = passt_start(&params, &ret->passt, &ret->fds.fds[0], e);

	ret->fds.n = r == 0;
	return r < 0 ? error_prefix(e, r, "nic \"%s\"", nic->id) : 0;
}

bool nic_host_made(const struct vm *vm, const char *tap)
{
	char prefix[IFNAMSIZ];

	made_prefix(vm->id, prefix);
	return strncmp(tap, prefix, strlen(prefix)) == 0;
}

size_t nic_host_interfaces(const struct vm *vm, int *ret)
{
	const struct vm_config *c = &vm->config;
	char prefix[IFNAMSIZ], name[IFNAMSIZ + 12];
	bool made = false;
	size_t n = 0;

	for (size_t i = 0; i < c->n_nics; i++) {
		int index = c->nics[i].tap ? interface_index(c->nics[i].tap)
					   : 0;

		made |= c->nics[i].bridge && !c->nics[i].tap;
		if (index)
			ret[n++] = index;
	}
	made_prefix(vm->id, prefix);
	for (unsigned i = 0; made && i < VM_NICS_MAX && n < VM_NICS_MAX; i++) {
		int index;

		snprintf(name, sizeof(name), "%s%u", prefix, i);
		index = interface_index(name);
		if (index)
			ret[n++] = index;
	}
	return n;
}

void nic_host_done(struct nic_host *n)
{
	fd_list_done(&n->fds);
	n->passt = passt_forget(n->passt);
}

int nic_host_open(const struct nic_config *nic, struct vm *vm,
		  struct nic_host *ret, struct error *e)
{
	int r = nic_mac_check(vm, nic, e);

	*ret = (struct nic_host){0};
	if (r < 0 || nic->user)
		return r < 0 ? r : user_open(nic, vm, ret, e);
	r = tap_open(nic, vm->id, &ret->fds, e);
	if (r == 0)
		r = vhost_open(nic, &ret->fds, e);
	if (r < 0)
		nic_host_done(ret);
	return r;
}
