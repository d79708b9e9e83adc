#include <poll.h>
#include <sys/eventfd.h>

#include "vmm-kvm/devices/msix.h"
#include "vmm-kvm/devices/pci_host.h"

/* The capability (PCI 3.0, 6.8.2.3 to 6.8.2.5). */
#define CAP_BYTES   12
#define CAP_CONTROL 2
#define CAP_TABLE   4
#define CAP_PBA	    8

#define CONTROL_ENABLE	      (1u << 15)
#define CONTROL_FUNCTION_MASK (1u << 14)

/* A table entry (6.8.2.6 to 6.8.2.9). */
#define ENTRY_BYTES   16
#define ENTRY_CONTROL 12
#define ENTRY_MASKED  1u

static void deliver(const struct msix_vector *v)
{
	eventfd_write(v->fd, 1);
}

static void vector_update(struct msix *m, struct msix_vector *v, bool open,
			  bool reprogram)
{
	/* A message the sink refuses reaches nobody, as on a bus. */
	if (open && (!v->open || reprogram))
		open = m->sink->vector_set(m->sink->cookie, v->id, v->address,
					   v->data,
					   pci_requester_id(m->dev)) == 0;
	if (!open && v->open)
		m->sink->vector_mask(m->sink->cookie, v->id);
	v->open = open;
	if (open && v->pending) {
		v->pending = false;
		deliver(v);
	}
}

static uint16_t control(const struct msix *m)
{
	return pci_get16(m->dev->config, m->cap + CAP_CONTROL);
}

static bool may_open(const struct msix *m, const struct msix_vector *v)
{
	return (control(m) & (CONTROL_ENABLE | CONTROL_FUNCTION_MASK)) ==
		       CONTROL_ENABLE &&
	       !v->masked;
}

static uint32_t entry_get(const struct msix_vector *v, unsigned at)
{
	switch (at) {
	case 0:
		return (uint32_t)v->address;
	case 4:
		return (uint32_t)(v->address >> 32);
	case 8:
		return v->data;
	default:
		return v->masked ? ENTRY_MASKED : 0;
	}
}

static void entry_set(struct msix *m, struct msix_vector *v, unsigned at,
		      uint32_t value)
{
	switch (at) {
	case 0:
		v->address = (v->address & ~(uint64_t)UINT32_MAX) |
			     (value & ~3u);
		break;
	case 4:
		v->address = (uint32_t)v->address | (uint64_t)value << 32;
		break;
	case 8:
		v->data = value;
		break;
	default:
		v->masked = value & ENTRY_MASKED;
		break;
	}
	vector_update(m, v, may_open(m, v), at != ENTRY_CONTROL);
}

/* Whoever else writes to the eventfd of a vector that is not open finds nobody
 * who reads it: the sink delivers that when it opens. */
static bool is_pending(const struct msix_vector *v)
{
	struct pollfd p = {.fd = v->fd, .events = POLLIN};

	return v->pending || (!v->open && poll(&p, 1, 0) > 0);
}

static uint32_t read_dword(const struct msix *m, uint64_t offset)
{
	uint32_t bits = 0;

	if (offset < m->n_vectors * (uint64_t)ENTRY_BYTES)
		return entry_get(&m->vectors[offset / ENTRY_BYTES],
				 offset % ENTRY_BYTES);
	if (offset < MSIX_PBA_AT ||
	    offset >= MSIX_PBA_AT + MSIX_VECTORS_MAX / 8)
		return 0;
	for (unsigned i = 0; i < 32; i++) {
		uint64_t vector = (offset - MSIX_PBA_AT) * 8 + i;

		if (vector < m->n_vectors && is_pending(&m->vectors[vector]))
			bits |= 1u << i;
	}
	return bits;
}

/* Dwords and aligned pairs of them are all that is legal (6.8.2). */
static bool legal(uint64_t offset, unsigned size)
{
	return (size == 4 || size == 8) && offset % size == 0;
}

static uint64_t msix_read(void *dev, uint64_t offset, unsigned size)
{
	struct msix *m = dev;
	uint64_t value;

	if (!legal(offset, size))
		return 0;
	value = read_dword(m, offset);
	if (size == 8)
		value |= (uint64_t)read_dword(m, offset + 4) << 32;
	return value;
}

static void msix_write(void *dev, uint64_t offset, unsigned size,
		       uint64_t value)
{
	struct msix *m = dev;

	if (!legal(offset, size))
		return;
	for (unsigned at = 0; at < size; at += 4, offset += 4) {
		if (offset >= m->n_vectors * (uint64_t)ENTRY_BYTES)
			return;
		entry_set(m, &m->vectors[offset / ENTRY_BYTES],
			  offset % ENTRY_BYTES, (uint32_t)(value >> (8 * at)));
	}
}

static const struct mmio_ops msix_ops = {
	.read = msix_read,
	.write = msix_write,
};

static int make_vectors(struct msix *m, unsigned n, struct error *e)
{
	m->vectors = calloc(n, sizeof(*m->vectors));
	if (!m->vectors)
		return error_set(e, -ENOMEM, "out of memory for MSI-X");
	for (; m->n_vectors < n; m->n_vectors++) {
		struct msix_vector *v = &m->vectors[m->n_vectors];
		int r = m->sink->vector_new(m->sink->cookie, &v->id, &v->fd);

		if (r < 0)
			return error_set(e, r, "no interrupt vector for %s: %s",
					 m->dev->name, strerror(-r));
		v->masked = true;
	}
	return 0;
}

int msix_init(struct msix *m, struct pci_dev *dev, unsigned bar,
	      unsigned n_vectors, const struct msi_sink *sink, struct error *e)
{
	unsigned cap;
	int r;

	*m = (struct msix){.dev = dev, .sink = sink};
	if (n_vectors < 1 || n_vectors > MSIX_VECTORS_MAX)
		return error_set(e, -EINVAL,
				 "MSI-X takes 1 to %d vectors, not %u",
				 MSIX_VECTORS_MAX, n_vectors);
	cap = pci_cap_add(dev, PCI_CAP_MSIX, CAP_BYTES);
	if (!cap)
		return error_set(e, -ENOSPC, "no room for MSI-X in %s",
				 dev->name);
	m->cap = cap;
	pci_put16(dev->config, cap + CAP_CONTROL, (uint16_t)(n_vectors - 1));
	pci_put16(dev->wmask, cap + CAP_CONTROL,
		  CONTROL_ENABLE | CONTROL_FUNCTION_MASK);
	pci_put32(dev->config, cap + CAP_TABLE, MSIX_TABLE_AT | bar);
	pci_put32(dev->config, cap + CAP_PBA, MSIX_PBA_AT | bar);
	pci_bar_init(dev, bar, MSIX_BAR_BYTES, &msix_ops, m);
	r = make_vectors(m, n_vectors, e);
	if (r < 0)
		msix_done(m);
	return r;
}

void msix_done(struct msix *m)
{
	for (unsigned i = 0; i < m->n_vectors; i++)
		m->sink->vector_free(m->sink->cookie, m->vectors[i].id);
	free(m->vectors);
	m->vectors = NULL;
	m->n_vectors = 0;
}

bool msix_enabled(const struct msix *m)
{
	return control(m) & CONTROL_ENABLE;
}

int msix_fd(const struct msix *m, unsigned vector)
{
	return vector < m->n_vectors ? m->vectors[vector].fd : -1;
}

int msix_open_fd(const struct msix *m, unsigned vector)
{
	return vector < m->n_vectors && m->vectors[vector].open
		       ? m->vectors[vector].fd
		       : -1;
}

void msix_notify(struct msix *m, unsigned vector)
{
	if (vector >= m->n_vectors)
		return;
	if (m->vectors[vector].open)
		deliver(&m->vectors[vector]);
	else
		m->vectors[vector].pending = true;
}

void msix_config_written(struct msix *m)
{
	for (unsigned i = 0; i < m->n_vectors; i++) {
		struct msix_vector *v = &m->vectors[i];

		vector_update(m, v, may_open(m, v), false);
	}
}

void msix_reset(struct msix *m)
{
	for (unsigned i = 0; i < m->n_vectors; i++) {
		struct msix_vector *v = &m->vectors[i];

		eventfd_t lost;

		v->masked = true;
		v->pending = false;
		v->address = 0;
		v->data = 0;
		vector_update(m, v, false, false);
		/* Fails when nothing waits there. */
		(void)eventfd_read(v->fd, &lost);
	}
}

void msix_save(const struct msix *m, struct state_out *out)
{
	size_t began = state_begin(out, "msix", 1);

	state_put_u16(out, (uint16_t)m->n_vectors);
	for (unsigned i = 0; i < m->n_vectors; i++) {
		const struct msix_vector *v = &m->vectors[i];

		state_put_u64(out, v->address);
		state_put_u32(out, v->data);
		state_put_u8(out, v->masked);
		state_put_u8(out, v->pending);
	}
	state_end(out, began);
}

int msix_load(struct msix *m, struct state_in *in, struct error *e)
{
	struct state_in r;
	int err = state_open(in, "msix", 1, &r, e);

	if (err)
		return err;
	if (state_get_u16(&r) != m->n_vectors)
		return state_bad(&r, e, "has another number of vectors");
	for (unsigned i = 0; i < m->n_vectors; i++) {
		struct msix_vector *v = &m->vectors[i];

		v->address = state_get_u64(&r) & ~3ull;
		v->data = state_get_u32(&r);
		v->masked = state_get_bool(&r);
		v->pending = state_get_bool(&r);
		vector_update(m, v, may_open(m, v), true);
	}
	return state_close(&r, e);
}
