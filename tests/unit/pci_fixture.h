/*
 * A machine for unit tests of PCI devices: bus, PCI host, RAM, loop, and the
 * sinks as plain variables; and a driver that knows a virtio function only by
 * its configuration space.
 */
#ifndef TESTS_UNIT_PCI_FIXTURE_H
#define TESTS_UNIT_PCI_FIXTURE_H

#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "tests/unit/vring_fixture.h"
#include "vmm-kvm/devices/virtio_pci.h"

#define ECAM_BASE   0x3f000000ull
#define WINDOW_BASE 0x10000000ull
#define BAR0_AT	    WINDOW_BASE
#define BAR2_AT	    (WINDOW_BASE + 0x10000)
#define FAKE_MAX    16

struct fake_vector {
	bool used, masked;
	int fd, sets;
	uint64_t address;
	uint32_t data, device_id;
};

struct fake_doorbell {
	bool used;
	uint64_t gpa;
	int64_t match;
	int fd;
};

struct machine {
	struct ram ram;
	struct bus *bus;
	struct pci_host *host;
	uv_loop_t loop;
	struct msi_sink msi;
	struct doorbell_sink doorbells;
	struct fake_vector vectors[FAKE_MAX];
	struct fake_doorbell bells[FAKE_MAX];
	bool wires[PCI_HOST_WIRES];
};

static inline int fake_vector_new(void *cookie, uint32_t *ret, int *ret_fd)
{
	struct machine *m = cookie;

	for (uint32_t i = 0; i < FAKE_MAX; i++) {
		if (m->vectors[i].used)
			continue;
		m->vectors[i] = (struct fake_vector){
			.used = true,
			.masked = true,
			.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
		};
		*ret = i;
		*ret_fd = m->vectors[i].fd;
		return 0;
	}
	return -ENOSPC;
}

static inline void fake_vector_free(void *cookie, uint32_t vector)
{
	struct machine *m = cookie;

	close(m->vectors[vector].fd);
	m->vectors[vector].used = false;
}

static inline int fake_vector_set(void *cookie, uint32_t vector,
				  uint64_t address, uint32_t data,
				  uint32_t device_id)
{
	struct fake_vector *v = &((struct machine *)cookie)->vectors[vector];

	v->masked = false;
	v->sets++;
	v->address = address;
	v->data = data;
	v->device_id = device_id;
	return 0;
}

static inline void fake_vector_mask(void *cookie, uint32_t vector)
{
	((struct machine *)cookie)->vectors[vector].masked = true;
}

/* How often the vector was raised since last asked. */
static inline uint64_t fake_raised(struct machine *m, unsigned vector)
{
	eventfd_t n = 0;

	return eventfd_read(m->vectors[vector].fd, &n) < 0 ? 0 : n;
}

static inline int fake_bell_add(void *cookie, uint64_t gpa, unsigned size,
				int64_t match, int fd)
{
	struct machine *m = cookie;

	for (size_t i = 0; i < FAKE_MAX; i++) {
		if (m->bells[i].used)
			continue;
		m->bells[i] = (struct fake_doorbell){true, gpa, match, fd};
		return 0;
	}
	return -ENOSPC;
}

static inline void fake_bell_remove(void *cookie, uint64_t gpa, unsigned size,
				    int64_t match, int fd)
{
	struct machine *m = cookie;

	for (size_t i = 0; i < FAKE_MAX; i++)
		if (m->bells[i].used && m->bells[i].gpa == gpa &&
		    m->bells[i].match == match && m->bells[i].fd == fd)
			m->bells[i].used = false;
}

static inline unsigned fake_bells(const struct machine *m, uint64_t gpa)
{
	unsigned n = 0;

	for (size_t i = 0; i < FAKE_MAX; i++)
		n += m->bells[i].used && (!gpa || m->bells[i].gpa == gpa);
	return n;
}

static inline void fake_wire(void *cookie, uint32_t intid, bool level)
{
	((struct machine *)cookie)->wires[intid - 32] = level;
}

static inline void machine_init(struct machine *m)
{
	struct pci_host_params params = {
		.ecam_base = ECAM_BASE,
		.n_buses = 4,
		.windows = {{WINDOW_BASE, MIB(1)}, {GIB(512), GIB(1)}},
		.n_windows = 2,
	};

	*m = (struct machine){0};
	ram_init(&m->ram);
	assert_int_equal(bus_new(&m->bus), 0);
	assert_int_equal(uv_loop_init(&m->loop), 0);
	m->msi = (struct msi_sink){fake_vector_new, fake_vector_free,
				   fake_vector_set, fake_vector_mask, m};
	m->doorbells = (struct doorbell_sink){fake_bell_add, fake_bell_remove,
					      m};
	params.bus = m->bus;
	for (uint32_t i = 0; i < PCI_HOST_WIRES; i++)
		params.intx[i] = (struct irq_line){fake_wire, m, 32 + i};
	assert_int_equal(pci_host_new(&params, &m->host, NULL), 0);
}

static inline void machine_done(struct machine *m)
{
	uv_run(&m->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&m->loop), 0);
	pci_host_free(m->host);
	bus_free(m->bus);
	for (size_t i = 0; i < FAKE_MAX; i++) {
		assert_false(m->vectors[i].used);
		assert_false(m->bells[i].used);
	}
	ram_done(&m->ram);
}

static inline uint64_t mmio_read(struct machine *m, uint64_t at, unsigned size)
{
	uint64_t value = 0;

	bus_read(m->bus, at, size, &value);
	return value;
}

static inline void mmio_write(struct machine *m, uint64_t at, unsigned size,
			      uint64_t value)
{
	bus_write(m->bus, at, size, value);
}

static inline uint64_t cfg_at(unsigned devfn, unsigned reg)
{
	return ECAM_BASE + (uint64_t)devfn * 4096 + reg;
}

static inline uint32_t cfg_read(struct machine *m, unsigned devfn, unsigned reg,
				unsigned size)
{
	return (uint32_t)mmio_read(m, cfg_at(devfn, reg), size);
}

static inline void cfg_write(struct machine *m, unsigned devfn, unsigned reg,
			     unsigned size, uint32_t value)
{
	mmio_write(m, cfg_at(devfn, reg), size, value);
}

static inline void place_bar(struct machine *m, unsigned devfn, unsigned bar,
			     uint64_t at)
{
	cfg_write(m, devfn, PCI_REG_BAR0 + 4 * bar, 4, (uint32_t)at);
	cfg_write(m, devfn, PCI_REG_BAR0 + 4 * bar + 4, 4,
		  (uint32_t)(at >> 32));
}

/* Capability `id` (vendor ones of virtio type `type`), or 0. */
static inline unsigned find_cap(struct machine *m, unsigned devfn, uint8_t id,
				unsigned type)
{
	unsigned at = cfg_read(m, devfn, PCI_REG_CAPABILITIES, 1);

	for (unsigned n = 0; at && n < 48; n++) {
		if (cfg_read(m, devfn, at, 1) == id &&
		    (id != PCI_CAP_VENDOR ||
		     cfg_read(m, devfn, at + 3, 1) == type))
			return at;
		at = cfg_read(m, devfn, at + 1, 1);
	}
	return 0;
}

/* A virtio function as its driver sees it. */
struct driver {
	struct machine *m;
	unsigned devfn;
	uint64_t common, isr, device, notify;
	uint32_t stride;
	unsigned msix_cap;
};

static inline uint64_t driver_cap(struct driver *d, unsigned type)
{
	unsigned cap = find_cap(d->m, d->devfn, PCI_CAP_VENDOR, type);

	assert_true(cap != 0);
	assert_int_equal(cfg_read(d->m, d->devfn, cap + 4, 1), 0);
	return BAR0_AT + cfg_read(d->m, d->devfn, cap + 8, 4);
}

static inline void driver_probe(struct driver *d, struct machine *m,
				unsigned devfn)
{
	unsigned notify;

	*d = (struct driver){.m = m, .devfn = devfn};
	place_bar(m, devfn, 0, BAR0_AT);
	place_bar(m, devfn, 2, BAR2_AT);
	cfg_write(m, devfn, PCI_REG_COMMAND, 2,
		  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	d->common = driver_cap(d, 1);
	d->notify = driver_cap(d, 2);
	d->isr = driver_cap(d, 3);
	d->device = driver_cap(d, 4);
	notify = find_cap(m, devfn, PCI_CAP_VENDOR, 2);
	d->stride = cfg_read(m, devfn, notify + 16, 4);
	d->msix_cap = find_cap(m, devfn, PCI_CAP_MSIX, 0);
}

/* The device behind the PCI transport, which owns it then, and found there. */
static inline struct virtio_pci *driver_plug(struct driver *d,
					     struct machine *m, unsigned devfn,
					     struct virtio_dev *dev,
					     bool doorbells)
{
	const struct virtio_pci_params params = {
		.host = m->host,
		.devfn = devfn,
		.device = dev,
		.mem = &m->ram.mem,
		.bus = m->bus,
		.loop = &m->loop,
		.msi = &m->msi,
		.doorbells = doorbells ? &m->doorbells : NULL,
	};
	struct virtio_pci *v;

	assert_int_equal(virtio_pci_new(&params, &v, NULL), 0);
	driver_probe(d, m, devfn);
	return v;
}

static inline uint64_t driver_status(struct driver *d)
{
	return mmio_read(d->m, d->common + 0x14, 1);
}

static inline void driver_set_status(struct driver *d, uint8_t status)
{
	mmio_write(d->m, d->common + 0x14, 1, status);
}

static inline uint64_t driver_offered(struct driver *d)
{
	uint64_t features;

	mmio_write(d->m, d->common + 0x00, 4, 0);
	features = mmio_read(d->m, d->common + 0x04, 4);
	mmio_write(d->m, d->common + 0x00, 4, 1);
	return features | mmio_read(d->m, d->common + 0x04, 4) << 32;
}

/* Reset to FEATURES_OK. */
static inline void driver_negotiate(struct driver *d, uint64_t features)
{
	driver_set_status(d, 0);
	assert_int_equal(driver_status(d), 0);
	driver_set_status(d, 1);
	driver_set_status(d, 3);
	for (uint32_t half = 0; half < 2; half++) {
		mmio_write(d->m, d->common + 0x08, 4, half);
		mmio_write(d->m, d->common + 0x0c, 4,
			   (uint32_t)(features >> (32 * half)));
	}
	driver_set_status(d, 11);
	assert_int_equal(driver_status(d), 11);
}

static inline void driver_queue(struct driver *d, unsigned index,
				struct vring *v)
{
	const uint64_t addresses[] = {v->desc, v->avail, v->used};

	mmio_write(d->m, d->common + 0x16, 2, index);
	mmio_write(d->m, d->common + 0x18, 2, v->size);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t at = d->common + 0x20 + 8 * i;

		mmio_write(d->m, at, 4, (uint32_t)addresses[i]);
		mmio_write(d->m, at + 4, 4, addresses[i] >> 32);
	}
	mmio_write(d->m, d->common + 0x1c, 2, 1);
}

/* All queues of RING_SIZE, then DRIVER_OK. */
static inline void driver_start(struct driver *d, uint64_t features,
				struct vring *rings, unsigned n)
{
	driver_negotiate(d, features | 1ull << 32);
	for (unsigned i = 0; i < n; i++) {
		vring_init(&rings[i], &d->m->ram, i, RING_SIZE);
		driver_queue(d, i, &rings[i]);
	}
	driver_set_status(d, 15);
	assert_int_equal(driver_status(d), 15);
}

/* As KVM does it when there is a doorbell, else by the trap. */
static inline void driver_notify(struct driver *d, unsigned index)
{
	uint64_t gpa = d->notify + index * d->stride;

	for (size_t i = 0; i < FAKE_MAX; i++)
		if (d->m->bells[i].used && d->m->bells[i].gpa == gpa) {
			eventfd_write(d->m->bells[i].fd, 1);
			return;
		}
	mmio_write(d->m, gpa, 2, index);
}

/* Turn the loop until the ring's next used element; false after a while. */
static inline bool driver_wait(struct driver *d, struct vring *v,
			       uint32_t *head, uint32_t *written)
{
	for (int i = 0; i < 2000; i++) {
		uv_run(&d->m->loop, UV_RUN_NOWAIT);
		if (vring_take(v, head, written))
			return true;
		usleep(500);
	}
	return false;
}

static inline void driver_turn(struct driver *d)
{
	for (int i = 0; i < 5; i++)
		uv_run(&d->m->loop, UV_RUN_NOWAIT);
}

/* Table entry `vector` unmasked, MSI-X on. */
static inline void driver_msix(struct driver *d, unsigned vector,
			       uint64_t address, uint32_t data)
{
	uint64_t entry = BAR2_AT + 16 * vector;

	mmio_write(d->m, entry, 4, (uint32_t)address);
	mmio_write(d->m, entry + 4, 4, address >> 32);
	mmio_write(d->m, entry + 8, 4, data);
	mmio_write(d->m, entry + 12, 4, 0);
	cfg_write(d->m, d->devfn, d->msix_cap + 2, 2, 0x8000);
}

#endif
