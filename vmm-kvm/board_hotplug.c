/* Devices that come and go while the guest runs, in the order it happens. */
#include <stdio.h>

#include "lib/host/blockdev.h"
#include "vmm-kvm/board_internal.h"
#include "vmm-kvm/devices/virtio_blk.h"

/*
 * A guest that was told that a device is gone has this long to stop using it:
 * its driver takes milliseconds, and the device fails all requests. One that
 * has acknowledged it and is busy has longer: Linux takes slots one after the
 * other, and waits for ever for what a device took with it.
 */
#define TAKE_TICKS	20
#define TAKE_TICKS_SEEN 200

static const char *const drivers[VM_DEVICE_KIND_COUNT] = {"virtio-blk",
							  "virtio-net"};

static void status_fill(struct board *b, struct board_slot *s,
			enum vm_device_state state,
			struct vmm_device_status *ret)
{
	uint8_t bus = pcie_port_bus_number(s->port);

	*ret = (struct vmm_device_status){
		.kind = s->device.kind,
		.state = state,
		.slot = (uint32_t)(s - b->slots) + 1,
	};
	snprintf(ret->id, sizeof(ret->id), "%s", s->device.id);
	snprintf(ret->driver, sizeof(ret->driver), "%s",
		 drivers[s->device.kind]);
	if (bus)
		snprintf(ret->address, sizeof(ret->address), "0000:%02x:00.0",
			 bus);
}

static void tell(struct board *b, struct board_slot *s,
		 enum vm_device_state state)
{
	struct vmm_device_status status;

	s->told = state;
	status_fill(b, s, state, &status);
	b->device_event(b->cookie, &status);
}

static void slot_release(struct board *b, struct board_slot *s)
{
	struct vmm_device_status status;

	status_fill(b, s, VM_DEVICE_RELEASED, &status);
	board_slot_empty(b, s);
	b->device_event(b->cookie, &status);
}

static enum vm_device_state slot_state(struct board *b, struct board_slot *s)
{
	enum vm_device_state state = VM_DEVICE_OFFERED;

	bus_lock(b->bus);
	if (s->op >= BOARD_SLOT_DETACH)
		state = VM_DEVICE_RELEASING;
	else if (virtio_pci_live(s->function))
		state = VM_DEVICE_ACTIVE;
	else if (pcie_port_powered(s->port))
		state = VM_DEVICE_ACKNOWLEDGED;
	bus_unlock(b->bus);
	return state;
}

static void attach_step(struct board *b, struct board_slot *s)
{
	enum vm_device_state state = slot_state(b, s);

	if (state >= VM_DEVICE_ACKNOWLEDGED && s->told < VM_DEVICE_ACKNOWLEDGED)
		tell(b, s, VM_DEVICE_ACKNOWLEDGED);
	if (state == VM_DEVICE_ACTIVE) {
		s->op = BOARD_SLOT_IDLE;
		tell(b, s, VM_DEVICE_ACTIVE);
	}
}

/* A press nobody listens for would be lost: Linux clears what was before. */
static void press_when_heard(struct board *b, struct board_slot *s)
{
	bus_lock(b->bus);
	if (!s->pressed && pcie_port_listened(s->port)) {
		s->pressed = true;
		pcie_port_press_button(s->port);
	}
	bus_unlock(b->bus);
}

static bool slot_powered(struct board *b, struct board_slot *s)
{
	bool powered;

	bus_lock(b->bus);
	powered = pcie_port_powered(s->port);
	bus_unlock(b->bus);
	return powered;
}

void board_slots_poll(struct board *b)
{
	board_nics_poll(b);
	for (unsigned i = 0; i < b->n_slots; i++) {
		struct board_slot *s = &b->slots[i];

		if (s->op == BOARD_SLOT_ATTACH)
			attach_step(b, s);
		else if (s->op >= BOARD_SLOT_DETACH && !slot_powered(b, s))
			slot_release(b, s);
		else if (s->op == BOARD_SLOT_DETACH)
			press_when_heard(b, s);
	}
}

void board_slots_reset(struct board *b)
{
	for (unsigned i = 0; i < b->n_slots; i++)
		if (b->slots[i].op >= BOARD_SLOT_DETACH)
			slot_release(b, &b->slots[i]);
}

static unsigned take_ticks(struct board *b, struct board_slot *s)
{
	bool seen;

	bus_lock(b->bus);
	seen = pcie_port_departure_seen(s->port);
	bus_unlock(b->bus);
	return seen ? TAKE_TICKS_SEEN : TAKE_TICKS;
}

static void on_tick(uv_timer_t *timer)
{
	struct board *b = timer->data;
	bool waiting = false;

	for (unsigned i = 0; i < b->n_slots; i++) {
		struct board_slot *s = &b->slots[i];

		if (s->op != BOARD_SLOT_TAKE)
			continue;
		if (++s->ticks >= take_ticks(b, s))
			slot_release(b, s);
		else
			waiting = true;
	}
	if (!waiting)
		uv_timer_stop(timer);
}

/*
 * Linux's virtio-blk (6.1) waits for ever for requests that a device took with
 * it. So all that are under way end first, later ones fail, and only then is
 * the guest told; the device goes when its slot has lost power, or in any case
 * soon after.
 */
static void slot_take(struct board *b, struct board_slot *s)
{
	bool listened;

	s->op = BOARD_SLOT_TAKE;
	s->ticks = 0;
	tell(b, s, VM_DEVICE_RELEASING);
	bus_lock(b->bus);
	virtio_pci_doom(s->function);
	bus_unlock(b->bus);
	if (s->device.blockdev) {
		blockdev_drain(s->device.blockdev);
		/* What was held fails, too. */
		virtio_blk_retry(s->device.virtio);
	}
	bus_lock(b->bus);
	listened = pcie_port_listened(s->port) && pcie_port_powered(s->port);
	pcie_port_leave(s->port);
	bus_unlock(b->bus);
	if (!listened)
		slot_release(b, s);
	else
		(void)uv_timer_start(&b->slots_timer, on_tick, b->take_tick_ms,
				     b->take_tick_ms);
}

int board_attach(struct board *b, const struct vmm_device *device,
		 uint32_t *ret_slot, struct error *e)
{
	struct board_slot *s;
	int r = board_slot_fill(b, device, false, &s, e);

	if (r)
		return r;
	*ret_slot = (uint32_t)(s - b->slots) + 1;
	s->op = BOARD_SLOT_ATTACH;
	tell(b, s, VM_DEVICE_OFFERED);
	return 0;
}

int board_detach(struct board *b, const char *id, bool force, struct error *e)
{
	struct board_slot *s = board_slot_find(b, id);

	if (!s)
		return error_set(e, -ENOENT, "no device \"%s\" has a slot", id);
	if (force) {
		if (s->op != BOARD_SLOT_TAKE)
			slot_take(b, s);
		return 0;
	}
	if (s->op != BOARD_SLOT_IDLE)
		return error_set(
			e, -EBUSY, "device \"%s\" is being %s already", id,
			s->op == BOARD_SLOT_ATTACH ? "attached" : "detached");
	s->op = BOARD_SLOT_DETACH;
	s->pressed = false;
	tell(b, s, VM_DEVICE_RELEASING);
	board_slots_poll(b);
	return 0;
}

static const char *why_not(const struct board_slot *s)
{
	if (!pcie_port_listened(s->port))
		return "the guest is not listening for hotplug: it is in its "
		       "firmware, still booting, or its kernel has no driver "
		       "for it (pciehp)";
	if (pcie_port_unnoticed(s->port))
		return "the guest's hotplug driver does not react: the guest "
		       "is busy, paused or hung";
	/* Linux also blinks while it adds what has power. */
	if (s->op == BOARD_SLOT_ATTACH && pcie_port_powered(s->port) &&
	    pcie_port_blinking(s->port))
		return "the guest gave its slot power, and is still busy with "
		       "it or with another";
	if (pcie_port_blinking(s->port))
		return "the guest blinks the slot's light for 5 s before it "
		       "follows";
	if (s->op == BOARD_SLOT_DETACH)
		return "the guest is still busy letting go of it";
	if (pcie_port_powered(s->port))
		return "the guest gave its slot power, but no driver took it";
	return "the guest noticed it and did not give its slot power";
}

void board_give_up(struct board *b, const char *id, struct error *why)
{
	struct board_slot *s = board_slot_find(b, id);

	if (!s || s->op == BOARD_SLOT_IDLE)
		return;
	if (s->op == BOARD_SLOT_TAKE) {
		slot_release(b, s);
		return;
	}
	bus_lock(b->bus);
	error_set_code(why, ERROR_TIMEOUT, "%s", why_not(s));
	if (s->op == BOARD_SLOT_DETACH && s->pressed)
		/* Too late for it: the slot may lose power after all. */
		(void)pcie_port_cancel_press(s->port);
	bus_unlock(b->bus);
	if (s->op == BOARD_SLOT_ATTACH)
		board_slot_empty(b, s);
	s->op = BOARD_SLOT_IDLE;
}

int board_device_status(struct board *b, const char *id,
			struct vmm_device_status *ret)
{
	struct board_slot *s = board_slot_find(b, id);

	if (!s)
		return -ENOENT;
	status_fill(b, s, slot_state(b, s), ret);
	return 0;
}
