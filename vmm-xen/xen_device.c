/* Names and nodes of a device in xenstore, as libxl lays them out
 * (xenstore-paths.7, blkif.h, netif.h). */
#include <stdio.h>

#include "vmm-xen/xen_bus_internal.h"

void xen_device_paths(const struct xen_device *d, struct xen_paths *ret)
{
	const char *name = d->class->name;
	uint32_t domid = d->bus->domid, number = d->class->number(d->slot);

	snprintf(ret->frontend, sizeof(ret->frontend),
		 "/local/domain/%u/device/%s/%u", domid, name, number);
	snprintf(ret->backend, sizeof(ret->backend),
		 "/local/domain/0/backend/%s/%u/%u", name, domid, number);
	snprintf(ret->libxl, sizeof(ret->libxl), "/libxl/%u/device/%s/%u",
		 domid, name, number);
	snprintf(ret->error, sizeof(ret->error),
		 "/local/domain/0/error/backend/%s/%u/%u", name, domid, number);
	snprintf(ret->kernel, sizeof(ret->kernel), "%s-%u-%u", name, domid,
		 number);
}

struct xen_device *xen_device_new(struct xen_bus *bus, enum vm_device_kind kind,
				  const char *id)
{
	struct xen_device *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->bus = bus;
	d->kind = kind;
	d->class = kind == VM_DEVICE_DISK ? &xen_block_class : &xen_net_class;
	d->loop_fd = d->device_fd = -1;
	snprintf(d->id, sizeof(d->id), "%s", id);
	return d;
}

void xen_bus_append(struct xen_bus *bus, struct xen_device *d)
{
	struct xen_device **tail = &bus->devices;

	while (*tail)
		tail = &(*tail)->next;
	*tail = d;
}

struct xen_device *xen_device_find(struct xen_bus *bus, const char *id)
{
	struct xen_device *d = bus->devices;

	while (d && (d->quiet || !streq(d->id, id)))
		d = d->next;
	return d;
}

/* What stands in the backend's folder, and again in libxl's, which outlives
 * whatever is done to the other. */
static void backend_folder(const struct xen_device *d, struct xen_changes *c,
			   const char *dir, const struct xen_paths *p)
{
	uint32_t domid = d->bus->domid;

	xen_changes_write(c, dir, "frontend", "%s", p->frontend);
	xen_changes_write(c, dir, "frontend-id", "%u", domid);
	xen_changes_write(c, dir, "online", "1");
	xen_changes_write(c, dir, "state", "%d", XENBUS_INITIALISING);
	xen_changes_write(c, dir, "script", XEN_SCRIPT);
	d->class->backend_nodes(d, c, dir);
}

void xen_device_nodes(const struct xen_device *d, struct xen_changes *c)
{
	uint32_t domid = d->bus->domid;
	struct xen_paths p;

	xen_device_paths(d, &p);
	xen_changes_dir(c, XEN_ACCESS_HOST, domid, p.libxl);
	xen_changes_write(c, p.libxl, "backend", "%s", p.backend);
	backend_folder(d, c, p.libxl, &p);
	xen_changes_write(c, p.libxl, "armvm-id", "%s", d->id);
	xen_changes_write(c, p.libxl, "armvm-slot", "%u", d->slot);
	xen_changes_dir(c, XEN_ACCESS_GUEST, domid, p.frontend);
	xen_changes_write(c, p.frontend, "backend", "%s", p.backend);
	xen_changes_write(c, p.frontend, "backend-id", "0");
	xen_changes_write(c, p.frontend, "state", "%d", XENBUS_INITIALISING);
	d->class->guest_nodes(d, c, p.frontend);
	xen_changes_dir(c, XEN_ACCESS_SHOWN, domid, p.backend);
	backend_folder(d, c, p.backend, &p);
}

void xen_device_remove_nodes(const struct xen_device *d, struct xen_changes *c)
{
	struct xen_paths p;

	xen_device_paths(d, &p);
	xen_changes_remove(c, p.frontend);
	xen_changes_remove(c, p.backend);
	xen_changes_remove(c, p.libxl);
	xen_changes_remove(c, p.error);
}

static void on_watch(void *cookie)
{
	xen_device_look(cookie);
}

int xen_device_watch(struct xen_device *d, struct error *e)
{
	struct xen_store *store = d->bus->store;
	char path[XEN_PATH_MAX + 8];
	struct xen_paths p;
	int r;

	xen_device_paths(d, &p);
	snprintf(path, sizeof(path), "%s/state", p.backend);
	r = xen_store_watch(store, path, on_watch, d, &d->backend_watch, e);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/state", p.frontend);
	r = xen_store_watch(store, path, on_watch, d, &d->frontend_watch, e);
	if (r < 0)
		xen_device_unwatch(d);
	return r;
}

void xen_device_unwatch(struct xen_device *d)
{
	d->backend_watch = xen_watch_free(d->backend_watch);
	d->frontend_watch = xen_watch_free(d->frontend_watch);
}

void xen_device_free(struct xen_device *d)
{
	struct xen_device **at = &d->bus->devices;

	while (*at && *at != d)
		at = &(*at)->next;
	if (*at)
		*at = d->next;
	xen_device_unwatch(d);
	d->class->host_done(d);
	free(d);
}

enum xenbus_state xenbus_state_parse(const char *text)
{
	if (text[0] < '1' || text[0] > '8' || text[1])
		return XENBUS_UNKNOWN;
	return (enum xenbus_state)(text[0] - '0');
}
