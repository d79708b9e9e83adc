#include <fcntl.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>

#include "daemon/vm_vsock.h"
#include "lib/base/fd.h"

#define DEVICE "/dev/vhost-vsock"

int vm_vsock_choose(struct manager *m, struct vm_config *c, uint32_t previous,
		    struct error *e)
{
	if (c->vsock.cid != VM_VSOCK_AUTO)
		return 0;
	if (previous) {
		c->vsock.cid = previous;
		return 0;
	}
	return store_vsock_cid_free(m->store, VM_VSOCK_CID_MIN,
				    VM_VSOCK_CID_MAX, &c->vsock.cid, e);
}

int vm_vsock_open(const struct vm_config *c, int *ret, struct error *e)
{
	_cleanup_close_ int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	uint64_t cid = c->vsock.cid;

	if (fd < 0)
		return error_set(e, errno == ENOENT ? -ENODEV : -errno,
				 "vsock: cannot open " DEVICE
				 ": %m (is the module \"vhost_vsock\" "
				 "loaded?)");
	if (ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &cid) == 0) {
		*ret = TAKE_FD(fd);
		return 0;
	}
	if (errno != EADDRINUSE)
		return error_set(e, -errno,
				 "vsock.cid: the kernel refuses %u: %m",
				 c->vsock.cid);
	return error_set(e, -EBUSY,
			 "vsock.cid: %u is in use on this host by another "
			 "program; choose another, or stop that",
			 c->vsock.cid);
}
