/* A packed virtqueue in a snapshot; split ones have nothing of their own. */
#include "tests/unit/packed_queue_fixture.h"

/* What a snapshot of the queue holds, loaded into another one. */
static int reload(struct fixture *f, const struct state_out *out,
		  struct virtqueue *ret, struct error *e)
{
	struct state_in in = state_in(out->buf.data, out->buf.size);

	virtqueue_init(ret, &f->ram.mem, 256);
	ret->packed = ret->indirect = ret->event_index = true;
	return virtqueue_load(ret, &in, e);
}

/* A chain that a device keeps, as a balloon does with its statistics, is
 * handed back by the queue that was loaded. */
static void test_saved_with_a_chain_out(void **state)
{
	_cleanup_state_out_ struct state_out out = {0}, again = {0};
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	uint16_t kept;

	offer(f, 3);
	assert_int_equal(pop(f), 1);
	kept = f->chain.head;
	packed_add(&f->ring, DATA_GPA, 8, VIRTQ_DESC_NEXT, 0);
	packed_add(&f->ring, DATA_GPA, 16, VIRTQ_DESC_WRITE, 7);
	assert_int_equal(pop(f), 1);
	virtqueue_push(&f->q, f->chain.head, 1);
	expect_used(f, 2, 7, 1);
	packed_add(&f->ring, DATA_GPA, 8, VIRTQ_DESC_NEXT, 0);
	packed_add(&f->ring, DATA_GPA + 64, 16, VIRTQ_DESC_WRITE, 8);
	assert_int_equal(pop(f), 1);
	virtqueue_save(&f->q, &out);
	virtqueue_reset(&f->q);
	if (reload(f, &out, &f->q, &e))
		fail_msg("%s", e.message);
	virtqueue_save(&f->q, &again);
	assert_int_equal(again.buf.size, out.buf.size);
	assert_memory_equal(again.buf.data, out.buf.data, out.buf.size);
	assert_int_equal(virtqueue_again(&f->q, f->chain.head, &f->chain), 0);
	assert_int_equal(f->chain.n_in, 1);
	assert_ptr_equal(f->chain.iov[1].iov_base,
			 ram_at(&f->ram, DATA_GPA + 64));
	virtqueue_push(&f->q, kept, 2);
	expect_used(f, 1, 3, 2);
	virtqueue_push(&f->q, f->chain.head, 5);
	expect_used(f, 2, 8, 5);
	/* All nodes are there again. */
	for (uint16_t round = 0; round < 2 * RING_SIZE; round++) {
		offer(f, round);
		assert_int_equal(pop(f), 1);
		virtqueue_push(&f->q, f->chain.head, round);
		expect_used(f, 1, round, round);
	}
	/* One that nobody has. */
	virtqueue_push(&f->q, kept, 0);
	expect_nothing_used(f);
	assert_true(f->q.broken);
}

/* Whatever stands in the file: refused, or a queue that can be used. */
static void test_any_saved_byte(void **state)
{
	_cleanup_state_out_ struct state_out out = {0};
	struct fixture *f = *state;

	packed_add(&f->ring, DATA_GPA, 8, VIRTQ_DESC_NEXT, 0);
	packed_add(&f->ring, DATA_GPA, 16, VIRTQ_DESC_WRITE, 7);
	assert_int_equal(pop(f), 1);
	virtqueue_save(&f->q, &out);
	for (size_t at = 0; at < out.buf.size; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			uint8_t *byte = (uint8_t *)out.buf.data + at;
			struct error e = ERROR_INIT;
			struct virtqueue q;

			*byte ^= (uint8_t)(1u << bit);
			if (reload(f, &out, &q, &e))
				assert_true(e.message[0]);
			(void)!virtqueue_again(&q, f->chain.head, &f->chain);
			virtqueue_push(&q, f->chain.head, 1);
			while (virtqueue_pop(&q, &f->chain) == 1)
				virtqueue_push(&q, f->chain.head, 1);
			virtqueue_reset(&q);
			*byte ^= (uint8_t)(1u << bit);
		}
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_saved_with_a_chain_out),
		TEST(test_any_saved_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
