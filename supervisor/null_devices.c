#include <stdio.h>

#include "lib/base/fd.h"
#include "supervisor/null_devices.h"

/* As long as a guest that is quick: long enough to be seen. */
#define STEP_MS 5

/* state: OFFERED and RELEASING are what the guest has yet to follow. */
struct null_devices {
	const struct vmm_events *events;
	void *cookie;
	struct vmm_device_status slots[VM_SLOTS_MAX]; /* no id: empty */
	/* What a real device would keep open: images with their locks, taps. */
	struct fd_list held[VM_SLOTS_MAX];
	unsigned n_slots;
	bool deaf;
	uv_timer_t timer;
};

static void plug(struct null_devices *n, uint32_t slot,
		 enum vm_device_kind kind, const char *id,
		 enum vm_device_state state)
{
	struct vmm_device_status *s = &n->slots[slot - 1];

	*s = (struct vmm_device_status){
		.kind = kind,
		.state = state,
		.slot = slot,
	};
	snprintf(s->id, sizeof(s->id), "%s", id);
	snprintf(s->driver, sizeof(s->driver), "null");
}

/* A disk's descriptor, or those of a network interface. */
static void hold(struct null_devices *n, uint32_t slot, int disk_fd,
		 const struct vmm_nic *nic)
{
	struct fd_list *held = &n->held[slot - 1];

	if (nic)
		*held = nic->fds;
	else
		*held = (struct fd_list){.n = 1, .fds = {disk_fd}};
}

static void empty(struct null_devices *n, struct vmm_device_status *s)
{
	fd_list_done(&n->held[s - n->slots]);
	*s = (struct vmm_device_status){0};
}

static void tell(struct null_devices *n, struct vmm_device_status *s,
		 enum vm_device_state state)
{
	struct vmm_device_status told;

	s->state = state;
	told = *s;
	if (state == VM_DEVICE_RELEASED)
		empty(n, s);
	n->events->device(n->cookie, &told);
}

static void on_timer(uv_timer_t *timer)
{
	struct null_devices *n = timer->data;

	for (unsigned i = 0; i < n->n_slots && !n->deaf; i++) {
		struct vmm_device_status *s = &n->slots[i];

		if (s->id[0] && s->state == VM_DEVICE_OFFERED) {
			snprintf(s->address, sizeof(s->address), "null:%u",
				 s->slot);
			tell(n, s, VM_DEVICE_ACKNOWLEDGED);
			tell(n, s, VM_DEVICE_ACTIVE);
		} else if (s->id[0] && s->state == VM_DEVICE_RELEASING) {
			tell(n, s, VM_DEVICE_RELEASED);
		}
	}
}

void null_devices_close(const struct vmm_params *params, bool slots_taken)
{
	fd_close(params->hypervisor_fd);
	fd_close(params->firmware_fd);
	if (params->config->vsock.cid)
		fd_close(params->vsock_fd);
	for (size_t i = 0; i < params->config->n_filesystems; i++)
		fd_close(params->filesystems[i]);
	fd_close(params->kernel_fd);
	fd_close(params->initrd_fd);
	fd_close(params->nvram_fd);
	fd_close(params->snapshot_fd);
	for (size_t i = 0; i < params->config->n_disks; i++)
		if (!slots_taken || !params->config->disks[i].slot)
			fd_close(params->disks[i].fd);
	for (size_t i = 0; i < params->config->n_nics; i++)
		if (!slots_taken || !params->config->nics[i].slot)
			vmm_device_close(&(struct vmm_device){
				.fd = -1, .nic_host = params->nics[i]});
}

int null_devices_new(const struct vmm_params *params, struct null_devices **ret,
		     struct error *e)
{
	const struct vm_config *c = params->config;
	struct null_devices *n = calloc(1, sizeof(*n));

	if (!n)
		return error_set(e, -ENOMEM, "null backend: out of memory");
	n->events = params->events;
	n->cookie = params->cookie;
	n->n_slots = MIN(vm_config_slots(c), (unsigned)VM_SLOTS_MAX);
	for (size_t i = 0; i < c->n_disks; i++)
		if (c->disks[i].slot) {
			plug(n, c->disks[i].slot, VM_DEVICE_DISK,
			     c->disks[i].id, VM_DEVICE_ACTIVE);
			hold(n, c->disks[i].slot, params->disks[i].fd, NULL);
		}
	for (size_t i = 0; i < c->n_nics; i++)
		if (c->nics[i].slot) {
			plug(n, c->nics[i].slot, VM_DEVICE_NIC, c->nics[i].id,
			     VM_DEVICE_ACTIVE);
			hold(n, c->nics[i].slot, -1, &params->nics[i]);
		}
	uv_timer_init(params->loop, &n->timer);
	n->timer.data = n;
	*ret = n;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

struct null_devices *null_devices_free(struct null_devices *n)
{
	if (!n)
		return NULL;
	for (size_t i = 0; i < VM_SLOTS_MAX; i++)
		fd_list_done(&n->held[i]);
	uv_close((uv_handle_t *)&n->timer, on_closed);
	return NULL;
}

void null_devices_listen(struct null_devices *n, bool listens)
{
	n->deaf = !listens;
	uv_timer_start(&n->timer, on_timer, STEP_MS, 0);
}

static struct vmm_device_status *slot_of(struct null_devices *n, const char *id)
{
	for (unsigned i = 0; i < n->n_slots; i++)
		if (*id && streq(n->slots[i].id, id))
			return &n->slots[i];
	return NULL;
}

static uint32_t slot_choose(const struct null_devices *n, uint32_t wanted)
{
	if (wanted >= 1 && wanted <= n->n_slots && !n->slots[wanted - 1].id[0])
		return wanted;
	for (uint32_t i = 0; i < n->n_slots; i++)
		if (!n->slots[i].id[0])
			return i + 1;
	return 0;
}

static int attach_check(struct null_devices *n, const char *id, uint32_t slot,
			struct error *e)
{
	if (slot_of(n, id))
		return error_set(e, -EEXIST,
				 "a device \"%s\" is attached already", id);
	if (!slot)
		return error_set(e, -ENOSPC,
				 "all %u slots are taken; a greater "
				 "max_hotplug gives more at the next start",
				 n->n_slots);
	return 0;
}

int null_devices_attach(struct null_devices *n, const struct vmm_device *device,
			uint32_t *ret_slot, struct error *e)
{
	bool disk = device->kind == VM_DEVICE_DISK;
	const char *id = disk ? device->disk->id : device->nic->id;
	uint32_t slot = slot_choose(n, disk ? device->disk->slot
					    : device->nic->slot);

	int r = attach_check(n, id, slot, e);

	if (r < 0) {
		vmm_device_close(device);
		return r;
	}
	hold(n, slot, device->fd, disk ? NULL : &device->nic_host);
	plug(n, slot, device->kind, id, VM_DEVICE_OFFERED);
	*ret_slot = slot;
	tell(n, &n->slots[slot - 1], VM_DEVICE_OFFERED);
	uv_timer_start(&n->timer, on_timer, STEP_MS, 0);
	return 0;
}

int null_devices_detach(struct null_devices *n, const char *id, bool force,
			struct error *e)
{
	struct vmm_device_status *s = slot_of(n, id);

	if (!s)
		return error_set(e, -ENOENT, "no device \"%s\" has a slot", id);
	if (!force && s->state != VM_DEVICE_ACTIVE)
		return error_set(e, -EBUSY, "device \"%s\" is being %s already",
				 id,
				 s->state == VM_DEVICE_OFFERED ? "attached"
							       : "detached");
	tell(n, s, force ? VM_DEVICE_RELEASED : VM_DEVICE_RELEASING);
	uv_timer_start(&n->timer, on_timer, STEP_MS, 0);
	return 0;
}

void null_devices_give_up(struct null_devices *n, const char *id,
			  struct error *why)
{
	struct vmm_device_status *s = slot_of(n, id);

	if (!s || s->state == VM_DEVICE_ACTIVE)
		return;
	error_set_code(why, ERROR_TIMEOUT,
		       "the null guest was told not to listen for hotplug");
	if (s->state == VM_DEVICE_OFFERED)
		empty(n, s);
	else
		s->state = VM_DEVICE_ACTIVE;
}

int null_devices_status(struct null_devices *n, const char *id,
			struct vmm_device_status *ret)
{
	struct vmm_device_status *s = slot_of(n, id);

	if (!s)
		return -ENOENT;
	*ret = *s;
	return 0;
}

int null_devices_stats(const struct null_devices *n, struct vm_stats *ret)
{
	for (unsigned i = 0; i < n->n_slots; i++) {
		const struct vmm_device_status *s = &n->slots[i];
		bool added;

		if (!s->id[0])
			continue;
		if (s->kind == VM_DEVICE_DISK)
			added = vm_stats_add_disk(ret, s->id);
		else
			added = vm_stats_add_nic(ret, s->id);
		if (!added)
			return -ENOMEM;
	}
	return 0;
}
