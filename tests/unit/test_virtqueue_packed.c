#include "tests/unit/packed_queue_fixture.h"

#define EVENT 2 /* RING_EVENT_FLAGS_DESC */

static void test_enable(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(enable(f, 0, true), -EINVAL);
	assert_int_equal(enable(f, 257, true), -EINVAL);
	assert_int_equal(pop(f), -ESHUTDOWN);
	/* 2.8.10.1: no power of two is needed. */
	assert_int_equal(enable(f, 7, true), 0);
	for (unsigned i = 0; i < 3; i++) {
		const uint64_t odd[3] = {8, 2, 2};
		uint64_t *gpa[3] = {&f->q.desc_gpa, &f->q.avail_gpa,
				    &f->q.used_gpa};

		assert_int_equal(enable(f, 8, true), 0);
		f->q.ready = false;
		virtqueue_reset(&f->q);
		f->q.packed = true;
		f->q.desc_gpa = f->ring.desc;
		f->q.avail_gpa = f->ring.driver;
		f->q.used_gpa = f->ring.device;
		*gpa[i] += odd[i];
		assert_int_equal(virtqueue_enable(&f->q), -EINVAL);
		*gpa[i] = RAM_GPA + RAM_BYTES;
		assert_int_equal(virtqueue_enable(&f->q), -EFAULT);
	}
}

/* Chains of one to three descriptors, often enough to wrap at every place. */
static void chains_of(struct fixture *f, uint16_t size)
{
	assert_int_equal(enable(f, size, true), 0);
	for (unsigned round = 0; round < 5u * size; round++) {
		unsigned n = 1 + round % 3;
		uint16_t id = (uint16_t)(round * 7);

		for (unsigned i = 0; i < n; i++)
			packed_add(&f->ring, DATA_GPA + 64ull * i, 10 + i,
				   (i + 1 < n ? VIRTQ_DESC_NEXT : 0) |
					   (i ? VIRTQ_DESC_WRITE : 0),
				   i + 1 < n ? 0xffff : id);
		assert_int_equal(pop(f), 1);
		assert_int_equal(f->chain.n_out, 1);
		assert_int_equal(f->chain.n_in, n - 1);
		assert_int_equal(f->chain.out_bytes, 10);
		for (unsigned i = 0; i < n; i++)
			assert_ptr_equal(f->chain.iov[i].iov_base,
					 ram_at(&f->ram, DATA_GPA + 64ull * i));
		assert_int_equal(pop(f), 0);
		expect_nothing_used(f);
		virtqueue_push(&f->q, f->chain.head, round);
		expect_used(f, n, id, round);
		expect_nothing_used(f);
	}
}

static void test_chains(void **state)
{
	chains_of(*state, 8);
	chains_of(*state, 7);
	chains_of(*state, 3);
}

/* Handed back in another order than taken, with the ring full all the time. */
static void test_out_of_order(void **state)
{
	struct fixture *f = *state;
	uint16_t heads[RING_SIZE], ids[RING_SIZE];

	for (uint16_t i = 0; i < RING_SIZE; i++) {
		offer(f, i);
		assert_int_equal(pop(f), 1);
		heads[i] = f->chain.head;
		ids[i] = i;
	}
	for (unsigned round = 0; round < 100; round++) {
		unsigned i = (round * 5 + round / 3) % RING_SIZE;

		virtqueue_push(&f->q, heads[i], round);
		expect_used(f, 1, ids[i], round);
		ids[i] = (uint16_t)(200 + round);
		packed_add(&f->ring, DATA_GPA + round, 1, 0, ids[i]);
		assert_int_equal(pop(f), 1);
		assert_ptr_equal(f->chain.iov[0].iov_base,
				 ram_at(&f->ram, DATA_GPA + round));
		heads[i] = f->chain.head;
	}
}

static void table_entry(struct fixture *f, unsigned i, uint64_t address,
			uint32_t length, unsigned flags)
{
	const struct packed_desc d = {address, length, 0xabcd, (uint16_t)flags};

	memcpy((uint8_t *)ram_at(&f->ram, DATA_GPA + 0x1000) + 16 * i, &d,
	       sizeof(d));
}

static void test_indirect(void **state)
{
	struct fixture *f = *state;

	/* Links and ids in a table say nothing (2.8.7). */
	table_entry(f, 0, DATA_GPA, 16, 0);
	table_entry(f, 1, DATA_GPA + 64, 32, VIRTQ_DESC_WRITE);
	table_entry(f, 2, DATA_GPA + 128, 48, VIRTQ_DESC_WRITE);
	for (unsigned round = 0; round < 20; round++) {
		packed_add(&f->ring, DATA_GPA + 0x1000, 48, VIRTQ_DESC_INDIRECT,
			   (uint16_t)round);
		assert_int_equal(pop(f), 1);
		assert_int_equal(f->chain.n_out, 1);
		assert_int_equal(f->chain.n_in, 2);
		assert_int_equal(f->chain.in_bytes, 80);
		virtqueue_push(&f->q, f->chain.head, 80);
		expect_used(f, 1, (uint16_t)round, 80);
	}
}

static void test_malformed(void **state)
{
	static const struct {
		struct virtq_desc d; /* its flags in `flags` */
		int want;
	} rows[] = {
		{{0, 64, 0, 0}, -EFAULT},
		{{DATA_GPA, 0, 0, 0}, -EFAULT},
		{{RAM_GPA + RAM_BYTES - 8, 16, 0, 0}, -EFAULT},
		{{DATA_GPA + 0x1000, 24, VIRTQ_DESC_INDIRECT, 0}, -EPROTO},
		{{DATA_GPA + 0x1000, 0, VIRTQ_DESC_INDIRECT, 0}, -EPROTO},
		{{0, 16, VIRTQ_DESC_INDIRECT, 0}, -EFAULT},
		{{DATA_GPA + 0x1000, 16 * 300, VIRTQ_DESC_INDIRECT, 0},
		 -EPROTO},
		{{DATA_GPA + 0x1000, 16, VIRTQ_DESC_INDIRECT | VIRTQ_DESC_NEXT,
		  0},
		 -EPROTO},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct virtq_desc *d = &rows[i].d;

		assert_int_equal(enable(f, RING_SIZE, true), 0);
		for (unsigned k = 0; k < 300; k++)
			table_entry(f, k, DATA_GPA, 1, 0);
		packed_add(&f->ring, d->address, d->length, d->flags, 0);
		packed_add(&f->ring, DATA_GPA, 8, 0, 0);
		assert_int_equal(pop(f), rows[i].want);
		assert_int_equal(pop(f), -ESHUTDOWN);
		virtqueue_push(&f->q, f->chain.head, 1);
		expect_nothing_used(f);
	}
	/* Written before read. */
	assert_int_equal(enable(f, RING_SIZE, true), 0);
	packed_add(&f->ring, DATA_GPA, 8, VIRTQ_DESC_WRITE | VIRTQ_DESC_NEXT,
		   0);
	packed_add(&f->ring, DATA_GPA, 8, 0, 0);
	assert_int_equal(pop(f), -EPROTO);
	/* Not negotiated. */
	assert_int_equal(enable(f, RING_SIZE, true), 0);
	f->q.indirect = false;
	packed_add(&f->ring, DATA_GPA + 0x1000, 16, VIRTQ_DESC_INDIRECT, 0);
	assert_int_equal(pop(f), -EPROTO);
}

/* A chain longer than the ring, which links round for ever. */
static void test_endless_chain(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < RING_SIZE; i++)
		packed_add(&f->ring, DATA_GPA, 8, VIRTQ_DESC_NEXT, 0);
	assert_int_equal(pop(f), -EPROTO);
	/* One that is just as long is fine. */
	assert_int_equal(enable(f, RING_SIZE, true), 0);
	for (unsigned i = 0; i < RING_SIZE; i++)
		packed_add(&f->ring, DATA_GPA, 8,
			   i + 1 < RING_SIZE ? VIRTQ_DESC_NEXT : 0, 5);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.n_out, RING_SIZE);
}

/* Descriptors made available while all are out are not the driver's own. */
static void test_wrap_abuse(void **state)
{
	struct fixture *f = *state;

	for (uint16_t i = 0; i < RING_SIZE; i++) {
		offer(f, i);
		assert_int_equal(pop(f), 1);
	}
	assert_int_equal(pop(f), 0);
	offer(f, 9);
	assert_int_equal(pop(f), -EPROTO);
}

static void test_asks_for_notification(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2 * RING_SIZE + 3; i++) {
		bool wrap = (i / RING_SIZE) % 2 == 0;

		assert_int_equal(pop(f), 0);
		assert_int_equal(*packed_event(&f->ring, f->ring.device, 0),
				 i % RING_SIZE | (wrap ? 0x8000 : 0));
		assert_int_equal(*packed_event(&f->ring, f->ring.device, 1),
				 EVENT);
		offer(f, 1);
		assert_int_equal(pop(f), 1);
		virtqueue_push(&f->q, f->chain.head, 0);
		expect_used(f, 1, 1, 0);
	}
	/* Without the event index: whatever stood there, always. */
	assert_int_equal(enable(f, RING_SIZE, false), 0);
	*packed_event(&f->ring, f->ring.device, 1) = 1;
	assert_int_equal(pop(f), 0);
	assert_int_equal(*packed_event(&f->ring, f->ring.device, 1), 0);
}

/* Every position the driver may wait for, in every place of the ring, for
 * batches of every size: an interrupt exactly when it was passed. */
static void test_interrupt_at_event(void **state)
{
	struct fixture *f = *state;
	unsigned total = 0, waits = 0;

	for (unsigned round = 0; round < 400; round++) {
		unsigned batch = 1 + round % RING_SIZE;
		bool want;

		/* Up to one ring ahead of what is used. */
		waits = total + (round * 3) % RING_SIZE;
		packed_want(&f->ring, waits % RING_SIZE,
			    (waits / RING_SIZE) % 2 == 0, EVENT);
		for (unsigned i = 0; i < batch; i++) {
			offer(f, 3);
			assert_int_equal(pop(f), 1);
			virtqueue_push(&f->q, f->chain.head, 0);
			expect_used(f, 1, 3, 0);
		}
		want = waits >= total && waits < total + batch;
		total += batch;
		assert_int_equal(virtqueue_should_notify(&f->q), want);
		assert_false(virtqueue_should_notify(&f->q));
	}
}

static void test_interrupt_flags(void **state)
{
	static const struct {
		unsigned flags;
		bool event_index, want;
	} rows[] = {
		{0, true, true},   {1, true, false}, {0, false, true},
		{1, false, false}, {2, false, true}, /* not negotiated */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(enable(f, RING_SIZE, rows[i].event_index), 0);
		packed_want(&f->ring, 7, true, rows[i].flags);
		assert_false(virtqueue_should_notify(&f->q));
		offer(f, 0);
		assert_int_equal(pop(f), 1);
		virtqueue_push(&f->q, f->chain.head, 0);
		assert_int_equal(virtqueue_should_notify(&f->q), rows[i].want);
	}
	/* A position the ring does not have is no reason to look beyond it. */
	assert_int_equal(enable(f, RING_SIZE, true), 0);
	packed_want(&f->ring, 0x7fff, true, EVENT);
	offer(f, 0);
	assert_int_equal(pop(f), 1);
	virtqueue_push(&f->q, f->chain.head, 0);
	(void)virtqueue_should_notify(&f->q);
}

/* Taken back, the ring is as the driver left it; published, all at once. */
static void test_unpop_and_publish(void **state)
{
	struct fixture *f = *state;
	struct packed_desc was[RING_SIZE];
	uint16_t heads[3];

	for (unsigned round = 0; round < 3 * RING_SIZE; round++) {
		for (uint16_t i = 0; i < 3; i++)
			offer(f, i);
		memcpy(was, packed_at(&f->ring, 0), sizeof(was));
		for (uint16_t i = 0; i < 2; i++) {
			assert_int_equal(pop(f), 1);
			virtqueue_fill(&f->q, f->chain.head, 9, i);
		}
		virtqueue_unpop(&f->q, 2);
		assert_memory_equal(was, packed_at(&f->ring, 0), sizeof(was));
		for (uint16_t i = 0; i < 3; i++) {
			assert_int_equal(pop(f), 1);
			assert_ptr_equal(f->chain.iov[0].iov_base,
					 ram_at(&f->ram, DATA_GPA + i * 64ull));
			heads[i] = f->chain.head;
			virtqueue_fill(&f->q, heads[i], 20u + i, i);
		}
		expect_nothing_used(f);
		virtqueue_publish(&f->q, 3);
		for (uint16_t i = 0; i < 3; i++)
			expect_used(f, 1, i, 20u + i);
	}
}

/* Saved in one queue and restored in another, it goes on. */
static void test_position(void **state)
{
	struct fixture *f = *state;
	struct virtqueue_position at;
	struct packed_ring ring;

	for (unsigned i = 0; i < RING_SIZE + 3; i++) {
		offer(f, 1);
		assert_int_equal(pop(f), 1);
		virtqueue_push(&f->q, f->chain.head, 0);
		expect_used(f, 1, 1, 0);
	}
	virtqueue_position(&f->q, &at);
	assert_int_equal(at.avail, 3);
	assert_int_equal(at.used, 3);
	assert_false(at.avail_wrap || at.used_wrap);
	ring = f->ring;
	virtqueue_reset(&f->q);
	f->q.size = RING_SIZE;
	f->q.desc_gpa = ring.desc;
	f->q.avail_gpa = ring.driver;
	f->q.used_gpa = ring.device;
	f->q.packed = f->q.event_index = true;
	assert_int_equal(virtqueue_enable(&f->q), 0);
	assert_int_equal(virtqueue_set_position(&f->q, &at), 0);
	assert_int_equal(pop(f), 0);
	offer(f, 4);
	assert_int_equal(pop(f), 1);
	virtqueue_push(&f->q, f->chain.head, 5);
	expect_used(f, 1, 4, 5);
	at.avail = RING_SIZE;
	assert_int_equal(virtqueue_set_position(&f->q, &at), -EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_enable),
		TEST(test_chains),
		TEST(test_out_of_order),
		TEST(test_indirect),
		TEST(test_malformed),
		TEST(test_endless_chain),
		TEST(test_wrap_abuse),
		TEST(test_asks_for_notification),
		TEST(test_interrupt_at_event),
		TEST(test_interrupt_flags),
		TEST(test_unpop_and_publish),
		TEST(test_position),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
