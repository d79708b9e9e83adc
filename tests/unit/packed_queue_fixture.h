/* A packed virtqueue and the driver's side of it. */
#ifndef TESTS_UNIT_PACKED_QUEUE_FIXTURE_H
#define TESTS_UNIT_PACKED_QUEUE_FIXTURE_H

#include "tests/unit/packed_fixture.h"

struct fixture {
	struct ram ram;
	struct virtqueue q;
	struct packed_ring ring;
	struct virtq_chain chain;
};

static inline int enable(struct fixture *f, uint16_t size, bool event_index)
{
	virtqueue_reset(&f->q);
	packed_init(&f->ring, &f->ram, 0, size);
	f->q.size = size;
	f->q.desc_gpa = f->ring.desc;
	f->q.avail_gpa = f->ring.driver;
	f->q.used_gpa = f->ring.device;
	f->q.packed = f->q.indirect = true;
	f->q.event_index = event_index;
	return virtqueue_enable(&f->q);
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	ram_init(&f->ram);
	virtqueue_init(&f->q, &f->ram.mem, 256);
	assert_int_equal(enable(f, RING_SIZE, true), 0);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	virtqueue_reset(&f->q);
	ram_done(&f->ram);
	free(f);
	return 0;
}

static inline int pop(struct fixture *f)
{
	return virtqueue_pop(&f->q, &f->chain);
}

/* One buffer that the device writes, with that id. */
static inline void offer(struct fixture *f, uint16_t id)
{
	packed_add(&f->ring, DATA_GPA + id * 64ull, 64, VIRTQ_DESC_WRITE, id);
}

static inline void expect_used(struct fixture *f, unsigned count, uint16_t id,
			       uint32_t written)
{
	uint16_t have_id;
	uint32_t have;

	assert_true(packed_take(&f->ring, count, &have_id, &have));
	assert_int_equal(have_id, id);
	assert_int_equal(have, written);
}

static inline void expect_nothing_used(struct fixture *f)
{
	uint16_t id;
	uint32_t written;

	assert_false(packed_take(&f->ring, 1, &id, &written));
}

#endif
