#include "tests/unit/io_ring_fixture.h"

/* The loop's own descriptors, timers and threads are heard in the ring, too;
 * also one that a callback of the ring begins to watch. */
static void on_async(uv_async_t *async)
{
	struct fixture *f = async->data;

	pthread_join(f->thread, NULL);
	uv_close((uv_handle_t *)async, NULL);
	end(f);
}

static void *send_async(void *cookie)
{
	struct fixture *f = cookie;

	usleep(2000);
	uv_async_send(&f->async);
	return NULL;
}

static void on_timer(uv_timer_t *timer)
{
	struct fixture *f = timer->data;

	uv_close((uv_handle_t *)timer, (uv_close_cb)free);
	uv_async_init(&f->loop, &f->async, on_async);
	f->async.data = f;
	assert_int_equal(pthread_create(&f->thread, NULL, send_async, f), 0);
}

static void on_pipe(uv_poll_t *poll, int status, int events)
{
	struct fixture *f = poll->data;
	uv_timer_t *timer = malloc(sizeof(*timer));

	uv_close((uv_handle_t *)poll, NULL);
	uv_timer_init(&f->loop, timer);
	timer->data = f;
	uv_timer_start(timer, on_timer, 3, 0);
}

static void watch_pipe(struct fixture *f)
{
	uv_poll_init(&f->loop, &f->poll, f->pipe[0]);
	f->poll.data = f;
	uv_poll_start(&f->poll, UV_READABLE, on_pipe);
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
}

static void test_the_loops_own(void **state)
{
	struct fixture *f = *state;

	f->next = watch_pipe;
	run(f, request);
}

/* However often it is asked for: one write a turn, and none is lost. */
static void heard_signalled(struct fixture *f)
{
	eventfd_t count = 0;

	if (f->done == 2) {
		assert_int_equal(eventfd_read(f->signal_fd, &count), 0);
		assert_int_equal(count, 1);
		end(f);
		return;
	}
	for (int i = 0; i < 5; i++)
		assert_true(io_ring_signal(&f->loop, f->signal_fd));
	assert_int_equal(eventfd_read(f->signal_fd, &count), -1);
	request(f);
}

static void test_signal(void **state)
{
	struct fixture *f = *state;

	assert_false(io_ring_signal(&f->loop, f->signal_fd));
	f->next = heard_signalled;
	run(f, request);
}

/* Flushed, its descriptor may go. */
static void signal_and_close(struct fixture *f)
{
	int fd = fcntl(f->signal_fd, F_DUPFD_CLOEXEC, 0);
	eventfd_t count = 0;

	assert_true(io_ring_signal(&f->loop, fd));
	io_ring_flush(&f->loop);
	fd_close(fd);
	assert_int_equal(eventfd_read(f->signal_fd, &count), 0);
	assert_int_equal(count, 1);
	end(f);
}

static void test_flush(void **state)
{
	struct fixture *f = *state;

	io_ring_flush(&f->loop);
	f->next = signal_and_close;
	run(f, request);
}

/* Waiting for a disk calls nobody else's callbacks. */
static void heard_count(void *cookie)
{
	struct fixture *f = cookie;

	if (++f->heard == 2)
		end(f);
}

static void settle(struct fixture *f)
{
	unsigned heard = f->heard;

	f->next = NULL;
	if (heard == 0) {
		/* The bell's way leads by libuv once. */
		f->next = settle;
		eventfd_write(f->bell_fd, 1);
		uv_sleep(1);
		request(f);
		return;
	}
	eventfd_write(f->bell_fd, 1);
	for (int i = 0; i < 300; i++)
		request(f);
	blockdev_settle(f->disk);
	assert_true(f->done >= 301);
	assert_int_equal(f->heard, heard);
}

static void test_wait_for_one(void **state)
{
	struct fixture *f = *state;

	f->next = settle;
	bell_new(f, heard_count);
	run(f, request);
	assert_int_equal(f->heard, 2);
}

/* More than one portion: all of it is moved, whoever waits for it. */
static uint8_t big[DISK_BYTES];

static void post_big(struct fixture *f)
{
	memset(big, 0, sizeof(big));
	for (unsigned i = 0; i < BIG_N; i++) {
		const struct iovec iov = {big + i * BIG_BYTES, BIG_BYTES};

		assert_int_equal(blockdev_readv(f->disk, &iov, 1, i * BIG_BYTES,
						on_done, f),
				 0);
	}
	blockdev_submit(f->disk);
}

static void expect_big(void)
{
	for (size_t i = 0; i < sizeof(big); i++)
		if (big[i] != (i / BIG_BYTES) + 1)
			fail_msg("byte %zu is %u", i, big[i]);
}

static void next_big(struct fixture *f)
{
	if (f->done != BIG_N)
		return;
	expect_big();
	post_big(f);
	blockdev_settle(f->disk);
	assert_int_equal(f->done, 2 * BIG_N);
	expect_big();
	post_big(f);
	end(f);
	assert_int_equal(f->done, 3 * BIG_N);
	expect_big();
}

static void test_portions(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < BIG_N; i++)
		memset(big + i * BIG_BYTES, (int)i + 1, BIG_BYTES);
	assert_int_equal(fd_pwrite_full(f->fd, big, sizeof(big), 0), 0);
	f->next = next_big;
	run(f, post_big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_the_loops_own), BOTH(test_signal),   BOTH(test_flush),
		BOTH(test_wait_for_one),  BOTH(test_portions),
	};

	return ring_tests(tests, ARRAY_SIZE(tests));
}
