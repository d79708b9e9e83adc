#include <stdio.h>

#include "lib/base/fd.h"
#include "vmm-kvm/board_internal.h"
#include "vmm-kvm/devices/virtio_blk.h"

#define FUNCTIONS_PER_DEVICE 8
/* Linux turns a slot's power off, waits for 1 s and then forgets what was
 * inserted meanwhile (pciehp, remove_board): better take another slot. */
#define SLOT_REST_MS 3000

static void on_changed(void *cookie)
{
	struct board *b = cookie;

	if (b->slots_changed)
		b->slots_changed(b->cookie);
}

static int port_new(struct board *b, unsigned i, struct error *e)
{
	const struct pcie_port_params params = {
		.host = b->pci,
		.devfn = PCI_DEVFN(BOARD_PCI_PORTS_FIRST +
					   i / FUNCTIONS_PER_DEVICE,
				   i % FUNCTIONS_PER_DEVICE),
		.multifunction = true,
		.slot = (uint16_t)(i + 1),
		.msi = b->function_params.msi,
		.changed = on_changed,
		.cookie = b,
	};

	return pcie_port_new(&params, &b->slots[i].port, e);
}

int board_slots_new(struct board *b, unsigned n, struct error *e)
{
	int r = 0;

	_Static_assert((BOARD_PCI_PORTS_LAST - BOARD_PCI_PORTS_FIRST + 1) *
				       FUNCTIONS_PER_DEVICE >=
			       VM_SLOTS_MAX,
		       "every slot has a place on the root bus");
	if (n > VM_SLOTS_MAX)
		return error_set(e, -EINVAL,
				 "%u slots for devices; at most %d fit", n,
				 VM_SLOTS_MAX);
	b->slots = calloc(MAX(n, 1u), sizeof(*b->slots));
	if (!b->slots)
		return error_set(e, -ENOMEM, "out of memory");
	for (; !r && b->n_slots < n; b->n_slots++)
		r = port_new(b, b->n_slots, e);
	return r;
}

void board_slot_empty(struct board *b, struct board_slot *s)
{
	if (!s->function)
		return;
	s->function = virtio_pci_free(s->function);
	board_nic_forget(b, s->device.id);
	s->device = (struct board_device){0};
	bus_lock(b->bus);
	pcie_port_eject(s->port);
	bus_unlock(b->bus);
	s->op = BOARD_SLOT_IDLE;
	s->emptied_ns = uv_hrtime();
}

void board_slots_drain(struct board *b)
{
	for (unsigned i = 0; i < b->n_slots; i++)
		if (b->slots[i].device.blockdev)
			blockdev_drain(b->slots[i].device.blockdev);
}

void board_slots_free(struct board *b)
{
	for (unsigned i = 0; i < b->n_slots; i++) {
		board_slot_empty(b, &b->slots[i]);
		pcie_port_free(b->slots[i].port);
	}
	free(b->slots);
}

static void on_failed(void *cookie, const struct virtio_blk_failure *f)
{
	struct board *b = cookie;
	const struct board_device *d = board_device_of(b, f->disk);
	char what[128];

	if (!d || !b->io_error)
		return;
	snprintf(what, sizeof(what), "disk \"%s\": %s failed: %s", d->id,
		 f->what, strerror(f->err));
	b->io_error(b->cookie, what, f->held);
}

static int disk_new(struct board *b, const struct disk_config *disk, int fd,
		    struct virtio_dev **ret, struct blockdev **ret_blockdev,
		    struct error *e)
{
	static const enum virtio_blk_on_error policies[] = {
		[VM_ON_ERROR_NO_SPACE] = VIRTIO_BLK_HOLD_NO_SPACE,
		[VM_ON_ERROR_REPORT] = VIRTIO_BLK_REPORT,
		[VM_ON_ERROR_PAUSE] = VIRTIO_BLK_HOLD,
	};
	struct virtio_blk_params params = {
		.serial = disk->serial ? disk->serial : disk->id,
		.n_queues = vm_disk_queues(b->config, disk),
		.on_error = policies[disk->on_error],
		.failed = on_failed,
		.cookie = b,
	};
	int r = blockdev_open(b->function_params.loop, fd, disk->readonly,
			      &params.blockdev, e);

	*ret_blockdev = r ? NULL : params.blockdev;
	if (!r)
		r = virtio_blk_new(&params, ret, e);
	return r ? error_prefix(e, r, "disk \"%s\"", disk->id) : 0;
}

static const char *device_id(const struct vmm_device *device)
{
	return device->kind == VM_DEVICE_DISK ? device->disk->id
					      : device->nic->id;
}

int board_device_new(struct board *b, const struct vmm_device *device,
		     struct board_device *ret, struct error *e)
{
	struct board_device made = {.kind = device->kind};
	int r;

	snprintf(made.id, sizeof(made.id), "%s", device_id(device));
	if (device->kind == VM_DEVICE_DISK)
		r = disk_new(b, device->disk, device->fd, &made.virtio,
			     &made.blockdev, e);
	else
		r = board_nic_new(b, device, &made.virtio, e);
	if (r)
		return r;
	board_offer(b, made.virtio);
	*ret = made;
	return 0;
}

/* The devices there are: those in slots, then those on MMIO. NULL: no more. */
static struct board_device *device_at(struct board *b, unsigned i)
{
	if (i < b->n_slots)
		return &b->slots[i].device;
	i -= b->n_slots;
	return i < b->n_mmio ? &b->mmio_devices[i] : NULL;
}

struct board_device *board_device_of(struct board *b,
				     const struct virtio_dev *virtio)
{
	struct board_device *d;

	for (unsigned i = 0; (d = device_at(b, i)); i++)
		if (d->virtio == virtio)
			return d;
	return NULL;
}

void board_retry(struct board *b)
{
	struct board_device *d;

	for (unsigned i = 0; (d = device_at(b, i)); i++)
		if (d->blockdev)
			virtio_blk_retry(d->virtio);
}

int board_resize(struct board *b, const char *id, struct error *e)
{
	struct board_device *d;
	int r;

	for (unsigned i = 0; (d = device_at(b, i)); i++) {
		if (!d->blockdev || !streq(d->id, id))
			continue;
		r = blockdev_refresh(d->blockdev);
		if (r)
			return error_set(e, r, "disk \"%s\": no size: %s", id,
					 strerror(-r));
		virtio_blk_resized(d->virtio);
		return 0;
	}
	return error_set(e, -ENOENT, "no disk \"%s\" is attached", id);
}

struct board_slot *board_slot_find(struct board *b, const char *id)
{
	for (unsigned i = 0; i < b->n_slots; i++)
		if (b->slots[i].function && streq(b->slots[i].device.id, id))
			return &b->slots[i];
	return NULL;
}

static bool slot_rests(const struct board_slot *s)
{
	return s->emptied_ns &&
	       uv_hrtime() - s->emptied_ns < SLOT_REST_MS * 1000000ull;
}

/* The one asked for, or the lowest that is empty; NULL: all are taken. */
static struct board_slot *slot_choose(struct board *b,
				      const struct vmm_device *device)
{
	uint32_t wanted = device->kind == VM_DEVICE_DISK ? device->disk->slot
							 : device->nic->slot;
	struct board_slot *found = NULL;

	if (wanted >= 1 && wanted <= b->n_slots)
		found = &b->slots[wanted - 1];
	if (found && !found->function && !slot_rests(found))
		return found;
	found = NULL;
	for (unsigned i = 0; i < b->n_slots; i++) {
		struct board_slot *s = &b->slots[i];

		if (s->function)
			continue;
		if (!slot_rests(s))
			return s;
		if (!found || s->emptied_ns < found->emptied_ns)
			found = s;
	}
	return found;
}

int board_slot_fill(struct board *b, const struct vmm_device *device, bool cold,
		    struct board_slot **ret, struct error *e)
{
	struct virtio_pci_params params = b->function_params;
	struct board_slot *s = slot_choose(b, device);
	struct board_device made;
	int r;

	if (board_slot_find(b, device_id(device)) || !s) {
		vmm_device_close(device);
		return s ? error_set(e, -EEXIST,
				     "a device \"%s\" is attached already",
				     device_id(device))
			 : error_set(e, -ENOSPC,
				     "all %u slots are taken; a greater "
				     "max_hotplug gives more at the next start",
				     b->n_slots);
	}
	r = board_device_new(b, device, &made, e);
	if (r)
		return r;
	params.device = made.virtio;
	params.behind = pcie_port_bus(s->port);
	params.status_changed = on_changed;
	params.cookie = b;
	r = virtio_pci_new(&params, &s->function, e);
	if (r)
		board_nic_forget(b, device_id(device));
	if (r)
		return error_prefix(e, r, "device \"%s\"", device_id(device));
	s->device = made;
	bus_lock(b->bus);
	pcie_port_insert(s->port, cold);
	bus_unlock(b->bus);
	*ret = s;
	return 0;
}

int board_slots_plug_cold(struct board *b, const struct vmm_device *device,
			  struct error *e)
{
	struct board_slot *s;

	return board_slot_fill(b, device, true, &s, e);
}
