/* The devices of a VM, with and without a domain. */
#include <stdio.h>
#include <time.h>

#include "vmm-xen/xen_bus_internal.h"

/* How long backends may take to end with their domain. */
#define END_MS	    2000
#define END_STEP_MS 2

static void on_lost(void *cookie)
{
	struct xen_bus *bus = cookie;

	bus->events->lost(bus->cookie);
}

int xen_bus_new(uv_loop_t *loop, const struct xen_bus_events *events,
		void *cookie, struct xen_bus **ret, struct error *e)
{
	struct xen_bus *bus = calloc(1, sizeof(*bus));
	struct xen_store_events lost = {on_lost, bus};
	int r;

	if (!bus)
		return error_set(e, -ENOMEM, "out of memory");
	r = xen_store_open(loop, &lost, &bus->store, e);
	if (r < 0) {
		free(bus);
		return r;
	}
	bus->loop = loop;
	bus->events = events;
	bus->cookie = cookie;
	uv_timer_init(loop, &bus->poll);
	bus->poll.data = bus;
	*ret = bus;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

struct xen_bus *xen_bus_free(struct xen_bus *bus)
{
	if (!bus)
		return NULL;
	while (bus->devices)
		xen_device_free(bus->devices);
	xen_store_free(bus->store);
	uv_close((uv_handle_t *)&bus->poll, on_closed);
	return NULL;
}

/* ---- one more ------------------------------------------------------------ */

static bool slot_taken(const struct xen_bus *bus, uint32_t slot)
{
	for (const struct xen_device *d = bus->devices; d; d = d->next)
		if (d->slot == slot)
			return true;
	return false;
}

static int slot_choose(const struct xen_bus *bus, uint32_t wanted,
		       uint32_t *ret, struct error *e)
{
	uint32_t slot = 1;

	if (wanted >= 1 && wanted <= VM_SLOTS_MAX && !slot_taken(bus, wanted)) {
		*ret = wanted;
		return 0;
	}
	while (slot <= VM_SLOTS_MAX && slot_taken(bus, slot))
		slot++;
	if (slot > VM_SLOTS_MAX)
		return error_set(e, -ENOSPC, "all %d slots are taken",
				 VM_SLOTS_MAX);
	*ret = slot;
	return 0;
}

static int device_make(struct xen_bus *bus, const struct vmm_device *device,
		       struct xen_device **ret, struct error *e)
{
	bool disk = device->kind == VM_DEVICE_DISK;
	const char *id = disk ? device->disk->id : device->nic->id;
	struct xen_device *d;
	int r;

	if (xen_device_find(bus, id))
		return error_set(e, -EEXIST, "there is a device \"%s\" already",
				 id);
	d = xen_device_new(bus, device->kind, id);
	if (!d)
		return error_set(e, -ENOMEM, "out of memory");
	r = slot_choose(bus, disk ? device->disk->slot : device->nic->slot,
			&d->slot, e);
	if (r == 0)
		r = disk ? xen_block_init(d, device, e)
			 : xen_net_init(d, device, e);
	if (r < 0) {
		xen_device_free(d);
		return r;
	}
	xen_bus_append(bus, d);
	*ret = d;
	return 0;
}

/* Nothing of it is there when it fails. */
static int device_offer(struct xen_device *d, struct error *e)
{
	struct xen_changes c = {0};
	int r;

	xen_device_nodes(d, &c);
	r = xen_changes_commit(&c, d->bus->store, e);
	if (r < 0)
		return r;
	d->nodes = true;
	d->op = XEN_OP_ATTACH;
	d->told = VM_DEVICE_REQUESTED;
	r = xen_device_watch(d, e);
	if (r < 0) {
		xen_device_remove_nodes(d, &c);
		xen_changes_commit(&c, d->bus->store, NULL);
	}
	return r;
}

int xen_bus_add(struct xen_bus *bus, const struct vmm_device *device,
		uint32_t *ret_slot, struct error *e)
{
	struct xen_device *d;
	int r = device_make(bus, device, &d, e);

	vmm_device_close(device);
	if (r == 0 && bus->connected) {
		r = device_offer(d, e);
		if (r < 0)
			xen_device_free(d);
	}
	if (r == 0)
		*ret_slot = d->slot;
	return r;
}

/* ---- with a domain ------------------------------------------------------- */

int xen_bus_connect(struct xen_bus *bus, uint32_t domid, struct error *e)
{
	struct xen_changes c = {0};
	int r;

	bus->domid = domid;
	for (struct xen_device *d = bus->devices; d; d = d->next)
		if (d->op != XEN_OP_REMOVE)
			xen_device_nodes(d, &c);
	r = xen_changes_commit(&c, bus->store, e);
	if (r < 0)
		return r;
	bus->connected = true;
	for (struct xen_device *d = bus->devices; d; d = d->next) {
		if (d->op == XEN_OP_REMOVE)
			continue;
		d->nodes = true;
		d->ready = false;
		if (r == 0)
			r = xen_device_watch(d, e);
	}
	if (r < 0)
		xen_bus_disconnect(bus);
	return r;
}

static bool backends_left(const struct xen_bus *bus)
{
	struct xen_paths p;

	for (const struct xen_device *d = bus->devices; d; d = d->next) {
		xen_device_paths(d, &p);
		if (xen_host.backend_present(p.kernel))
			return true;
	}
	return false;
}

static void wait_for_backends(const struct xen_bus *bus)
{
	const struct timespec step = {.tv_nsec = END_STEP_MS * 1000000};

	for (int ms = 0; ms < END_MS && backends_left(bus); ms += END_STEP_MS)
		nanosleep(&step, NULL);
}

/* Of a class: the folder its devices had in common. */
static void remove_folders(const struct xen_bus *bus,
			   const struct xen_device_class *class,
			   struct xen_changes *c)
{
	char path[XEN_PATH_MAX];

	snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u",
		 class->name, bus->domid);
	xen_changes_remove(c, path);
	snprintf(path, sizeof(path), "/local/domain/0/error/backend/%s/%u",
		 class->name, bus->domid);
	xen_changes_remove(c, path);
}

/* The guest that was asked is no more. */
static void end_detach(struct xen_device *d)
{
	if (d->op != XEN_OP_DETACH && d->op != XEN_OP_REMOVE)
		return;
	d->op = XEN_OP_REMOVE;
	d->hurry = true;
	xen_bus_poll(d->bus);
}

void xen_bus_disconnect(struct xen_bus *bus)
{
	struct xen_changes c = {0};

	if (!bus->connected)
		return;
	for (struct xen_device *d = bus->devices; d; d = d->next) {
		xen_device_unwatch(d);
		xen_device_remove_nodes(d, &c);
		d->nodes = false;
		d->backend = d->frontend = XENBUS_UNKNOWN;
	}
	remove_folders(bus, &xen_block_class, &c);
	remove_folders(bus, &xen_net_class, &c);
	/* What fails here fails for libxl, too, which destroys the domain. */
	if (xen_changes_commit(&c, bus->store, NULL) == 0)
		wait_for_backends(bus);
	bus->connected = false;
	for (struct xen_device *d = bus->devices; d; d = d->next)
		end_detach(d);
}

void xen_bus_lose(struct xen_bus *bus)
{
	bus->lost = true;
	uv_timer_stop(&bus->poll);
}

/* ---- asked for ----------------------------------------------------------- */

/* A guest that writes nonsense as its state makes dom0's driver let go. */
static bool backend_gave_up(const struct xen_device *d)
{
	struct xen_paths p;

	if (!d->nodes || !d->ready)
		return false;
	xen_device_paths(d, &p);
	return !xen_host.backend_present(p.kernel);
}

static enum vm_device_state state_of(const struct xen_device *d)
{
	if (d->op == XEN_OP_ATTACH)
		return d->told;
	if (d->op != XEN_OP_NONE)
		return VM_DEVICE_RELEASING;
	if (backend_gave_up(d))
		return VM_DEVICE_FAILED;
	if (d->backend == XENBUS_CONNECTED && d->frontend == XENBUS_CONNECTED)
		return VM_DEVICE_ACTIVE;
	return VM_DEVICE_OFFERED;
}

int xen_bus_device_status(struct xen_bus *bus, const char *id,
			  struct vmm_device_status *ret)
{
	const struct xen_device *d = xen_device_find(bus, id);

	if (!d)
		return -ENOENT;
	*ret = (struct vmm_device_status){
		.kind = d->kind,
		.state = state_of(d),
		.slot = d->slot,
	};
	snprintf(ret->id, sizeof(ret->id), "%s", d->id);
	snprintf(ret->address, sizeof(ret->address), "%s/%u", d->class->name,
		 d->class->number(d->slot));
	if (ret->state == VM_DEVICE_ACTIVE)
		snprintf(ret->driver, sizeof(ret->driver), "%s",
			 d->class->driver);
	return 0;
}

int xen_bus_resize(struct xen_bus *bus, const char *id, struct error *e)
{
	const struct xen_device *d = xen_device_find(bus, id);

	if (!d || d->kind != VM_DEVICE_DISK)
		return error_set(e, -ENOENT, "there is no disk \"%s\"", id);
	return d->loop_fd < 0 ? 0 : xen_host.loop_resize(d->loop_fd, e);
}

int xen_bus_set_link(struct xen_bus *bus, const char *id, bool up,
		     struct error *e)
{
	struct xen_device *d = xen_device_find(bus, id);
	struct xen_changes c = {0};
	char name[IFNAMSIZ];
	struct xen_paths p;
	int r = 0;

	if (!d || d->kind != VM_DEVICE_NIC)
		return error_set(e, -ENOENT, "there is no nic \"%s\"", id);
	if (d->nodes && d->ready) {
		xen_net_name(d, name);
		r = xen_host.interface_up(name, up, e);
	}
	if (r < 0)
		return r;
	d->link_up = up;
	if (!d->nodes)
		return 0;
	xen_device_paths(d, &p);
	xen_changes_write(&c, p.libxl, "armvm-link", up ? "up" : "down");
	return xen_changes_commit(&c, bus->store, e);
}

int xen_bus_stats(struct xen_bus *bus, struct vm_stats *ret, struct error *e)
{
	for (const struct xen_device *d = bus->devices; d; d = d->next)
		if (!d->quiet && d->class->stats(d, ret) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	return 0;
}
