/* The steps on which devices come and go, by what both ends write as their
 * state. */
#include <stdio.h>

#include "vmm-xen/xen_bus_internal.h"

/* What xenstore does not tell is asked for this often. */
#define POLL_MS 10

static void tell(struct xen_device *d, enum vm_device_state state,
		 const char *detail)
{
	struct xen_bus *bus = d->bus;
	struct vmm_device_status status;

	if (xen_bus_device_status(bus, d->id, &status) < 0)
		return;
	status.state = state;
	bus->events->device(bus->cookie, &status, detail);
}

static enum xenbus_state read_state(struct xen_device *d, const char *dir,
				    bool *ret_nonsense)
{
	char path[XEN_PATH_MAX + 8], text[4];
	int r;

	snprintf(path, sizeof(path), "%s/state", dir);
	r = xen_store_read(d->bus->store, path, text, sizeof(text));
	*ret_nonsense = r == -EBADMSG ||
			(r == 0 && xenbus_state_parse(text) == XENBUS_UNKNOWN);
	return r == 0 ? xenbus_state_parse(text) : XENBUS_UNKNOWN;
}

static bool backend_waits(const struct xen_device *d)
{
	return d->backend >= XENBUS_INIT_WAIT && d->backend <= XENBUS_CONNECTED;
}

static bool guest_uses(const struct xen_device *d)
{
	return d->frontend == XENBUS_INITIALISED ||
	       d->frontend == XENBUS_CONNECTED ||
	       d->frontend == XENBUS_RECONFIGURING ||
	       d->frontend == XENBUS_RECONFIGURED;
}

/* ---- away with it -------------------------------------------------------- */

/* Take its nodes away, from which on neither end knows it. */
static int remove_begin(struct xen_device *d, struct error *e)
{
	struct xen_changes c = {0};
	int r;

	xen_device_remove_nodes(d, &c);
	r = xen_changes_commit(&c, d->bus->store, e);
	if (r < 0)
		return r;
	xen_device_unwatch(d);
	d->nodes = false;
	d->op = XEN_OP_REMOVE;
	xen_bus_poll(d->bus);
	return 0;
}

/* Where nobody is left to be told of an error: xenstored is asked until it
 * does it. */
void xen_device_remove(struct xen_device *d)
{
	d->op = XEN_OP_REMOVE;
	xen_device_unwatch(d);
	if (remove_begin(d, NULL) < 0)
		xen_bus_poll(d->bus);
}

static void remove_end(struct xen_device *d)
{
	struct xen_bus *bus = d->bus;
	bool quiet = d->quiet;
	char why[sizeof(d->why)];
	struct vmm_device_status status = {0};

	memcpy(why, d->why, sizeof(why));
	if (!quiet && xen_bus_device_status(bus, d->id, &status) < 0)
		quiet = true;
	xen_device_free(d);
	if (quiet)
		return;
	status.state = *why ? VM_DEVICE_FAILED : VM_DEVICE_RELEASED;
	bus->events->device(bus->cookie, &status, why);
}

static void attach_fail(struct xen_device *d, const char *why)
{
	snprintf(d->why, sizeof(d->why), "%s", why);
	xen_device_remove(d);
}

/* ---- attach -------------------------------------------------------------- */

static enum vm_device_state attach_reached(const struct xen_device *d)
{
	if (!backend_waits(d))
		return VM_DEVICE_REQUESTED;
	if (d->backend == XENBUS_CONNECTED && d->frontend == XENBUS_CONNECTED)
		return VM_DEVICE_ACTIVE;
	return guest_uses(d) ? VM_DEVICE_ACKNOWLEDGED : VM_DEVICE_OFFERED;
}

static void attach_step(struct xen_device *d)
{
	enum vm_device_state reached = attach_reached(d);

	while (d->told < reached) {
		d->told++;
		if (d->told == VM_DEVICE_ACTIVE)
			d->op = XEN_OP_NONE;
		tell(d, d->told, "");
	}
}

/* The backend writes why it could not go on, and closes. */
static bool backend_refused(struct xen_device *d, char *buf, size_t size)
{
	char path[XEN_PATH_MAX + 8];
	struct xen_paths p;

	if (d->backend != XENBUS_UNKNOWN && d->backend < XENBUS_CLOSING)
		return false;
	xen_device_paths(d, &p);
	snprintf(path, sizeof(path), "%s/error", p.error);
	return xen_store_read(d->bus->store, path, buf, size) == 0;
}

static void attach_look(struct xen_device *d)
{
	char said[128], why[192];

	if (backend_refused(d, said, sizeof(said))) {
		snprintf(why, sizeof(why), "dom0's %s driver refused it: %s",
			 d->class->name, said);
		attach_fail(d, why);
	} else {
		attach_step(d);
	}
}

/* ---- detach -------------------------------------------------------------- */

static void detach_look(struct xen_device *d)
{
	if (d->backend == XENBUS_CLOSED || d->backend == XENBUS_UNKNOWN)
		xen_device_remove(d);
}

static int detach_ask(struct xen_device *d, struct error *e)
{
	struct xen_changes c = {0};
	struct xen_paths p;
	int r;

	xen_device_paths(d, &p);
	xen_changes_write(&c, p.backend, "online", "0");
	xen_changes_write(&c, p.backend, "state", "%d", XENBUS_CLOSING);
	r = xen_changes_commit(&c, d->bus->store, e);
	if (r == 0)
		d->op = XEN_OP_DETACH;
	return r;
}

int xen_bus_detach(struct xen_bus *bus, const char *id, bool force,
		   struct error *e)
{
	struct xen_device *d = xen_device_find(bus, id);
	int r;

	if (!d)
		return error_set(e, -ENOENT, "there is no device \"%s\"", id);
	if (force) {
		if (d->op == XEN_OP_REMOVE)
			return 0;
		return remove_begin(d, e);
	}
	if (d->op != XEN_OP_NONE)
		return error_set(
			e, -EBUSY, "device \"%s\" is being %s already", id,
			d->op == XEN_OP_ATTACH ? "attached" : "detached");
	d->told = VM_DEVICE_RELEASING;
	/* Nobody there who would answer. */
	if (!guest_uses(d) && d->frontend != XENBUS_CLOSING)
		return remove_begin(d, e);
	r = detach_ask(d, e);
	if (r == 0)
		tell(d, VM_DEVICE_RELEASING, "");
	return r;
}

void xen_bus_keep(struct xen_bus *bus,
		  bool (*known)(void *cookie, const char *id), void *cookie)
{
	for (struct xen_device *d = bus->devices; d; d = d->next) {
		if (known(cookie, d->id))
			continue;
		d->quiet = true;
		xen_device_remove(d);
	}
}

/* ---- the end of waiting -------------------------------------------------- */

static const char *attach_why(const struct xen_device *d)
{
	if (d->nonsense)
		return "the guest writes nonsense into the device's state";
	if (!backend_waits(d))
		return "dom0's backend did not become ready (are xen-blkback "
		       "and xen-netback loaded?)";
	if (d->backend == XENBUS_INIT_WAIT && !d->ready)
		return "dom0's interface did not appear";
	if (d->frontend == XENBUS_INITIALISING || d->frontend == XENBUS_UNKNOWN)
		return "the guest is not listening for hotplug, or has no "
		       "driver for it";
	return "the guest's driver began, and did not come to an end";
}

static const char *detach_why(const struct xen_device *d)
{
	if (d->nonsense)
		return "the guest writes nonsense into the device's state";
	return d->frontend == XENBUS_CLOSING
		       ? "the guest has begun to let go of it, and not ended"
		       : "it is in use, or the guest is not listening for "
			 "hotplug";
}

/* A guest that has begun to close it goes on; online, the backend is then
 * there for it anew. */
static void detach_withdraw(struct xen_device *d)
{
	struct xen_changes c = {0};
	struct xen_paths p;

	xen_device_paths(d, &p);
	xen_changes_write(&c, p.backend, "online", "1");
	if (d->frontend == XENBUS_CONNECTED && d->backend == XENBUS_CLOSING)
		xen_changes_write(&c, p.backend, "state", "%d",
				  XENBUS_CONNECTED);
	xen_changes_commit(&c, d->bus->store, NULL);
	d->op = XEN_OP_NONE;
}

void xen_bus_give_up(struct xen_bus *bus, const char *id, struct error *why)
{
	struct xen_device *d = xen_device_find(bus, id);

	if (!d || d->op == XEN_OP_NONE)
		return;
	if (bus->lost) {
		error_set(why, -EIO, "xenstored has ended");
		d->quiet = d->op == XEN_OP_ATTACH;
		d->op = XEN_OP_NONE;
	} else if (d->op == XEN_OP_REMOVE) {
		if (*d->why)
			error_set_code(why, ERROR_INTERNAL, "%s", d->why);
		d->quiet = *d->why;
		d->hurry = true;
		xen_bus_poll(bus);
	} else if (d->op == XEN_OP_ATTACH) {
		error_set_code(why, ERROR_TIMEOUT, "%s", attach_why(d));
		d->quiet = true;
		xen_device_remove(d);
	} else {
		error_set_code(why, ERROR_TIMEOUT, "%s", detach_why(d));
		detach_withdraw(d);
	}
}

/* ---- both ---------------------------------------------------------------- */

static void make_ready(struct xen_device *d)
{
	struct error e = ERROR_INIT;
	int r = d->class->backend_ready(d, &e);

	if (r == 0)
		d->ready = true;
	if (r == 0 || r == -EAGAIN)
		return;
	/* One the guest was started with stays, without a way out. */
	d->ready = true;
	if (d->op == XEN_OP_ATTACH)
		attach_fail(d, e.message);
	else
		tell(d, VM_DEVICE_FAILED, e.message);
}

void xen_device_look(struct xen_device *d)
{
	struct xen_paths p;
	bool nonsense;

	if (!d->nodes || d->op == XEN_OP_REMOVE)
		return;
	xen_device_paths(d, &p);
	d->backend = read_state(d, p.backend, &nonsense);
	d->frontend = read_state(d, p.frontend, &d->nonsense);
	if (!d->ready && backend_waits(d)) {
		make_ready(d);
		if (!d->ready)
			xen_bus_poll(d->bus);
	}
	if (d->op == XEN_OP_ATTACH)
		attach_look(d);
	else if (d->op == XEN_OP_DETACH)
		detach_look(d);
}

static bool removal_ended(const struct xen_device *d)
{
	struct xen_paths p;

	if (d->hurry || d->nodes)
		return d->hurry;
	xen_device_paths(d, &p);
	return !xen_host.backend_present(p.kernel);
}

static bool waits_for_dom0(const struct xen_device *d)
{
	return d->op == XEN_OP_REMOVE ||
	       (d->nodes && !d->ready && backend_waits(d));
}

/* Events may change the list. */
static struct xen_device *next_due(struct xen_bus *bus)
{
	for (struct xen_device *d = bus->devices; d; d = d->next)
		if (d->op == XEN_OP_REMOVE && removal_ended(d))
			return d;
	return NULL;
}

static void on_poll(uv_timer_t *timer)
{
	struct xen_bus *bus = timer->data;
	struct xen_device *d;
	bool more = false;

	for (d = bus->devices; d; d = d->next)
		if (d->op == XEN_OP_REMOVE && d->nodes)
			(void)!remove_begin(d, NULL);
	while ((d = next_due(bus)))
		remove_end(d);
	for (d = bus->devices; d; d = d->next)
		if (d->op != XEN_OP_REMOVE && waits_for_dom0(d))
			break;
	if (d)
		xen_device_look(d);
	for (d = bus->devices; d; d = d->next)
		more = more || waits_for_dom0(d);
	if (more)
		uv_timer_start(timer, on_poll, POLL_MS, 0);
}

void xen_bus_poll(struct xen_bus *bus)
{
	if (!bus->lost && !uv_is_active((uv_handle_t *)&bus->poll))
		uv_timer_start(&bus->poll, on_poll, 0, 0);
}
