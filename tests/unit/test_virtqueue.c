#include "tests/unit/vring_fixture.h"

struct fixture {
	struct ram ram;
	struct vring ring;
	struct virtqueue q;
	struct virtq_chain chain;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	ram_init(&f->ram);
	vring_init(&f->ring, &f->ram, 0, RING_SIZE);
	virtqueue_init(&f->q, &f->ram.mem, 16);
	f->q.size = RING_SIZE;
	f->q.desc_gpa = f->ring.desc;
	f->q.avail_gpa = f->ring.avail;
	f->q.used_gpa = f->ring.used;
	f->q.indirect = true;
	assert_int_equal(virtqueue_enable(&f->q), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ram_done(&f->ram);
	free(f);
	return 0;
}

static void add_desc(struct fixture *f, unsigned i, uint64_t address,
		     uint32_t length, unsigned flags, unsigned next)
{
	vring_desc(&f->ring, f->ring.desc, i, address, length, flags, next);
}

static void test_chain(void **state)
{
	struct fixture *f = *state;
	uint32_t head, written;

	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 0);
	add_desc(f, 2, DATA_GPA, 16, VIRTQ_DESC_NEXT, 5);
	add_desc(f, 5, DATA_GPA + 0x100, 32, VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE,
		 0);
	add_desc(f, 0, DATA_GPA + 0x200, 1, VIRTQ_DESC_WRITE, 0);
	vring_add(&f->ring, 2);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 1);
	assert_int_equal(f->chain.head, 2);
	assert_int_equal(f->chain.n_out, 1);
	assert_int_equal(f->chain.n_in, 2);
	assert_int_equal(f->chain.out_bytes, 16);
	assert_int_equal(f->chain.in_bytes, 33);
	assert_ptr_equal(f->chain.iov[1].iov_base,
			 ram_at(&f->ram, DATA_GPA + 0x100));
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 0);
	virtqueue_push(&f->q, 2, 7);
	assert_true(virtqueue_should_notify(&f->q));
	assert_true(vring_take(&f->ring, &head, &written));
	assert_int_equal(head, 2);
	assert_int_equal(written, 7);
}

static void test_indirect(void **state)
{
	struct fixture *f = *state;
	uint64_t table = DATA_GPA + 0x1000;

	/* More entries than the queue is long: they cost only one there. */
	for (unsigned i = 0; i < 12; i++)
		vring_desc(&f->ring, table, i, DATA_GPA + 64 * i, 64,
			   i < 11 ? VIRTQ_DESC_NEXT : VIRTQ_DESC_WRITE, i + 1);
	add_desc(f, 1, table, 12 * 16, VIRTQ_DESC_INDIRECT, 0);
	vring_add(&f->ring, 1);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 1);
	assert_int_equal(f->chain.n_out, 11);
	assert_int_equal(f->chain.n_in, 1);
}

/* Everything a broken or hostile driver can put into one chain. */
static void test_malformed(void **state)
{
	const uint64_t table = DATA_GPA;
	const uint64_t end = RAM_GPA + RAM_BYTES;
	const unsigned next = VIRTQ_DESC_NEXT, in = VIRTQ_DESC_WRITE,
		       ind = VIRTQ_DESC_INDIRECT;
	const struct {
		const char *what;
		struct virtq_desc d[2], t[2];
		int err;
	} rows[] = {
		{"loop on itself", {{table, 1, next, 0}}, {}, -ELOOP},
		{"loop of two",
		 {{table, 1, next, 1}, {table, 1, next, 0}},
		 {},
		 -ELOOP},
		{"next out of table", {{table, 1, next, 99}}, {}, -EPROTO},
		{"out of RAM", {{0x1000, 1, 0, 0}}, {}, -EFAULT},
		{"past the end", {{end - 8, 9, 0, 0}}, {}, -EFAULT},
		{"wrapping", {{UINT64_MAX - 3, 8, 0, 0}}, {}, -EFAULT},
		{"longest", {{table, UINT32_MAX, 0, 0}}, {}, -EFAULT},
		{"empty buffer", {{table, 0, 0, 0}}, {}, -EFAULT},
		{"out after in",
		 {{table, 1, next | in, 1}, {table, 1, 0, 0}},
		 {},
		 -EPROTO},
		{"indirect with next",
		 {{table, 16, ind | next, 1}, {table, 1, 0, 0}},
		 {{table, 1, 0, 0}},
		 -EPROTO},
		{"indirect in indirect",
		 {{table, 16, ind, 0}},
		 {{table, 16, ind, 0}},
		 -EPROTO},
		{"empty indirect", {{table, 0, ind, 0}}, {}, -EPROTO},
		{"odd indirect", {{table, 24, ind, 0}}, {}, -EPROTO},
		{"indirect out of RAM", {{end, 16, ind, 0}}, {}, -EFAULT},
		{"huge indirect", {{table, 0xfffffff0, ind, 0}}, {}, -EFAULT},
		{"indirect loop",
		 {{table, 32, ind, 0}},
		 {{table, 1, next, 1}, {table, 1, next, 0}},
		 -ELOOP},
		{"indirect next out of table",
		 {{table, 32, ind, 0}},
		 {{table, 1, next, 7}},
		 -EPROTO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture *f;
		int r;

		teardown(state);
		setup(state);
		f = *state;
		memcpy(ram_at(&f->ram, f->ring.desc), rows[i].d,
		       sizeof(rows[i].d));
		memcpy(ram_at(&f->ram, table), rows[i].t, sizeof(rows[i].t));
		vring_add(&f->ring, 0);
		r = virtqueue_pop(&f->q, &f->chain);
		if (r != rows[i].err)
			fail_msg("%s: %d, not %d", rows[i].what, r,
				 rows[i].err);
		/* And it stays broken, with nothing written. */
		assert_int_equal(virtqueue_pop(&f->q, &f->chain), -ESHUTDOWN);
		virtqueue_push(&f->q, 0, 0);
		assert_int_equal(vring_used_index(&f->ring), 0);
		assert_false(virtqueue_should_notify(&f->q));
		virtqueue_reset(&f->q);
		assert_false(f->q.broken);
	}
}

static void test_chain_longer_than_room(void **state)
{
	struct fixture *f = *state;
	uint64_t table = DATA_GPA;
	unsigned n = VIRTQUEUE_SIZE_MAX + 1;

	for (unsigned i = 0; i < n; i++)
		vring_desc(&f->ring, table, i, DATA_GPA, 1,
			   i + 1 < n ? VIRTQ_DESC_NEXT : 0, i + 1);
	add_desc(f, 0, table, 16 * n, VIRTQ_DESC_INDIRECT, 0);
	vring_add(&f->ring, 0);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), -EPROTO);
}

static void test_indirect_not_negotiated(void **state)
{
	struct fixture *f = *state;

	f->q.indirect = false;
	add_desc(f, 0, DATA_GPA, 16, VIRTQ_DESC_INDIRECT, 0);
	vring_add(&f->ring, 0);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), -EPROTO);
}

static void test_head_out_of_table(void **state)
{
	struct fixture *f = *state;

	vring_add(&f->ring, RING_SIZE);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), -EPROTO);
}

static void test_index_jumps(void **state)
{
	struct fixture *f = *state;

	*vring_u16(&f->ring, f->ring.avail + 2) = RING_SIZE + 1;
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), -EPROTO);
}

static void test_index_goes_back(void **state)
{
	struct fixture *f = *state;

	add_desc(f, 0, DATA_GPA, 1, 0, 0);
	vring_add(&f->ring, 0);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 1);
	*vring_u16(&f->ring, f->ring.avail + 2) = 0;
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), -EPROTO);
}

/* Descriptors the device holds are made available again, and again. */
static void test_more_than_owned(void **state)
{
	struct fixture *f = *state;

	add_desc(f, 0, DATA_GPA, 1, 0, 0);
	for (unsigned i = 0; i < RING_SIZE; i++) {
		vring_add(&f->ring, 0);
		assert_int_equal(virtqueue_pop(&f->q, &f->chain), 1);
	}
	vring_add(&f->ring, 0);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), -EPROTO);
}

static void test_enable_refuses(void **state)
{
	const struct {
		uint16_t size;
		uint64_t desc, avail, used;
		int err;
	} rows[] = {
		{0, RAM_GPA, RAM_GPA, RAM_GPA, -EINVAL},
		{3, RAM_GPA, RAM_GPA, RAM_GPA, -EINVAL},
		{32, RAM_GPA, RAM_GPA, RAM_GPA, -EINVAL},
		{8, RAM_GPA + 8, RAM_GPA, RAM_GPA, -EINVAL},
		{8, RAM_GPA, RAM_GPA + 1, RAM_GPA, -EINVAL},
		{8, RAM_GPA, RAM_GPA, RAM_GPA + 2, -EINVAL},
		{8, 0, RAM_GPA, RAM_GPA, -EFAULT},
		{8, RAM_GPA + RAM_BYTES - 112, RAM_GPA, RAM_GPA, -EFAULT},
		{8, RAM_GPA, RAM_GPA + RAM_BYTES - 20, RAM_GPA, -EFAULT},
		{8, RAM_GPA, RAM_GPA, UINT64_MAX - 3, -EFAULT},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		virtqueue_reset(&f->q);
		f->q.size = rows[i].size;
		f->q.desc_gpa = rows[i].desc;
		f->q.avail_gpa = rows[i].avail;
		f->q.used_gpa = rows[i].used;
		assert_int_equal(virtqueue_enable(&f->q), rows[i].err);
		assert_true(f->q.broken);
		assert_int_equal(virtqueue_pop(&f->q, &f->chain), -ESHUTDOWN);
	}
}

/* The driver may choose size 0 and try to enable it. */
static void test_push_to_no_queue(void **state)
{
	struct fixture *f = *state;

	virtqueue_reset(&f->q);
	f->q.size = 0;
	assert_int_equal(virtqueue_enable(&f->q), -EINVAL);
	virtqueue_push(&f->q, 0, 1);
	assert_int_equal(f->q.used_index, 0);
	assert_false(virtqueue_should_notify(&f->q));
}

static void test_wraps_around(void **state)
{
	struct fixture *f = *state;

	add_desc(f, 3, DATA_GPA, 1, 0, 0);
	for (unsigned i = 0; i < 70000; i++) {
		uint32_t head, written;

		vring_add(&f->ring, 3);
		assert_int_equal(virtqueue_pop(&f->q, &f->chain), 1);
		virtqueue_push(&f->q, f->chain.head, i);
		assert_true(vring_take(&f->ring, &head, &written));
		assert_int_equal(head, 3);
		assert_int_equal(written, i);
	}
}

static void test_unpop_and_publish(void **state)
{
	struct fixture *f = *state;
	uint32_t head, written;

	for (uint16_t i = 0; i < 3; i++) {
		add_desc(f, i, DATA_GPA, 1, VIRTQ_DESC_WRITE, 0);
		vring_add(&f->ring, i);
	}
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 1);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 1);
	virtqueue_unpop(&f->q, 2);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 1);
	assert_int_equal(f->chain.head, 0);
	virtqueue_fill(&f->q, 0, 10, 0);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 1);
	virtqueue_fill(&f->q, 1, 11, 1);
	assert_false(vring_take(&f->ring, &head, &written));
	virtqueue_publish(&f->q, 2);
	assert_true(vring_take(&f->ring, &head, &written));
	assert_int_equal(written, 10);
	assert_true(vring_take(&f->ring, &head, &written));
	assert_int_equal(written, 11);
	assert_false(vring_take(&f->ring, &head, &written));
}

static void push_one(struct fixture *f)
{
	vring_add(&f->ring, 0);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 1);
	virtqueue_push(&f->q, 0, 0);
}

static void test_no_interrupt_flag(void **state)
{
	struct fixture *f = *state;

	add_desc(f, 0, DATA_GPA, 1, 0, 0);
	*vring_u16(&f->ring, f->ring.avail) = VIRTQ_AVAIL_NO_INTERRUPT;
	push_one(f);
	assert_false(virtqueue_should_notify(&f->q));
	*vring_u16(&f->ring, f->ring.avail) = 0;
	assert_false(virtqueue_should_notify(&f->q)); /* nothing new */
	push_one(f);
	assert_true(virtqueue_should_notify(&f->q));
}

static void test_event_index(void **state)
{
	struct fixture *f = *state;
	uint16_t *used_event = vring_u16(&f->ring,
					 f->ring.avail + 4 + 2 * RING_SIZE);
	const uint16_t *avail_event = vring_u16(
		&f->ring, f->ring.used + 4 + 8 * RING_SIZE);

	f->q.event_index = true;
	add_desc(f, 0, DATA_GPA, 1, 0, 0);
	*used_event = 2;
	push_one(f);
	assert_false(virtqueue_should_notify(&f->q));
	push_one(f);
	assert_false(virtqueue_should_notify(&f->q));
	push_one(f); /* used index passes 2 */
	assert_true(virtqueue_should_notify(&f->q));
	assert_false(virtqueue_should_notify(&f->q));
	/* An empty queue asks for the very next buffer. */
	assert_int_equal(*avail_event, 0);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 0);
	assert_int_equal(*avail_event, 3);
}

/* How many shall wait before the driver notifies us. */
static void test_asking_for_several(void **state)
{
	struct fixture *f = *state;
	const uint16_t *avail_event = vring_u16(
		&f->ring, f->ring.used + 4 + 8 * f->ring.size);

	f->q.event_index = true;
	vring_desc(&f->ring, f->ring.desc, 0, DATA_GPA, 16, 0, 0);
	virtqueue_ask_for(&f->q, 3);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 0);
	assert_int_equal(*avail_event, 2);
	/* Who looks finds what is there all the same. */
	vring_add(&f->ring, 0);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 1);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 0);
	assert_int_equal(*avail_event, 3);
	/* Never more than a driver can have out. */
	virtqueue_ask_for(&f->q, UINT16_MAX);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 0);
	assert_int_equal(*avail_event, 1 + f->ring.size - 1);
	virtqueue_ask_for(&f->q, 1);
	assert_int_equal(virtqueue_pop(&f->q, &f->chain), 0);
	assert_int_equal(*avail_event, 1);
}

static void test_iov(void **state)
{
	char a[4] = "abcd", b[4] = "efgh", out[8];
	struct iovec iov[2] = {{a, 4}, {b, 4}}, *p = iov;

	assert_int_equal(iov_read(iov, 2, 2, out, 8), 6);
	assert_memory_equal(out, "cdefgh", 6);
	assert_int_equal(iov_write(iov, 2, 3, "XYZ", 3), 3);
	assert_memory_equal(a, "abcX", 4);
	assert_memory_equal(b, "YZgh", 4);
	assert_int_equal(iov_read(iov, 2, 8, out, 1), 0);
	assert_int_equal(iov_drop_front(&p, 2, 5), 1);
	assert_ptr_equal(p->iov_base, b + 1);
	assert_int_equal(p->iov_len, 3);
	assert_int_equal(iov_drop_front(&p, 1, 3), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_chain),
		TEST(test_indirect),
		TEST(test_malformed),
		TEST(test_chain_longer_than_room),
		TEST(test_indirect_not_negotiated),
		TEST(test_head_out_of_table),
		TEST(test_index_jumps),
		TEST(test_index_goes_back),
		TEST(test_more_than_owned),
		TEST(test_enable_refuses),
		TEST(test_push_to_no_queue),
		TEST(test_wraps_around),
		TEST(test_unpop_and_publish),
		TEST(test_no_interrupt_flag),
		TEST(test_event_index),
		TEST(test_asking_for_several),
		TEST(test_iov),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
