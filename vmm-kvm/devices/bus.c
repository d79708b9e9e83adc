/*
 * Lookup is a walk in the order of adding: a machine has some dozens of
 * regions, the walk is noise beside the exit that led here, and "the one added
 * first wins" needs no further thought.
 */
#include "vmm-kvm/devices/bus.h"

#include <assert.h>
#include <pthread.h>

struct bus {
	pthread_mutex_t lock; /* recursive; see bus.h */
	struct mmio_region **regions;
	size_t count, allocated;
	/* The last one is for all whose names came too late. */
	struct bus_tally tallies[BUS_TALLIES_MAX];
	unsigned n_tallies;
	struct bus_fence fence;
	struct bus_delay delay;
};

static int lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;
	int r = pthread_mutexattr_init(&attr);

	if (r)
		return -r;
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	r = pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
	return -r;
}

int bus_new(struct bus **ret)
{
	struct bus *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	r = lock_init(&b->lock);
	if (r < 0) {
		free(b);
		return r;
	}
	*ret = b;
	return 0;
}

struct bus *bus_free(struct bus *b)
{
	if (b) {
		pthread_mutex_destroy(&b->lock);
		free(b->regions);
		free(b);
	}
	return NULL;
}

void bus_lock(struct bus *b)
{
	int r = pthread_mutex_lock(&b->lock);

	assert(r == 0);
	(void)r;
}

void bus_unlock(struct bus *b)
{
	int r = pthread_mutex_unlock(&b->lock);

	assert(r == 0);
	(void)r;
}

static bool region_wraps(const struct mmio_region *r)
{
	/* The last byte, not the end, must be representable. */
	return r->size_bytes == 0 || r->base + (r->size_bytes - 1) < r->base;
}

static bool regions_overlap(const struct mmio_region *a,
			    const struct mmio_region *b)
{
	return a->base <= b->base + (b->size_bytes - 1) &&
	       b->base <= a->base + (a->size_bytes - 1);
}

static int region_check(const struct bus *b, const struct mmio_region *r)
{
	if (region_wraps(r))
		return -EINVAL;
	for (size_t i = 0; i < b->count; i++) {
		const struct mmio_region *other = b->regions[i];

		if (other == r)
			return -EEXIST;
		if (r->enabled && other->enabled && !region_wraps(other) &&
		    regions_overlap(r, other))
			return -EEXIST;
	}
	return 0;
}

/* Names are few: one for each kind of device. */
static unsigned tally_of(struct bus *b, const char *name)
{
	struct bus_tally *t;

	if (!name)
		name = "unnamed";
	for (unsigned i = 0; i < b->n_tallies; i++)
		if (strncmp(b->tallies[i].name, name,
			    sizeof(b->tallies[i].name) - 1) == 0)
			return i;
	if (b->n_tallies == BUS_TALLIES_MAX)
		return BUS_TALLIES_MAX - 1;
	t = &b->tallies[b->n_tallies];
	strncpy(t->name, b->n_tallies == BUS_TALLIES_MAX - 1 ? "others" : name,
		sizeof(t->name) - 1);
	return b->n_tallies++;
}

static int region_append(struct bus *b, struct mmio_region *r)
{
	if (b->count == b->allocated) {
		size_t n = b->allocated ? 2 * b->allocated : 32;
		void *p = reallocarray(b->regions, n, sizeof(*b->regions));

		if (!p)
			return -ENOMEM;
		b->regions = p;
		b->allocated = n;
	}
	r->tally = tally_of(b, r->name);
	b->regions[b->count++] = r;
	return 0;
}

int bus_add(struct bus *b, struct mmio_region *r)
{
	int ret;

	bus_lock(b);
	ret = region_check(b, r);
	if (ret == 0)
		ret = region_append(b, r);
	bus_unlock(b);
	return ret;
}

void bus_remove(struct bus *b, struct mmio_region *r)
{
	bus_lock(b);
	for (size_t i = 0; i < b->count; i++) {
		if (b->regions[i] != r)
			continue;
		memmove(&b->regions[i], &b->regions[i + 1],
			(b->count - i - 1) * sizeof(*b->regions));
		b->count--;
		break;
	}
	bus_unlock(b);
}

void bus_region_move(struct bus *b, struct mmio_region *r, uint64_t base,
		     bool enabled)
{
	bus_lock(b);
	r->base = base;
	r->enabled = enabled;
	bus_unlock(b);
}

/* Also right for a region a guest moved across the end of the addresses: the
 * part that would wrap around is simply not there. */
static struct mmio_region *region_find(const struct bus *b, uint64_t addr,
				       unsigned size)
{
	for (size_t i = 0; i < b->count; i++) {
		struct mmio_region *r = b->regions[i];

		if (r->enabled && addr >= r->base &&
		    addr - r->base < r->size_bytes &&
		    size <= r->size_bytes - (addr - r->base))
			return r;
	}
	return NULL;
}

static bool size_valid(unsigned size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static uint64_t size_mask(unsigned size)
{
	return size >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * size)) - 1;
}

bool bus_read(struct bus *b, uint64_t addr, unsigned size, uint64_t *ret)
{
	struct mmio_region *r;

	*ret = size_mask(size);
	if (!size_valid(size))
		return false;
	bus_lock(b);
	r = region_find(b, addr, size);
	if (r) {
		b->tallies[r->tally].reads++;
		*ret = r->ops->read(r->dev, addr - r->base, size) &
		       size_mask(size);
	}
	bus_unlock(b);
	return r != NULL;
}

bool bus_write(struct bus *b, uint64_t addr, unsigned size, uint64_t value)
{
	struct mmio_region *r;

	if (!size_valid(size))
		return false;
	bus_lock(b);
	r = region_find(b, addr, size);
	if (r) {
		b->tallies[r->tally].writes++;
		r->ops->write(r->dev, addr - r->base, size,
			      value & size_mask(size));
	}
	bus_unlock(b);
	return r != NULL;
}

size_t bus_tallies(struct bus *b, struct bus_tally *ret)
{
	size_t n;

	bus_lock(b);
	n = b->n_tallies;
	memcpy(ret, b->tallies, n * sizeof(*ret));
	bus_unlock(b);
	return n;
}

void bus_use_fence(struct bus *b, const struct bus_fence *fence)
{
	b->fence = *fence;
}

void bus_fence_set(struct bus *b, bool up)
{
	if (b->fence.set)
		b->fence.set(b->fence.cookie, up);
}

void bus_use_delay(struct bus *b, const struct bus_delay *delay)
{
	b->delay = *delay;
}

void bus_delay_set(struct bus *b, uint64_t addr, uint64_t size, bool on)
{
	if (b->delay.set)
		b->delay.set(b->delay.cookie, addr, size, on);
}
