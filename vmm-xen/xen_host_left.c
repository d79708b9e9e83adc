/* What dom0's kernel keeps of a guest that has ended without xenstored. */
#include <dirent.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "vmm-xen/xen_host.h"
#include "vmm-xen/xen_host_left.h"

#define BACKENDS "/sys/bus/xen-backend/devices"

/* The bridge it is a port of; false: none. */
static bool bridge_of(const char *name, char *ret, size_t size)
{
	char path[64], target[256];
	const char *last;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/class/net/%s/master", name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) >= size)
		return false;
	strcpy(ret, last);
	return true;
}

static void leave_bridge(const char *name)
{
	_cleanup_close_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC,
					  0);
	struct ifreq ifr = {.ifr_ifindex = (int)if_nametoindex(name)};

	if (bridge_of(name, ifr.ifr_name, sizeof(ifr.ifr_name)))
		(void)!ioctl(sock, SIOCBRDELIF, &ifr);
}

/* "vif-3-0" is of domain 3, and is interface vif3.0. */
static void calm(const char *backend)
{
	unsigned domid, number;
	char name[IFNAMSIZ];

	if (sscanf(backend, "vif-%u-%u", &domid, &number) != 2)
		return;
	snprintf(name, sizeof(name), "vif%u.%u", domid, number);
	leave_bridge(name);
	(void)!xen_host.interface_up(name, false, NULL);
}

void xen_host_calm(uint32_t domid, char *left, size_t size)
{
	DIR *dir = opendir(BACKENDS);
	const struct dirent *entry;
	size_t have = 0;

	*left = '\0';
	while (dir && (entry = readdir(dir))) {
		unsigned owner;

		if (sscanf(entry->d_name, "%*[a-z]-%u-", &owner) != 1 ||
		    owner != domid)
			continue;
		calm(entry->d_name);
		snprintf(left + have, size - have, "%s%s", have ? ", " : "",
			 entry->d_name);
		have = strlen(left);
	}
	if (dir)
		closedir(dir);
}
