/* MAC addresses of running VMs. */
#include <stdio.h>

#include "daemon/device_op.h"
#include "daemon/nic_mac.h"

static const struct nic_config *nic_with(const struct vm_config *c,
					 const char *mac)
{
	for (size_t i = 0; i < c->n_nics; i++)
		if (streq(c->nics[i].mac, mac))
			return &c->nics[i];
	return NULL;
}

/* One that is being added is in no record yet. */
static bool is_being_added(const struct vm *vm, const char *mac)
{
	const struct device_op *op = vm->device_ops;

	while (op && !(op->add && op->kind == VM_DEVICE_NIC &&
		       streq(device_text(op->config, "mac"), mac)))
		op = op->next;
	return op;
}

static int in_use(const struct vm *by, const struct nic_config *nic,
		  struct error *e)
{
	return error_set(e, -EBUSY,
			 "nic \"%s\": mac %s is in use by VM \"%s\", which is "
			 "%s; give this one another, or stop that VM",
			 nic->id, nic->mac, by->config.name,
			 vm_state_name(by->state));
}

/* Quoted, the text of an address is nothing else in what is recorded: paths
 * are absolute, and names have no colons. */
static int check_live(const struct vm *vm, const struct nic_config *nic,
		      struct error *e)
{
	char quoted[32];
	const struct vm *by;
	int64_t id;
	int r;

	snprintf(quoted, sizeof(quoted), "\"%s\"", nic->mac);
	r = store_run_live_find(vm->manager->store, quoted, &id, e);
	by = r == 0 && id ? vm_in_memory(vm->manager, id) : NULL;
	return by ? in_use(by, nic, e) : r;
}

int nic_mac_check(const struct vm *vm, const struct nic_config *nic,
		  struct error *e)
{
	const struct vm *other = vm->manager->vms;

	for (; other; other = other->next)
		if (vm_state_active(other->state) &&
		    ((other != vm && nic_with(&other->config, nic->mac)) ||
		     is_being_added(other, nic->mac)))
			return in_use(other, nic, e);
	return check_live(vm, nic, e);
}
