/*
 * A virtio device with two queues that only counts what happens to it, behind
 * the PCI transport: for tests of that transport.
 */
#ifndef TESTS_UNIT_VIRTIO_PROBE_FIXTURE_H
#define TESTS_UNIT_VIRTIO_PROBE_FIXTURE_H

#include "tests/unit/pci_fixture.h"

#define DEVFN PCI_DEVFN(1, 0)

/* A device with two queues that counts what happens to it. */
struct probe {
	struct virtio_dev dev;
	struct virtq_chain chain;
	uint8_t config[6];
	unsigned kicks[2], resets, *frees;
};

struct fixture {
	struct machine m;
	struct probe *probe;
	struct virtio_pci *v;
	struct driver d;
	struct vring rings[2];
	unsigned frees;
};

static inline struct probe *probe_of(struct virtio_dev *d)
{
	return container_of(d, struct probe, dev);
}

static inline void probe_kick(struct virtio_dev *d, unsigned index)
{
	struct probe *p = probe_of(d);

	p->kicks[index]++;
	while (virtio_pop(d, index, &p->chain))
		virtio_push(d, index, p->chain.head, 9);
	virtio_notify(d, index);
}

static inline void probe_reset(struct virtio_dev *d)
{
	probe_of(d)->resets++;
}

static inline void probe_free(struct virtio_dev *d)
{
	(*probe_of(d)->frees)++;
	free(probe_of(d));
}

static const struct virtio_dev_ops probe_ops = {
	.name = "probe",
	.device_id = 60,
	.pci_class = 0xff0000,
	.kick = probe_kick,
	.reset = probe_reset,
	.free = probe_free,
};

static inline int setup_with(void **state, bool doorbells)
{
	struct fixture *f = calloc(1, sizeof(*f));

	machine_init(&f->m);
	f->probe = calloc(1, sizeof(*f->probe));
	f->probe->frees = &f->frees;
	memcpy(f->probe->config, "\1\2\3\4\5\6", 6);
	virtio_dev_init(&f->probe->dev, &probe_ops, 1ull << 3, f->probe->config,
			sizeof(f->probe->config), 2, 16);
	f->v = driver_plug(&f->d, &f->m, DEVFN, &f->probe->dev, doorbells);
	*state = f;
	return 0;
}

static inline int setup(void **state)
{
	return setup_with(state, true);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_pci_free(f->v);
	machine_done(&f->m);
	assert_int_equal(f->frees, 1);
	free(f);
	return 0;
}

static inline uint64_t common(struct fixture *f, unsigned at, unsigned size)
{
	return mmio_read(&f->m, f->d.common + at, size);
}

static inline void set_common(struct fixture *f, unsigned at, unsigned size,
			      uint64_t value)
{
	mmio_write(&f->m, f->d.common + at, size, value);
}

#endif
