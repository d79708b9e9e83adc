/* Network interfaces, wherever they are: their links, and what became of their
 * host ends. */
#include <stdio.h>

#include "lib/host/vhost_net.h"
#include "vmm-kvm/board_internal.h"
#include "vmm-kvm/devices/virtio_net.h"

struct board_nic {
	struct board_nic *next;
	struct board *b;
	char id[VM_DEVICE_ID_MAX + 1];
	struct virtio_dev *dev; /* the transport's */
	bool failed;		/* and not told yet */
	char why[128];
};

/* With the device lock held: told by board_nics_poll(). */
static void on_failed(void *cookie, const char *why)
{
	struct board_nic *nic = cookie;

	snprintf(nic->why, sizeof(nic->why), "%s", why);
	nic->failed = true;
	if (nic->b->slots_changed)
		nic->b->slots_changed(nic->b->cookie);
}

/* The first descriptors are the queues', and vhost's follow. */
static int open_vhost(const struct nic_config *nic, struct fd_list *fds,
		      struct vhost **ret, struct error *e)
{
	unsigned n = vm_nic_queues(nic), n_vhost = (unsigned)fds->n - n;

	*ret = NULL;
	if (fds->n == n)
		return 0;
	if (fds->n < n || n_vhost != n)
		return error_set(e, -EINVAL, "%zu descriptors for %u queues",
				 fds->n, n);
	fds->n = n;
	return vhost_net_open(&fds->fds[n], fds->fds, n, ret, e);
}

static int new_device(struct board_nic *nic, const struct vmm_device *device,
		      struct error *e)
{
	const struct nic_config *config = device->nic;
	_cleanup_fds_ struct fd_list fds = device->nic_host.fds;
	struct virtio_net_params params = {
		.loop = nic->b->function_params.loop,
		.mtu = (uint16_t)vm_nic_mtu(config),
		.link_down = config->link == VM_LINK_DOWN,
		.failed = on_failed,
		.cookie = nic,
	};
	int r = parse_mac(config->mac, "mac", params.mac, e);

	if (!r)
		r = open_vhost(config, &fds, &params.vhost, e);
	if (r)
		return r;
	params.ends = fd_list_take(&fds);
	return virtio_net_new(&params, &nic->dev, e);
}

int board_nic_new(struct board *b, const struct vmm_device *device,
		  struct virtio_dev **ret, struct error *e)
{
	struct board_nic *nic = calloc(1, sizeof(*nic));
	int r;

	if (!nic) {
		vmm_device_close(device);
		return error_set(e, -ENOMEM, "out of memory");
	}
	nic->b = b;
	snprintf(nic->id, sizeof(nic->id), "%s", device->nic->id);
	r = new_device(nic, device, e);
	if (r) {
		free(nic);
		return error_prefix(e, r, "nic \"%s\"", device->nic->id);
	}
	nic->next = b->nics;
	b->nics = nic;
	*ret = nic->dev;
	return 0;
}

void board_nic_forget(struct board *b, const char *id)
{
	for (struct board_nic **at = &b->nics; *at; at = &(*at)->next) {
		struct board_nic *nic = *at;

		if (!streq(nic->id, id))
			continue;
		*at = nic->next;
		free(nic);
		return;
	}
}

void board_nics_free(struct board *b)
{
	while (b->nics)
		board_nic_forget(b, b->nics->id);
}

void board_nics_poll(struct board *b)
{
	for (struct board_nic *nic = b->nics; nic; nic = nic->next) {
		bool failed = nic->failed;

		nic->failed = false;
		if (failed && b->nic_failed)
			b->nic_failed(b->cookie, nic->id, nic->why);
	}
}

int board_set_link(struct board *b, const char *id, bool up, struct error *e)
{
	for (struct board_nic *nic = b->nics; nic; nic = nic->next)
		if (streq(nic->id, id)) {
			virtio_net_set_link(nic->dev, up);
			return 0;
		}
	return error_set(e, -ENOENT, "there is no network interface \"%s\"",
			 id);
}
