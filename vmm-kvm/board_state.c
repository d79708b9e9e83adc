/*
 * A board in a snapshot: its devices one after the other, always in the same
 * order, bridges before what is behind them.
 */
#include "vmm-kvm/board_internal.h"

void board_still(struct board *b, bool still)
{
	bus_lock(b->bus);
	for (unsigned i = 0; i < b->n_functions; i++)
		virtio_pci_hold(b->functions[i], still);
	for (unsigned i = 0; i < b->n_slots; i++)
		if (b->slots[i].function)
			virtio_pci_hold(b->slots[i].function, still);
	for (unsigned i = 0; i < b->n_mmio; i++)
		virtio_mmio_hold(b->mmio[i], still);
	if (b->flash_vars) {
		cfi_flash_hold(b->flash_code, still);
		cfi_flash_hold(b->flash_vars, still);
	}
	bus_unlock(b->bus);
}

static int cannot(const char *id, const char *why, struct error *e)
{
	return why ? error_set(e, -EOPNOTSUPP,
			       "device \"%s\" cannot be part of a snapshot: %s",
			       id, why)
		   : 0;
}

int board_snapshot_check(struct board *b, struct error *e)
{
	int r = 0;

	for (unsigned i = 0; !r && i < b->n_functions; i++)
		r = cannot("built in", virtio_pci_no_snapshot(b->functions[i]),
			   e);
	for (unsigned i = 0; !r && i < b->n_mmio; i++)
		r = cannot("on virtio-mmio",
			   virtio_mmio_no_snapshot(b->mmio[i]), e);
	for (unsigned i = 0; !r && i < b->n_slots; i++) {
		struct board_slot *s = &b->slots[i];

		if (!s->function)
			continue;
		r = cannot(s->device.id, virtio_pci_no_snapshot(s->function),
			   e);
		if (!r && s->op != BOARD_SLOT_IDLE)
			r = error_set(e, -EBUSY,
				      "device \"%s\" is being %s; a snapshot "
				      "is possible when that has ended",
				      s->device.id,
				      s->op == BOARD_SLOT_ATTACH ? "attached"
								 : "detached");
	}
	return r;
}

static void save_pci(struct board *b, struct state_out *out)
{
	for (unsigned i = 0; i < b->n_slots; i++)
		pcie_port_save(b->slots[i].port, out);
	for (unsigned i = 0; i < b->n_functions; i++)
		virtio_pci_save(b->functions[i], out);
	for (unsigned i = 0; i < b->n_slots; i++)
		if (b->slots[i].function)
			virtio_pci_save(b->slots[i].function, out);
	pvpanic_save(b->pvpanic, out);
	for (unsigned i = 0; i < b->n_mmio; i++)
		virtio_mmio_save(b->mmio[i], out);
}

void board_save(struct board *b, struct state_out *out)
{
	size_t began;

	bus_lock(b->bus);
	began = state_begin(out, "board", 1);
	pl011_save(b->pl011, out);
	pl031_save(b->pl031, out);
	pl061_save(b->pl061, out);
	sp805_save(b->sp805, out);
	fw_cfg_save(b->fw_cfg, out);
	if (b->flash_vars) {
		cfi_flash_save(b->flash_code, out);
		cfi_flash_save(b->flash_vars, out);
	}
	save_pci(b, out);
	state_end(out, began);
	bus_unlock(b->bus);
}

static int load_fixed(struct board *b, struct state_in *in, struct error *e)
{
	int r = pl011_load(b->pl011, in, e);

	if (!r)
		r = pl031_load(b->pl031, in, e);
	if (!r)
		r = pl061_load(b->pl061, in, e);
	if (!r)
		r = sp805_load(b->sp805, in, e);
	if (!r)
		r = fw_cfg_load(b->fw_cfg, in, e);
	if (!r && b->flash_vars)
		r = cfi_flash_load(b->flash_code, in, e);
	if (!r && b->flash_vars)
		r = cfi_flash_load(b->flash_vars, in, e);
	/* A press that was under way then has nobody to end it. */
	if (!r)
		pl061_set_input(b->pl061, BOARD_POWER_KEY_PIN, false);
	return r;
}

static int load_pci(struct board *b, struct state_in *in, struct error *e)
{
	int r = 0;

	for (unsigned i = 0; !r && i < b->n_slots; i++) {
		r = pcie_port_load(b->slots[i].port, in, e);
		if (r)
			return error_prefix(e, r, "slot %u", i + 1);
	}
	for (unsigned i = 0; !r && i < b->n_functions; i++)
		r = virtio_pci_load(b->functions[i], in, e);
	for (unsigned i = 0; !r && i < b->n_slots; i++) {
		struct board_slot *s = &b->slots[i];

		if (s->function)
			r = virtio_pci_load(s->function, in, e);
		if (r)
			return error_prefix(e, r, "device \"%s\"",
					    s->device.id);
	}
	if (!r)
		r = pvpanic_load(b->pvpanic, in, e);
	for (unsigned i = 0; !r && i < b->n_mmio; i++)
		r = virtio_mmio_load(b->mmio[i], in, e);
	return r;
}

int board_load(struct board *b, struct state_in *in, struct error *e)
{
	struct state_in record;
	int r = state_open(in, "board", 1, &record, e);

	if (r)
		return r;
	board_still(b, true);
	bus_lock(b->bus);
	r = load_fixed(b, &record, e);
	if (!r)
		r = load_pci(b, &record, e);
	if (!r)
		r = state_close(&record, e);
	bus_unlock(b->bus);
	return r;
}

unsigned board_slots_count(const struct board *b)
{
	return b->n_slots;
}

int board_own_code(struct board *b, struct error *e)
{
	return board_memory_own_code(&b->memory, e);
}
