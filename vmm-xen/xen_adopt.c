/* A domain's devices, found again in libxl's folders of xenstore, which dom0
 * alone can write. */
#include <stdio.h>

#include "vmm-xen/xen_bus_internal.h"

static int node(struct xen_bus *bus, const char *dir, const char *name,
		char *buf, size_t size)
{
	char path[XEN_PATH_MAX + 24];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return xen_store_read(bus->store, path, buf, size);
}

static bool node_is(struct xen_bus *bus, const char *dir, const char *name,
		    const char *value)
{
	char text[XEN_VALUE_MAX];

	return node(bus, dir, name, text, sizeof(text)) == 0 &&
	       streq(text, value);
}

/* How far it had come when its supervisor ended. */
static void find_state(struct xen_device *d)
{
	struct xen_bus *bus = d->bus;
	struct xen_paths p;

	xen_device_paths(d, &p);
	d->nodes = true;
	d->told = VM_DEVICE_ACTIVE;
	d->ready = node_is(bus, p.backend, "hotplug-status", "connected");
	/* Without a backend nothing is left to be asked. */
	if (!node_is(bus, p.backend, "online", "1"))
		d->op = XEN_OP_DETACH;
}

/* -ENODATA: not one of ours. */
static int take(struct xen_bus *bus, enum vm_device_kind kind, const char *dir,
		struct error *e)
{
	char id[VM_DEVICE_ID_MAX + 1], slot[8];
	struct xen_device *d;
	int r;

	if (node(bus, dir, "armvm-id", id, sizeof(id)) < 0 ||
	    node(bus, dir, "armvm-slot", slot, sizeof(slot)) < 0)
		return -ENODATA;
	d = xen_device_new(bus, kind, id);
	if (!d)
		return error_set(e, -ENOMEM, "out of memory");
	d->slot = (uint32_t)strtoul(slot, NULL, 10);
	r = d->slot >= 1 && d->slot <= VM_SLOTS_MAX
		    ? d->class->adopt(d, dir, e)
		    : error_set(e, -EBADMSG, "xenstore's %s has no slot", dir);
	if (r < 0) {
		xen_device_free(d);
		return r;
	}
	xen_bus_append(bus, d);
	find_state(d);
	if (d->lost) {
		xen_device_remove(d);
		return 0;
	}
	return xen_device_watch(d, e);
}

static int take_all(struct xen_bus *bus, enum vm_device_kind kind,
		    const char *class, struct error *e)
{
	_cleanup_free_ char **names = NULL;
	char folder[XEN_PATH_MAX / 2], dir[XEN_PATH_MAX];
	size_t n;
	int r;

	snprintf(folder, sizeof(folder), "/libxl/%u/device/%s", bus->domid,
		 class);
	r = xen_store_list(bus->store, folder, &names, &n, e);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (strlen(names[i]) > 10)
			continue; /* no number */
		snprintf(dir, sizeof(dir), "%s/%.10s", folder, names[i]);
		r = take(bus, kind, dir, e);
		if (r == -ENODATA)
			r = 0;
	}
	return r;
}

int xen_bus_adopt(struct xen_bus *bus, uint32_t domid, struct error *e)
{
	int r;

	bus->domid = domid;
	bus->connected = true;
	r = take_all(bus, VM_DEVICE_DISK, xen_block_class.name, e);
	if (r == 0)
		r = take_all(bus, VM_DEVICE_NIC, xen_net_class.name, e);
	if (r < 0) {
		while (bus->devices)
			xen_device_free(bus->devices);
		bus->connected = false;
	}
	return r;
}
