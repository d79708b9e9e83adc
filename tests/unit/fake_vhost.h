/*
 * Who serves the rings, for tests: remembers what it was told, can refuse, and
 * takes and gives buffers when the test says so.
 */
#ifndef TESTS_UNIT_FAKE_VHOST_H
#define TESTS_UNIT_FAKE_VHOST_H

#include "lib/host/vhost.h"

struct fake_vhost {
	struct vhost vhost;
	bool running, refuse;
	unsigned starts, stops, *frees;
	struct vhost_region regions[VHOST_REGIONS_MAX];
	struct vhost_ring rings[VHOST_RINGS_MAX];
	struct vhost_setup setup;
};

static inline struct fake_vhost *fake_vhost_of(struct vhost *v)
{
	return (struct fake_vhost *)v;
}

static inline int fake_vhost_start(struct vhost *v, const struct vhost_setup *s,
				   struct error *e)
{
	struct fake_vhost *f = fake_vhost_of(v);

	assert_false(f->running);
	f->starts++;
	if (f->refuse)
		return error_set(e, -EIO, "the fake refuses");
	f->setup = *s;
	memcpy(f->regions, s->regions, s->n_regions * sizeof(*s->regions));
	memcpy(f->rings, s->rings, s->n_rings * sizeof(*s->rings));
	f->running = true;
	return 0;
}

static inline void fake_vhost_stop(struct vhost *v, uint16_t *ret_next)
{
	struct fake_vhost *f = fake_vhost_of(v);

	assert_true(f->running);
	f->running = false;
	f->stops++;
	for (unsigned i = 0; i < f->setup.n_rings; i++)
		if (f->rings[i].ready)
			ret_next[i] = f->rings[i].next;
}

static inline int fake_vhost_set_call(struct vhost *v, unsigned ring, int fd)
{
	struct fake_vhost *f = fake_vhost_of(v);

	assert_true(f->running && f->rings[ring].ready);
	if (f->refuse)
		return -EIO;
	f->rings[ring].call_fd = fd;
	return 0;
}

static inline void fake_vhost_free(struct vhost *v)
{
	struct fake_vhost *f = fake_vhost_of(v);

	assert_false(f->running);
	(*f->frees)++;
	free(f);
}

static const struct vhost_ops fake_vhost_ops = {
	.start = fake_vhost_start,
	.stop = fake_vhost_stop,
	.set_call = fake_vhost_set_call,
	.free = fake_vhost_free,
};

static inline struct fake_vhost *fake_vhost_new(uint64_t features,
						unsigned *frees)
{
	struct fake_vhost *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->vhost = (struct vhost){&fake_vhost_ops, features};
	f->frees = frees;
	return f;
}

/* Hand `n` chains of ring `index` back, each with nothing written. */
static inline void fake_vhost_use(struct fake_vhost *f, unsigned index,
				  unsigned n)
{
	struct vhost_ring *r = &f->rings[index];
	uint16_t *avail = r->avail, *used = r->used;

	for (; n; n--) {
		uint32_t element[2] = {avail[2 + r->next % r->size], 0};

		memcpy((uint8_t *)r->used + 4 + 8 * (used[1] % r->size),
		       element, sizeof(element));
		used[1]++;
		r->next++;
	}
}

#endif
