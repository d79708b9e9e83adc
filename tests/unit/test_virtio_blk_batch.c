#include "tests/unit/virtio_blk_fixture.h"

#define BURST  4 /* flushes that the ring has room for */
#define ENOUGH 100

/* Header and status: descriptors 2n and 2n + 1. */
static void add_flush(struct fixture *f, unsigned n)
{
	struct vring *v = &f->ring;

	header(f, FLUSH, 0);
	vring_desc(v, v->desc, 2 * n, HEADER_GPA, 16, VIRTQ_DESC_NEXT,
		   2 * n + 1);
	vring_desc(v, v->desc, 2 * n + 1, STATUS_GPA, 1, VIRTQ_DESC_WRITE, 0);
	vring_add(v, (uint16_t)(2 * n));
}

static void take(struct fixture *f, unsigned n)
{
	uint32_t head, written;

	while (n-- > 0)
		assert_true(driver_wait(&f->d, &f->ring, &head, &written));
}

/* How many requests the device asks for before it is to be notified. */
static unsigned asked(const struct fixture *f)
{
	const struct vring *v = &f->ring;
	uint16_t event = *vring_u16(v, v->used + 4 + 8 * v->size);

	return (uint16_t)(event - v->added) + 1u;
}

/* As a driver does: notify of as many as it was asked for. */
static void add_flushes(struct fixture *f, unsigned n)
{
	unsigned enough = asked(f);

	for (unsigned i = 0; i < n; i++)
		add_flush(f, i);
	if (n >= enough)
		driver_notify(&f->d, 0);
}

static void bursts(struct fixture *f, unsigned times)
{
	while (times-- > 0) {
		add_flushes(f, BURST);
		take(f, BURST);
	}
}

/* A machine that is busy may be as slow as one that is silent, so how often is
 * not told. */
static void bursts_until(struct fixture *f, unsigned want)
{
	for (unsigned i = 0; i < 2000 && asked(f) != want; i++)
		bursts(f, 1);
	assert_int_equal(asked(f), want);
}

static void test_who_waits_for_each(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2 * ENOUGH; i++) {
		add_flushes(f, 1);
		take(f, 1);
		assert_int_equal(asked(f), 1);
	}
}

static void test_who_has_several_under_way(void **state)
{
	struct fixture *f = *state;

	bursts(f, 4);
	assert_int_equal(asked(f), 1);
	bursts_until(f, BURST);
	/* More than there ever are it asks for to try, and takes it back. */
	bursts_until(f, 2 * BURST);
	add_flushes(f, BURST);
	take(f, BURST);
	assert_in_range(asked(f), 1, BURST / 2);
}

static void test_fewer_than_asked_for(void **state)
{
	struct fixture *f = *state;

	bursts_until(f, BURST);
	add_flushes(f, 2);
	take(f, 2);
	assert_int_equal(asked(f), 1);
	/* It takes more to be believed again. */
	bursts(f, 10);
	assert_int_equal(asked(f), 1);
	bursts_until(f, BURST);
}

/* Nobody was made to wait: nothing is held against it. */
static void test_silence(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 3; i++) {
		bursts_until(f, BURST);
		for (unsigned ms = 0; ms < 10000 && asked(f) > 1; ms++) {
			uv_run(&f->m.loop, UV_RUN_NOWAIT);
			usleep(1000);
		}
		assert_int_equal(asked(f), 1);
	}
	bursts_until(f, BURST);
}

/* One that is about to lose its device may not wait for anything then. */
static void test_doomed(void **state)
{
	struct fixture *f = *state;
	uint32_t head, written;

	bursts_until(f, BURST);
	add_flushes(f, 1);
	assert_int_equal(asked(f), BURST - 1);
	virtio_enter(f->dev);
	virtio_pci_doom(f->v);
	virtio_leave(f->dev);
	assert_true(vring_take(&f->ring, &head, &written));
	assert_int_equal(status(f), IOERR);
	assert_int_equal(asked(f), 1);
	for (unsigned i = 0; i < ENOUGH; i++) {
		bursts(f, 1);
		assert_int_equal(asked(f), 1);
	}
}

/* A driver that begins again is asked for each. */
static void test_reset(void **state)
{
	struct fixture *f = *state;

	bursts_until(f, BURST);
	driver_start(&f->d, 3ull << 28 | 1 << 9, &f->ring, 1);
	add_flush(f, 0);
	take(f, 1);
	driver_start(&f->d, 1ull << 28 | 1 << 9, &f->ring, 1);
	for (unsigned i = 0; i < ENOUGH; i++) {
		add_flush(f, 0);
		driver_notify(&f->d, 0);
		take(f, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who_waits_for_each),
		TEST(test_who_has_several_under_way),
		TEST(test_fewer_than_asked_for),
		TEST(test_silence),
		TEST(test_doomed),
		TEST(test_reset),
		TEST_THREADS(test_fewer_than_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
