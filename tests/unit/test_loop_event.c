#include "tests/unit/io_ring_fixture.h"

#define ROUNDS 200

static void *ring_bell(void *cookie)
{
	struct fixture *f = cookie;

	eventfd_write(f->bell_fd, 1);
	return NULL;
}

static void bell_from_outside(struct fixture *f)
{
	if (f->heard > 0)
		pthread_join(f->thread, NULL);
	assert_int_equal(pthread_create(&f->thread, NULL, ring_bell, f), 0);
}

static void ring_once(struct fixture *f)
{
	eventfd_write(f->bell_fd, 1);
}

/* A guest's round: the bell, a request, its end, the bell again; every bell is
 * heard, the first by libuv, the others in the ring, which leaves the count. */
static void heard_request(void *cookie)
{
	struct fixture *f = cookie;
	eventfd_t count;

	if (++f->heard < ROUNDS) {
		request(f);
		return;
	}
	pthread_join(f->thread, NULL);
	assert_int_equal(f->done, ROUNDS - 1);
	assert_non_null(io_ring_of(&f->loop));
	assert_int_equal(eventfd_read(f->bell_fd, &count), 0);
	assert_true(count > 1);
	end(f);
}

static void test_rounds(void **state)
{
	struct fixture *f = *state;

	f->next = bell_from_outside;
	bell_new(f, heard_request);
	run(f, bell_from_outside);
	assert_int_equal(f->heard, ROUNDS);
}

/* Written to while nobody watched: heard once it is watched again, and what is
 * written after the end is not. */
static void heard_watched(void *cookie)
{
	struct fixture *f = cookie;

	if (++f->heard == 1) {
		request(f);
	} else if (f->heard == 2) {
		loop_event_watch(f->bell, false);
		eventfd_write(f->bell_fd, 1);
		request(f);
	} else {
		eventfd_write(f->bell_fd, 1);
		loop_event_watch(f->bell, false);
		f->next = end;
		request(f);
	}
}

static void next_watched(struct fixture *f)
{
	if (f->done == 1) {
		eventfd_write(f->bell_fd, 1);
		return;
	}
	assert_int_equal(f->heard, 2);
	loop_event_watch(f->bell, true);
}

static void test_watch(void **state)
{
	struct fixture *f = *state;

	f->next = next_watched;
	bell_new(f, heard_watched);
	run(f, ring_once);
	assert_int_equal(f->heard, 3);
	assert_int_equal(f->done, 3);
}

/* Who hears it may end it, and uv_stop() ends the loop. */
static void heard_stop(void *cookie)
{
	struct fixture *f = cookie;

	if (++f->heard == 1) {
		request(f);
		return;
	}
	f->bell = loop_event_free(f->bell);
	uv_stop(&f->loop);
}

static void test_stop(void **state)
{
	struct fixture *f = *state;

	f->next = ring_once;
	bell_new(f, heard_stop);
	eventfd_write(f->bell_fd, 1);
	assert_int_not_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(f->heard, 2);
	run(f, end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_rounds),
		BOTH(test_watch),
		cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
	};

	return ring_tests(tests, ARRAY_SIZE(tests));
}
