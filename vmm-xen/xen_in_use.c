/* Whether a disk is another domain's: xl's, for one. Our own VMs lock what they
 * use (the daemon has judged that), other toolstacks do not. */
#include <stdio.h>
#include <sys/sysmacros.h>

#include "vmm-xen/xen_bus_internal.h"

#define BACKENDS "/local/domain/0/backend/vbd"

static bool same_disk(dev_t dev, const struct stat *st)
{
	dev_t file_dev;
	ino_t ino;

	if (S_ISBLK(st->st_mode))
		return dev == st->st_rdev;
	return xen_host.loop_file(dev, &file_dev, &ino) == 0 &&
	       file_dev == st->st_dev && ino == st->st_ino;
}

static int node(struct xen_bus *bus, const char *dir, const char *name,
		char *buf, size_t size)
{
	char path[XEN_PATH_MAX + 24];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return xen_store_read(bus->store, path, buf, size);
}

/* Whether the one in `dir` and ours cannot be at the same time. */
static bool clashes(struct xen_bus *bus, const char *dir, const struct stat *st,
		    bool readonly)
{
	unsigned major_number, minor_number;
	char text[XEN_VALUE_MAX];

	if (node(bus, dir, "physical-device", text, sizeof(text)) < 0 ||
	    sscanf(text, "%x:%x", &major_number, &minor_number) != 2 ||
	    !same_disk(makedev(major_number, minor_number), st))
		return false;
	return !readonly || node(bus, dir, "mode", text, sizeof(text)) < 0 ||
	       !streq(text, "r");
}

static int refuse(struct xen_bus *bus, const char *domid, struct error *e)
{
	char dir[XEN_PATH_MAX], name[64];

	snprintf(dir, sizeof(dir), "/local/domain/%.10s", domid);
	if (node(bus, dir, "name", name, sizeof(name)) < 0)
		snprintf(name, sizeof(name), "without a name");
	return error_set(e, -EBUSY,
			 "it is in use by domain %.10s (%s); take it from "
			 "there, or make it readonly in both",
			 domid, name);
}

static int check_domain(struct xen_bus *bus, const char *domid,
			const struct stat *st, bool readonly, struct error *e)
{
	_cleanup_free_ char **numbers = NULL;
	char folder[XEN_PATH_MAX / 2], dir[XEN_PATH_MAX];
	size_t n;
	int r;

	snprintf(folder, sizeof(folder), BACKENDS "/%.10s", domid);
	r = xen_store_list(bus->store, folder, &numbers, &n, e);
	for (size_t i = 0; i < n && r == 0; i++) {
		snprintf(dir, sizeof(dir), "%s/%.10s", folder, numbers[i]);
		if (clashes(bus, dir, st, readonly))
			return refuse(bus, domid, e);
	}
	return r;
}

int xen_block_check_free(struct xen_bus *bus, const struct stat *st,
			 bool readonly, struct error *e)
{
	_cleanup_free_ char **domids = NULL;
	size_t n;
	int r = xen_store_list(bus->store, BACKENDS, &domids, &n, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = check_domain(bus, domids[i], st, readonly, e);
	return r;
}
