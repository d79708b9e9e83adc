/*
 * A board with empty slots on sinks that only remember, and a guest that is
 * these functions: it listens, switches power, drives a disk.
 */
#ifndef TESTS_UNIT_BOARD_HOTPLUG_FIXTURE_H
#define TESTS_UNIT_BOARD_HOTPLUG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "lib/base/fd.h"
#include "vmm-kvm/board_layout.h"
#include "vmm-kvm/board_slots.h"

#define VECTORS	 64
#define SLOTS	 3
#define EVENTS	 32
#define EXPRESS	 0x4c /* where the capability of a port is, see setup() */
#define CHILD_AT 0x10000000ull

struct fixture {
	uv_loop_t loop;
	struct chardev *console;
	struct vm_config config;
	struct vmm_params params;
	struct board_space space;
	struct msi_sink msi;
	struct board *board;
	int vectors[VECTORS];
	struct vmm_device_status events[EVENTS];
	unsigned n_events, read_events, changes;
};

static int vector_new(void *cookie, uint32_t *ret_vector, int *ret_fd)
{
	struct fixture *f = cookie;

	for (uint32_t i = 0; i < VECTORS; i++)
		if (f->vectors[i] < 0) {
			*ret_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
			f->vectors[i] = *ret_fd;
			*ret_vector = i;
			return 0;
		}
	return -ENOSPC;
}

static void vector_free(void *cookie, uint32_t vector)
{
	struct fixture *f = cookie;

	f->vectors[vector] = fd_close(f->vectors[vector]);
}

static int vector_set(void *cookie, uint32_t vector, uint64_t address,
		      uint32_t data, uint32_t device_id)
{
	return 0;
}

static void vector_mask(void *cookie, uint32_t vector)
{
}

static void ignore_line(void *cookie, uint32_t intid, bool level)
{
}

static void on_changed(void *cookie)
{
	((struct fixture *)cookie)->changes++;
}

static void on_device(void *cookie, const struct vmm_device_status *status)
{
	struct fixture *f = cookie;

	assert_true(f->n_events < EVENTS);
	f->events[f->n_events++] = *status;
}

static int file_of(uint64_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static uint64_t port(unsigned slot)
{
	unsigned devfn = (BOARD_PCI_PORTS_FIRST << 3) + slot - 1;

	return BOARD_PCI_ECAM_BASE + ((uint64_t)devfn << 12);
}

static uint16_t get(struct fixture *f, uint64_t at)
{
	uint64_t value = 0;

	bus_read(board_bus(f->board), at, 2, &value);
	return (uint16_t)value;
}

static void put(struct fixture *f, uint64_t at, unsigned size, uint64_t value)
{
	bus_write(board_bus(f->board), at, size, value);
}

/* Buses behind the ports, as a firmware numbers them. */
static void number_buses(struct fixture *f)
{
	for (unsigned slot = 1; slot <= SLOTS; slot++)
		put(f, port(slot) + 0x18, 4, slot << 16 | slot << 8);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	static const struct guest_abi abi = {.gic = VM_GIC_V3};
	struct board_params p = {
		.vmm = &f->params,
		.space = &f->space,
		.abi = &abi,
		.line = {.set = ignore_line},
		.msi = &f->msi,
		.slots_changed = on_changed,
		.device_event = on_device,
		.cookie = f,
	};
	struct error e = ERROR_INIT;

	memset(f->vectors, -1, sizeof(f->vectors));
	f->msi = (struct msi_sink){vector_new, vector_free, vector_set,
				   vector_mask, f};
	uv_loop_init(&f->loop);
	assert_int_equal(chardev_new(&f->loop, &f->console), 0);
	f->config.max_hotplug = SLOTS;
	f->params = (struct vmm_params){
		.config = &f->config,
		.loop = &f->loop,
		.console = f->console,
		.hypervisor_fd = -1,
		.firmware_fd = -1,
		.nvram_fd = -1,
		.kernel_fd = -1,
		.snapshot_fd = -1,
		.initrd_fd = -1,
	};
	assert_int_equal(board_space_plan(MIB(128), 40, &f->space, NULL), 0);
	if (board_new(&p, &f->board, &e))
		fail_msg("%s", e.message);
	assert_int_equal(get(f, port(1) + EXPRESS) & 0xff, 0x10);
	number_buses(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	board_free(f->board);
	chardev_free(f->console);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	for (size_t i = 0; i < VECTORS; i++)
		assert_int_equal(f->vectors[i], -1);
	free(f);
	return 0;
}

/* The next event, which must be this one. */
static void expect(struct fixture *f, const char *id,
		   enum vm_device_state state)
{
	const struct vmm_device_status *s = &f->events[f->read_events];

	board_slots_poll(f->board);
	if (f->read_events == f->n_events)
		fail_msg("\"%s\" did not become %s", id,
			 vm_device_state_name(state));
	if (!streq(s->id, id) || s->state != state)
		fail_msg("\"%s\" became %s, not \"%s\" %s", s->id,
			 vm_device_state_name(s->state), id,
			 vm_device_state_name(state));
	f->read_events++;
}

static void expect_silence(struct fixture *f)
{
	board_slots_poll(f->board);
	assert_int_equal(f->read_events, f->n_events);
}

static int attach(struct fixture *f, const char *id, uint32_t slot,
		  uint32_t *ret_slot, struct error *e)
{
	struct disk_config disk = {.id = (char *)id, .slot = slot};
	const struct vmm_device device = {
		.kind = VM_DEVICE_DISK,
		.disk = &disk,
		.fd = file_of(MIB(1)),
	};

	return board_attach(f->board, &device, ret_slot, e);
}

static uint32_t must_attach(struct fixture *f, const char *id)
{
	struct error e = ERROR_INIT;
	uint32_t slot;

	if (attach(f, id, 0, &slot, &e))
		fail_msg("%s", e.message);
	expect(f, id, VM_DEVICE_OFFERED);
	return slot;
}

#define LISTENING 0x1021

static void listen_to(struct fixture *f, unsigned slot)
{
	uint64_t control = port(slot) + EXPRESS + 0x18;

	put(f, control, 2, get(f, control) | LISTENING);
}

/* As pciehp: take the events, then switch power. */
static void power(struct fixture *f, unsigned slot, bool on)
{
	put(f, port(slot) + EXPRESS + 0x1a, 2, 0xffff);
	put(f, port(slot) + EXPRESS + 0x18, 2,
	    on ? LISTENING | 0x1c0 : LISTENING | 0x7c0);
}

/* As virtio_pci up to DRIVER_OK. */
static void drive(struct fixture *f, unsigned slot)
{
	uint64_t cfg = BOARD_PCI_ECAM_BASE + ((uint64_t)slot << 20);
	uint64_t bar = CHILD_AT + slot * MIB(1);

	put(f, cfg + 0x10, 4, bar);
	put(f, cfg + 0x14, 4, 0);
	put(f, cfg + 4, 2, 6);
	put(f, bar + 0x08, 4, 1);
	put(f, bar + 0x0c, 4, 1); /* VIRTIO_F_VERSION_1 */
	put(f, bar + 0x14, 1, 11);
	put(f, bar + 0x14, 1, 15);
}

static uint32_t active_disk(struct fixture *f, const char *id)
{
	uint32_t slot = must_attach(f, id);

	listen_to(f, slot);
	power(f, slot, true);
	expect(f, id, VM_DEVICE_ACKNOWLEDGED);
	drive(f, slot);
	expect(f, id, VM_DEVICE_ACTIVE);
	return slot;
}

#endif
