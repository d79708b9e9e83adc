/*
 * A loop with a disk, a doorbell and a deadline. Each test runs twice: in a
 * loop that waits in the ring, and in one that polls it.
 */
#ifndef TESTS_UNIT_IO_RING_FIXTURE_H
#define TESTS_UNIT_IO_RING_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/host/blockdev.h"
#include "lib/host/io_ring.h"
#include "lib/host/loop_event.h"

#define BIG_BYTES  KIB(512)
#define BIG_N	   4
#define DISK_BYTES (BIG_N * BIG_BYTES)

struct fixture {
	uv_loop_t loop;
	bool waits;
	struct blockdev *disk;
	int fd, bell_fd, signal_fd, pipe[2]; /* fd: our own of the disk */
	struct loop_event *bell;
	uv_timer_t deadline, first;
	uv_poll_t poll;
	uv_async_t async;
	pthread_t thread;
	unsigned heard, done;
	char buffer[512];
	void (*begin)(struct fixture *f);
	void (*next)(struct fixture *f); /* after a request */
};

static inline void end(struct fixture *f)
{
	f->bell = loop_event_free(f->bell);
	f->disk = blockdev_free(f->disk);
	uv_close((uv_handle_t *)&f->deadline, NULL);
}

static inline void on_deadline(uv_timer_t *timer)
{
	fail_msg("the loop waits for something that has happened");
}

static inline void on_done(void *cookie, int result)
{
	struct fixture *f = cookie;

	assert_int_equal(result, 0);
	f->done++;
	if (f->next)
		f->next(f);
}

static inline void request(struct fixture *f)
{
	const struct iovec iov = {f->buffer, sizeof(f->buffer)};

	assert_int_equal(blockdev_readv(f->disk, &iov, 1, 0, on_done, f), 0);
	blockdev_submit(f->disk);
}

static inline bool offered(void)
{
	struct io_ring *g;
	uv_loop_t loop = {.data = NULL};
	bool yes;

	assert_int_equal(uv_loop_init(&loop), 0);
	yes = io_ring_ref(&loop, &g) == 0;
	if (yes)
		io_ring_unref(g);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return yes;
}

static inline int setup_with(void **state, bool waits)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd = memfd_create("disk", MFD_CLOEXEC);

	f->waits = waits;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(blockdev_open(&f->loop, fd, false, &f->disk, NULL), 0);
	f->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(f->bell_fd >= 0 && f->signal_fd >= 0);
	assert_int_equal(pipe2(f->pipe, O_CLOEXEC | O_NONBLOCK), 0);
	uv_timer_init(&f->loop, &f->deadline);
	uv_timer_start(&f->deadline, on_deadline, 60000, 0);
	*state = f;
	return 0;
}

static inline int setup(void **state)
{
	return setup_with(state, false);
}

static inline int setup_waits(void **state)
{
	return setup_with(state, true);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(uv_loop_close(&f->loop), 0);
	fd_close(f->fd);
	fd_close(f->bell_fd);
	fd_close(f->signal_fd);
	fd_close(f->pipe[0]);
	fd_close(f->pipe[1]);
	free(f);
	return 0;
}

static inline void on_first(uv_timer_t *timer)
{
	struct fixture *f = timer->data;

	uv_close((uv_handle_t *)timer, NULL);
	f->begin(f);
}

/* From begin(), in the loop, until nothing is open any more. */
static inline void run(struct fixture *f, void (*begin)(struct fixture *f))
{
	f->begin = begin;
	uv_timer_init(&f->loop, &f->first);
	f->first.data = f;
	uv_timer_start(&f->first, on_first, 0, 0);

	if (f->waits)
		assert_int_equal(io_ring_run(&f->loop), 0);
	else
		assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_null(io_ring_of(&f->loop));
}

static inline void bell_new(struct fixture *f, void (*heard)(void *cookie))
{
	assert_int_equal(
		loop_event_new(&f->loop, f->bell_fd, heard, f, &f->bell), 0);
	loop_event_watch(f->bell, true);
}

static inline void test_not_offered(void **state)
{
	skip();
}

/* Without io_uring on this machine there is nothing to test. */
static inline int ring_tests(const struct CMUnitTest *tests, size_t n)
{
	static const struct CMUnitTest none[] = {
		cmocka_unit_test(test_not_offered),
	};

	if (!offered())
		return cmocka_run_group_tests(none, NULL, NULL);
	return _cmocka_run_group_tests("ring", tests, n, NULL, NULL);
}

#define BOTH(f)                                              \
	cmocka_unit_test_setup_teardown(f, setup, teardown), \
		cmocka_unit_test_setup_teardown(f, setup_waits, teardown)

#endif
