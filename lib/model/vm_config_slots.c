/*
 * Where a device stays for life, so that what a guest calls it (enp3s0, a boot
 * option's path) does not change when others come and go.
 */
#include "lib/model/vm_config.h"

/* What disks and network interfaces have in common. */
struct place {
	const char *id;
	int bus;
	uint32_t *slot;
};

static struct place place_at(const struct vm_config *c, size_t i)
{
	if (i < c->n_disks) {
		struct disk_config *d = &c->disks[i];

		return (struct place){d->id, d->bus, &d->slot};
	}
	struct nic_config *n = &c->nics[i - c->n_disks];

	return (struct place){n->id, n->bus, &n->slot};
}

static size_t places(const struct vm_config *c)
{
	return c->n_disks + c->n_nics;
}

bool vm_config_slot_used(const struct vm_config *c, uint32_t slot)
{
	for (size_t i = 0; i < places(c); i++)
		if (*place_at(c, i).slot == slot)
			return true;
	return false;
}

unsigned vm_config_slots_used(const struct vm_config *c)
{
	unsigned highest = 0;

	for (size_t i = 0; i < places(c); i++)
		highest = MAX(highest, *place_at(c, i).slot);
	return highest;
}

unsigned vm_config_slots(const struct vm_config *c)
{
	unsigned n = c->max_hotplug;

	for (size_t i = 0; i < places(c); i++)
		n += place_at(c, i).bus == VM_DEVICE_BUS_PCIE;
	return MAX(n, vm_config_slots_used(c));
}

static int check_slot(const struct vm_config *c, size_t i, struct error *e)
{
	struct place p = place_at(c, i);

	if (*p.slot && p.bus != VM_DEVICE_BUS_PCIE)
		return error_set(e, -EINVAL,
				 "slot: \"%s\" is on mmio, where there are "
				 "none; leave one of the two out",
				 p.id);
	for (size_t j = 0; j < i && *p.slot; j++)
		if (*place_at(c, j).slot == *p.slot)
			return error_set(e, -EINVAL,
					 "slot: both \"%s\" and \"%s\" are in "
					 "%u; 1 to %d are accepted",
					 place_at(c, j).id, p.id, *p.slot,
					 VM_SLOTS_MAX);
	return 0;
}

int vm_config_complete_slots(struct vm_config *c, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < places(c) && r == 0; i++)
		r = check_slot(c, i, e);
	for (size_t i = 0; i < places(c) && r == 0; i++) {
		struct place p = place_at(c, i);
		uint32_t slot = 1;

		if (*p.slot || p.bus != VM_DEVICE_BUS_PCIE)
			continue;
		while (vm_config_slot_used(c, slot))
			slot++;
		*p.slot = slot;
	}
	return r;
}
