/* Requests that the host fails: reported, or held and tried again. */
#include "tests/unit/virtio_blk_fixture.h"

static void note_failure(void *cookie, const struct virtio_blk_failure *f)
{
	*(struct virtio_blk_failure *)cookie = *f;
}

/* The file is cut short: what is behind its end cannot be read. */
static int setup_failing(void **state, enum virtio_blk_on_error policy)
{
	struct virtio_blk_params blk = {
		.on_error = policy,
		.failed = note_failure,
		.cookie = calloc(1, sizeof(struct virtio_blk_failure)),
	};

	assert_non_null(blk.cookie);
	return setup_params(state, &blk, false);
}

static int setup_hold(void **state)
{
	return setup_failing(state, VIRTIO_BLK_HOLD);
}

static int setup_no_space(void **state)
{
	return setup_failing(state, VIRTIO_BLK_HOLD_NO_SPACE);
}

static int teardown_failing(void **state)
{
	struct fixture *f = *state;

	free(f->blk.cookie);
	return teardown(state);
}

static void turns(struct fixture *f)
{
	for (int i = 0; i < 20; i++) {
		uv_run(&f->m.loop, UV_RUN_NOWAIT);
		usleep(200);
	}
}

static void test_held_and_tried_again(void **state)
{
	struct fixture *f = *state;
	const struct virtio_blk_failure *failure = f->blk.cookie;
	uint32_t head, written;

	assert_int_equal(ftruncate(f->fd, 0), 0);
	post(f, IN, 1, 512);
	turns(f);
	assert_int_equal(status(f), 0xee);
	assert_false(vring_take(&f->ring, &head, &written));
	assert_string_equal(failure->what, "read");
	assert_int_equal(failure->err, EIO);
	assert_true(failure->held);
	/* Still so. */
	virtio_blk_retry(f->dev);
	turns(f);
	assert_int_equal(status(f), 0xee);
	assert_int_equal(ftruncate(f->fd, SECTORS * 512), 0);
	virtio_blk_retry(f->dev);
	assert_true(driver_wait(&f->d, &f->ring, &head, &written));
	assert_int_equal(status(f), OK);
	assert_int_equal(written, 513);
	virtio_blk_retry(f->dev);
	turns(f);
	assert_false(vring_take(&f->ring, &head, &written));
}

static void test_held_until_reset(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ftruncate(f->fd, 0), 0);
	post(f, IN, 1, 512);
	turns(f);
	driver_set_status(&f->d, 0);
	vring_init(&f->ring, &f->m.ram, 0, RING_SIZE);
	virtio_blk_retry(f->dev);
	turns(f);
	assert_int_equal(status(f), 0xee);
	assert_int_equal(vring_used_index(&f->ring), 0);
}

/* What the guest made of its memory meanwhile is judged anew. */
static void test_held_is_judged_again(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ftruncate(f->fd, 0), 0);
	post(f, IN, 1, 512);
	turns(f);
	vring_desc(&f->ring, f->ring.desc, 0, 0, 16, VIRTQ_DESC_NEXT, 1);
	virtio_blk_retry(f->dev);
	turns(f);
	assert_int_equal(driver_status(&f->d), 0x4f);
}

static void test_held_fails_when_doomed(void **state)
{
	struct fixture *f = *state;
	uint32_t head, written;

	assert_int_equal(ftruncate(f->fd, 0), 0);
	post(f, IN, 1, 512);
	turns(f);
	f->dev->doomed = true;
	virtio_blk_retry(f->dev);
	assert_true(driver_wait(&f->d, &f->ring, &head, &written));
	assert_int_equal(status(f), IOERR);
}

static void test_held_in_order(void **state)
{
	struct fixture *f = *state;
	struct vring *v = &f->ring;
	const uint16_t heads[] = {3, 0, 5};
	uint32_t head, written;

	assert_int_equal(ftruncate(f->fd, 0), 0);
	header(f, IN, 1);
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		uint64_t table = DATA_GPA + 0x2000 + i * 48;

		vring_desc(v, table, 0, HEADER_GPA, 16, VIRTQ_DESC_NEXT, 1);
		vring_desc(v, table, 1, BUFFER_GPA, 512,
			   VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE, 2);
		vring_desc(v, table, 2, STATUS_GPA, 1, VIRTQ_DESC_WRITE, 0);
		vring_desc(v, v->desc, heads[i], table, 48, VIRTQ_DESC_INDIRECT,
			   0);
		vring_add(v, heads[i]);
		driver_notify(&f->d, 0);
		turns(f);
	}
	f->dev->doomed = true;
	virtio_blk_retry(f->dev);
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		assert_true(driver_wait(&f->d, v, &head, &written));
		assert_int_equal(head, heads[i]);
	}
}

static void test_held_when_freed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ftruncate(f->fd, 0), 0);
	post(f, IN, 1, 512);
	turns(f);
}

/* Another error than the one it waits for is the guest's. */
static void test_reported(void **state)
{
	struct fixture *f = *state;
	const struct virtio_blk_failure *failure = f->blk.cookie;
	uint32_t written;

	assert_int_equal(ftruncate(f->fd, 0), 0);
	assert_int_equal(request(f, IN, 1, 512, &written), IOERR);
	assert_int_equal(failure->err, EIO);
	assert_false(failure->held);
	assert_ptr_equal(failure->disk, f->dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_held_and_tried_again,
						setup_hold, teardown_failing),
		cmocka_unit_test_setup_teardown(test_held_until_reset,
						setup_hold, teardown_failing),
		cmocka_unit_test_setup_teardown(test_held_is_judged_again,
						setup_hold, teardown_failing),
		cmocka_unit_test_setup_teardown(test_held_fails_when_doomed,
						setup_hold, teardown_failing),
		cmocka_unit_test_setup_teardown(test_held_in_order, setup_hold,
						teardown_failing),
		cmocka_unit_test_setup_teardown(test_held_when_freed,
						setup_hold, teardown_failing),
		cmocka_unit_test_setup_teardown(test_reported, setup_no_space,
						teardown_failing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
