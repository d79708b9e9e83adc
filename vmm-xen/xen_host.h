/*
 * What dom0's kernel does for paravirtual devices, besides what it is told
 * through xenstore: loop devices over files, ports of bridges, and what sysfs
 * says of the backends. A table, so that unit tests have another kernel.
 *
 * A loop device vanishes with its last user (LO_FLAGS_AUTOCLEAR): descriptor
 * or backend, whichever is longer there. So nothing is left behind by a killed
 * process, and the file stays open, and locked, for as long as it is used.
 *
 * Thread: the loop thread.
 */
#ifndef VMM_XEN_XEN_HOST_H
#define VMM_XEN_XEN_HOST_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/base/error.h"

struct xen_host {
	/* A loop device over a regular file (borrowed; the device has it open
	 * itself), past the page cache if the file system can do that. *ret_fd
	 * is owned by the caller. */
	int (*loop_make)(int fd, bool readonly, int *ret_fd, dev_t *ret_dev,
			 struct error *e);
	/* One that is there; owned by the caller. -ENOENT, -EBADMSG: it is no
	 * loop device. */
	int (*loop_open)(dev_t dev, int *ret_fd);
	/* The file a loop device is over. -EBADMSG likewise; -ENXIO: none. */
	int (*loop_file)(dev_t dev, dev_t *ret_dev, ino_t *ret_ino);
	/* Another block device, locked as the daemon locks a disk if nobody
	 * else has done so; owned by the caller. */
	int (*device_open)(dev_t dev, bool readonly, int *ret_fd);
	/* The file has another size now. */
	int (*loop_resize)(int loop_fd, struct error *e);
	/* Whether a bridge of that name is there. */
	int (*bridge_check)(const char *bridge, struct error *e);
	/* mtu 0: the bridge's. -ENODEV: no such interface (yet). */
	int (*bridge_join)(const char *name, const char *bridge, uint32_t mtu,
			   struct error *e);
	int (*interface_up)(const char *name, bool up, struct error *e);
	/* dom0's end of a device is there: "vbd-1-51712", "vif-1-0". */
	bool (*backend_present)(const char *name);
	/* Of a domain that has ended while its backends cannot: interfaces
	 * leave their bridges and go down. `left` gets the names of what is
	 * there still, "" for nothing. */
	void (*calm)(uint32_t domid, char *left, size_t size);
	/* A number of sysfs, below /sys; 0 where there is none. */
	uint64_t (*counter)(const char *path);
};

extern const struct xen_host xen_host;

#endif
