/*
 * A dom0 kernel that only remembers, in place of vmm-xen/xen_host.c: a backend
 * is there for as long as its nodes are in the store of fake_xenstore.h. It
 * fails the call that is asked to.
 */
#ifndef TESTS_UNIT_FAKE_DOM0_H
#define TESTS_UNIT_FAKE_DOM0_H

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tests/unit/fake_xenstore.h"
#include "vmm-xen/xen_host.h"

#define FAKE_LOOPS 64

struct fake_dom0 {
	unsigned calls, fail_at;
	unsigned loops_made;
	bool backends_stay; /* though their nodes are gone */
	int no_interface;   /* so many times */
	char joined[32], up[32];
	uint32_t calmed;     /* that domain's ends */
	dev_t opened, taken; /* that loop device is over that file */
	struct stat file, files[FAKE_LOOPS]; /* those that were made */
};

static struct fake_dom0 dom0;

static inline bool fake_host_fails(struct error *e)
{
	if (++dom0.calls != dom0.fail_at)
		return false;
	error_set(e, -EIO, "dom0 will not");
	return true;
}

static inline int fake_loop_make(int fd, bool readonly, int *ret_fd,
				 dev_t *ret_dev, struct error *e)
{
	if (fake_host_fails(e))
		return -EIO;
	*ret_fd = dup(fd);
	if (fstat(fd, &dom0.files[dom0.loops_made % FAKE_LOOPS]) < 0)
		return -errno;
	*ret_dev = makedev(7, dom0.loops_made++);
	return 0;
}

static inline int fake_loop_open(dev_t dev, int *ret_fd)
{
	if (fake_host_fails(NULL))
		return -EIO;
	if (major(dev) != 7)
		return -EBADMSG;
	dom0.opened = dev;
	*ret_fd = eventfd(0, EFD_CLOEXEC);
	return 0;
}

/* Those that were made, and the one that is taken. */
static inline int fake_loop_file(dev_t dev, dev_t *ret_dev, ino_t *ret_ino)
{
	const struct stat *st = dev == dom0.taken
					? &dom0.file
					: &dom0.files[minor(dev) % FAKE_LOOPS];

	if (major(dev) != 7)
		return -EBADMSG;
	if (dev != dom0.taken && minor(dev) >= dom0.loops_made)
		return -ENXIO;
	*ret_dev = st->st_dev;
	*ret_ino = st->st_ino;
	return 0;
}

static inline int fake_device_open(dev_t dev, bool readonly, int *ret_fd)
{
	if (fake_host_fails(NULL))
		return -EIO;
	dom0.opened = dev;
	*ret_fd = eventfd(0, EFD_CLOEXEC);
	return 0;
}

static inline int fake_loop_resize(int loop_fd, struct error *e)
{
	return fake_host_fails(e) ? -EIO : 0;
}

static inline int fake_bridge_check(const char *bridge, struct error *e)
{
	if (strcmp(bridge, "br0") == 0)
		return 0;
	return error_set(e, -ENOENT, "there is no bridge \"%s\"", bridge);
}

static inline int fake_bridge_join(const char *name, const char *bridge,
				   uint32_t mtu, struct error *e)
{
	if (fake_host_fails(e))
		return -EIO;
	if (dom0.no_interface > 0) {
		dom0.no_interface--;
		return error_set(e, -ENODEV, "there is no %s", name);
	}
	snprintf(dom0.joined, sizeof(dom0.joined), "%s", name);
	return 0;
}

static inline int fake_interface_up(const char *name, bool up, struct error *e)
{
	if (fake_host_fails(e))
		return -EIO;
	snprintf(dom0.up, sizeof(dom0.up), "%s", up ? name : "");
	return 0;
}

/* As long as its nodes are there: "vbd-1-51712". */
static inline bool fake_backend_present(const char *name)
{
	char class[8], path[96];
	unsigned domid, number;

	if (dom0.backends_stay)
		return true;
	if (sscanf(name, "%7[a-z]-%u-%u", class, &domid, &number) != 3)
		abort();
	snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u/%u", class,
		 domid, number);
	return fake_find(path);
}

static inline void fake_calm(uint32_t domid, char *left, size_t size)
{
	dom0.calmed = domid;
	snprintf(left, size, "vbd-%u-51712", domid);
}

static inline uint64_t fake_counter(const char *path)
{
	return strlen(path);
}

const struct xen_host xen_host = {
	.loop_make = fake_loop_make,
	.loop_open = fake_loop_open,
	.loop_file = fake_loop_file,
	.device_open = fake_device_open,
	.loop_resize = fake_loop_resize,
	.bridge_check = fake_bridge_check,
	.bridge_join = fake_bridge_join,
	.interface_up = fake_interface_up,
	.backend_present = fake_backend_present,
	.calm = fake_calm,
	.counter = fake_counter,
};

static inline void fake_dom0_begin(void)
{
	memset(&dom0, 0, sizeof(dom0));
	fake_begin();
}

#endif
