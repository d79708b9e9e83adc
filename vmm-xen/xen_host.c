#include <fcntl.h>
#include <linux/loop.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/base/fd.h"
#include "vmm-xen/xen_host.h"
#include "vmm-xen/xen_host_left.h"

/* Between finding a free number and taking it, others may be faster. */
#define LOOP_TRIES 50
#define LOOP_MAJOR 7

static int loop_configure(int loop, int fd, bool readonly, bool direct)
{
	struct loop_config config = {
		.fd = (uint32_t)fd,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR |
				 (readonly ? LO_FLAGS_READ_ONLY : 0) |
				 (direct ? LO_FLAGS_DIRECT_IO : 0),
	};

	return ioctl(loop, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

/* One attempt at the number the kernel says is free. */
static int loop_try(int control, int fd, bool readonly, int *ret,
		    dev_t *ret_dev)
{
	int number = ioctl(control, LOOP_CTL_GET_FREE);
	char path[32];
	_cleanup_close_ int loop = -1;
	int r;

	if (number < 0)
		return -errno;
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	loop = open(path, O_RDWR | O_CLOEXEC);
	if (loop < 0)
		return -errno;
	r = loop_configure(loop, fd, readonly, true);
	if (r == -EINVAL)
		r = loop_configure(loop, fd, readonly, false);
	if (r < 0)
		return r;
	*ret_dev = makedev(LOOP_MAJOR, (unsigned)number);
	*ret = TAKE_FD(loop);
	return 0;
}

static int loop_make(int fd, bool readonly, int *ret_fd, dev_t *ret_dev,
		     struct error *e)
{
	_cleanup_close_ int control = open("/dev/loop-control",
					   O_RDWR | O_CLOEXEC);
	int r = -EBUSY;

	if (control < 0)
		return error_set(e, -errno,
				 "cannot open /dev/loop-control: %m (is the "
				 "module loop loaded?)");
	for (int i = 0; i < LOOP_TRIES && r == -EBUSY; i++)
		r = loop_try(control, fd, readonly, ret_fd, ret_dev);
	if (r < 0)
		return error_set(e, r, "cannot make a loop device: %s",
				 strerror(-r));
	return 0;
}

static int open_block(const char *path, int *ret_fd)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 && (errno == EACCES || errno == EROFS))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int loop_open(dev_t dev, int *ret_fd)
{
	char path[32];

	if (major(dev) != LOOP_MAJOR)
		return -EBADMSG;
	snprintf(path, sizeof(path), "/dev/loop%u", minor(dev));
	return open_block(path, ret_fd);
}

static int loop_file(dev_t dev, dev_t *ret_dev, ino_t *ret_ino)
{
	_cleanup_close_ int fd = -1;
	struct loop_info64 info;
	int r = loop_open(dev, &fd);

	if (r < 0)
		return r;
	if (ioctl(fd, LOOP_GET_STATUS64, &info) < 0)
		return -errno;
	*ret_dev = (dev_t)info.lo_device;
	*ret_ino = (ino_t)info.lo_inode;
	return 0;
}

/* Its name is the kernel's: nobody has to have made links of numbers. */
static int device_open(dev_t dev, bool readonly, int *ret_fd)
{
	struct flock lock = {.l_type = readonly ? F_RDLCK : F_WRLCK,
			     .l_whence = SEEK_SET};
	char link[64], target[256], path[280];
	const char *name;
	ssize_t n;
	int r;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(dev),
		 minor(dev));
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	name = strrchr(target, '/');
	snprintf(path, sizeof(path), "/dev/%s", name ? name + 1 : target);
	r = open_block(path, ret_fd);
	if (r == 0)
		(void)!fcntl(*ret_fd, F_OFD_SETLK, &lock);
	return r;
}

static int loop_resize(int loop_fd, struct error *e)
{
	if (ioctl(loop_fd, LOOP_SET_CAPACITY) < 0)
		return error_set(e, -errno,
				 "cannot tell the loop device of its file's "
				 "new size: %m");
	return 0;
}

static int set_name(struct ifreq *ifr, const char *name, struct error *e)
{
	if (strlen(name) >= sizeof(ifr->ifr_name))
		return error_set(e, -EINVAL,
				 "\"%s\" is no name of an interface", name);
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	return 0;
}

static int net_socket(int *ret, struct error *e)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return error_set(e, -errno, "cannot open a socket: %m");
	*ret = fd;
	return 0;
}

static int flags_of(int sock, const char *name, short *ret, struct error *e)
{
	struct ifreq ifr = {0};
	int r = set_name(&ifr, name, e);

	if (r < 0)
		return r;
	if (ioctl(sock, SIOCGIFFLAGS, &ifr) < 0)
		return error_set(e, -errno, "interface %s: %m", name);
	*ret = ifr.ifr_flags;
	return 0;
}

static int interface_up(const char *name, bool up, struct error *e)
{
	_cleanup_close_ int sock = -1;
	struct ifreq ifr = {0};
	short flags;
	int r = net_socket(&sock, e);

	if (r == 0)
		r = flags_of(sock, name, &flags, e);
	if (r < 0)
		return r;
	(void)set_name(&ifr, name, NULL);
	ifr.ifr_flags = (short)(up ? flags | IFF_UP : flags & ~IFF_UP);
	if (ioctl(sock, SIOCSIFFLAGS, &ifr) < 0)
		return error_set(e, -errno, "cannot bring %s %s: %m",
				 up ? "up" : "down", name);
	return 0;
}

static int bridge_check(const char *bridge, struct error *e)
{
	char path[64];
	struct stat st;

	if (strlen(bridge) < IFNAMSIZ && !strchr(bridge, '/')) {
		snprintf(path, sizeof(path), "/sys/class/net/%s/bridge",
			 bridge);
		if (stat(path, &st) == 0)
			return 0;
	}
	return error_set(e, -ENOENT,
			 "bridge \"%s\" does not exist; make it with: ip link "
			 "add %s type bridge",
			 bridge, bridge);
}

/* Before it joins: a bridge follows the smallest of its ports. */
static int fit_mtu(int sock, const char *name, const char *bridge, uint32_t mtu,
		   struct error *e)
{
	struct ifreq ifr = {0};

	if (mtu == 0) {
		(void)set_name(&ifr, bridge, NULL);
		if (ioctl(sock, SIOCGIFMTU, &ifr) < 0)
			return error_set(e, -errno, "bridge \"%s\": %m",
					 bridge);
		mtu = (uint32_t)ifr.ifr_mtu;
	}
	(void)set_name(&ifr, name, NULL);
	ifr.ifr_mtu = (int)mtu;
	if (ioctl(sock, SIOCSIFMTU, &ifr) < 0)
		return error_set(e, -errno,
				 "cannot set the MTU of %s to %u: %m", name,
				 mtu);
	return 0;
}

static int bridge_join(const char *name, const char *bridge, uint32_t mtu,
		       struct error *e)
{
	_cleanup_close_ int sock = -1;
	struct ifreq ifr = {0};
	unsigned index = if_nametoindex(name);
	int r;

	if (index == 0)
		return error_set(e, -ENODEV, "there is no interface %s", name);
	r = bridge_check(bridge, e);
	if (r == 0)
		r = net_socket(&sock, e);
	if (r == 0)
		r = fit_mtu(sock, name, bridge, mtu, e);
	if (r < 0)
		return r;
	(void)set_name(&ifr, bridge, NULL);
	ifr.ifr_ifindex = (int)index;
	if (ioctl(sock, SIOCBRADDIF, &ifr) < 0)
		return error_set(e, -errno,
				 "cannot join %s to bridge \"%s\": %m", name,
				 bridge);
	return 0;
}

static bool backend_present(const char *name)
{
	char path[96];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/bus/xen-backend/devices/%s", name);
	return lstat(path, &st) == 0;
}

static uint64_t counter(const char *path)
{
	char whole[160], text[32] = "";
	_cleanup_close_ int fd = -1;

	snprintf(whole, sizeof(whole), "/sys/%s", path);
	fd = open(whole, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return 0;
	return strtoull(text, NULL, 10);
}

const struct xen_host xen_host = {
	.loop_make = loop_make,
	.loop_open = loop_open,
	.loop_file = loop_file,
	.device_open = device_open,
	.loop_resize = loop_resize,
	.bridge_check = bridge_check,
	.bridge_join = bridge_join,
	.interface_up = interface_up,
	.backend_present = backend_present,
	.calm = xen_host_calm,
	.counter = counter,
};
