/* Network interfaces: netback's interface in dom0, as a port of a bridge. */
#include <stdio.h>

#include "vmm-xen/xen_bus_internal.h"

static uint32_t net_number(uint32_t slot)
{
	return slot - 1;
}

void xen_net_name(const struct xen_device *d, char buf[IFNAMSIZ])
{
	snprintf(buf, IFNAMSIZ, "vif%u.%u", d->bus->domid, net_number(d->slot));
}

int xen_net_init(struct xen_device *d, const struct vmm_device *device,
		 struct error *e)
{
	const struct nic_config *nic = device->nic;
	int r;

	if (!nic->bridge || nic->tap || nic->user)
		return error_set(e, -EOPNOTSUPP,
				 "nic \"%s\": Xen's network interfaces join a "
				 "bridge; give it \"bridge\"%s",
				 nic->id,
				 nic->tap    ? " instead of \"tap\""
				 : nic->user ? " instead of \"user\""
					     : "");
	r = xen_host.bridge_check(nic->bridge, e);
	if (r < 0)
		return error_prefix(e, r, "nic \"%s\"", nic->id);
	snprintf(d->bridge, sizeof(d->bridge), "%s", nic->bridge);
	snprintf(d->mac, sizeof(d->mac), "%s", nic->mac);
	d->mtu = nic->mtu;
	d->link_up = nic->link == VM_LINK_UP;
	return 0;
}

static void net_backend_nodes(const struct xen_device *d, struct xen_changes *c,
			      const char *dir)
{
	xen_changes_write(c, dir, "mac", "%s", d->mac);
	xen_changes_write(c, dir, "bridge", "%s", d->bridge);
	xen_changes_write(c, dir, "handle", "%u", net_number(d->slot));
	xen_changes_write(c, dir, "type", "vif");
	if (d->mtu)
		xen_changes_write(c, dir, "mtu", "%u", d->mtu);
	xen_changes_write(c, dir, "armvm-link", d->link_up ? "up" : "down");
}

static void net_guest_nodes(const struct xen_device *d, struct xen_changes *c,
			    const char *dir)
{
	xen_changes_write(c, dir, "mac", "%s", d->mac);
	xen_changes_write(c, dir, "handle", "%u", net_number(d->slot));
	if (d->mtu)
		xen_changes_write(c, dir, "mtu", "%u", d->mtu);
}

/* netback connects once this was written. */
static int tell_backend(struct xen_device *d, struct error *e)
{
	struct xen_changes c = {0};
	struct xen_paths p;

	xen_device_paths(d, &p);
	xen_changes_write(&c, p.backend, "hotplug-status", "connected");
	return xen_changes_commit(&c, d->bus->store, e);
}

static int net_backend_ready(struct xen_device *d, struct error *e)
{
	char name[IFNAMSIZ];
	struct error why = ERROR_INIT;
	int r;

	xen_net_name(d, name);
	r = xen_host.bridge_join(name, d->bridge, d->mtu, &why);
	/* netback says that it waits before it makes the interface. */
	if (r == -ENODEV && xen_host.bridge_check(d->bridge, NULL) == 0)
		return -EAGAIN;
	if (r == 0 && d->link_up)
		r = xen_host.interface_up(name, true, &why);
	if (r == 0)
		r = tell_backend(d, &why);
	if (r < 0)
		return error_set(e, r, "nic \"%s\": %s", d->id, why.message);
	return 0;
}

static int net_read(struct xen_device *d, const char *dir, const char *name,
		    char *buf, size_t size)
{
	char path[XEN_PATH_MAX + 24];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return xen_store_read(d->bus->store, path, buf, size);
}

/* libxl's folder: dom0 alone can write it. */
static int net_adopt(struct xen_device *d, const char *dir, struct error *e)
{
	char text[XEN_VALUE_MAX];

	if (net_read(d, dir, "bridge", d->bridge, sizeof(d->bridge)) < 0 ||
	    net_read(d, dir, "mac", d->mac, sizeof(d->mac)) < 0)
		return error_set(e, -EBADMSG,
				 "nic \"%s\": xenstore's %s has no bridge or "
				 "no MAC",
				 d->id, dir);
	if (net_read(d, dir, "mtu", text, sizeof(text)) == 0)
		d->mtu = (uint32_t)strtoul(text, NULL, 10);
	d->link_up = net_read(d, dir, "armvm-link", text, sizeof(text)) < 0 ||
		     streq(text, "up");
	return 0;
}

static uint64_t net_counter(const char *interface, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "class/net/%s/statistics/%s", interface,
		 name);
	return xen_host.counter(path);
}

/* What dom0 sends is what the guest receives. */
static int net_stats(const struct xen_device *d, struct vm_stats *ret)
{
	struct vm_stats_nic *s = vm_stats_add_nic(ret, d->id);
	char name[IFNAMSIZ];

	if (!s)
		return -ENOMEM;
	xen_net_name(d, name);
	s->rx.frames = net_counter(name, "tx_packets");
	s->rx.bytes = net_counter(name, "tx_bytes");
	s->rx.dropped = net_counter(name, "tx_dropped");
	s->tx.frames = net_counter(name, "rx_packets");
	s->tx.bytes = net_counter(name, "rx_bytes");
	s->tx.dropped = net_counter(name, "rx_dropped");
	return 0;
}

/* The interface goes with netback's device. */
static void net_host_done(struct xen_device *d)
{
}

const struct xen_device_class xen_net_class = {
	.name = "vif",
	.driver = "xen-netfront",
	.number = net_number,
	.backend_nodes = net_backend_nodes,
	.guest_nodes = net_guest_nodes,
	.backend_ready = net_backend_ready,
	.adopt = net_adopt,
	.stats = net_stats,
	.host_done = net_host_done,
};
