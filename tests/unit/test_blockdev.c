#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/fd.h"
#include "lib/host/blockdev.h"

#define DISK_BYTES (64 * 1024 + 100) /* a partial sector at the end */

struct fixture {
	uv_loop_t loop;
	struct blockdev *b;
	int fd; /* the test's own view of the file */
	unsigned done;
	int last;
};

static void count(void *cookie, int result)
{
	struct fixture *f = cookie;

	f->done++;
	f->last = result;
}

static int open_disk(struct fixture *f, bool readonly)
{
	f->fd = memfd_create("disk", MFD_CLOEXEC);
	assert_true(f->fd >= 0);
	assert_int_equal(ftruncate(f->fd, DISK_BYTES), 0);
	return blockdev_open(&f->loop, fcntl(f->fd, F_DUPFD_CLOEXEC, 0),
			     readonly, &f->b, NULL);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(open_disk(f, false), 0);
	*state = f;
	return 0;
}

static int setup_threads(void **state)
{
	setenv("ARMVM_BLOCKDEV", "threads", 1);
	return setup(state);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	blockdev_free(f->b);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	fd_close(f->fd);
	free(f);
	unsetenv("ARMVM_BLOCKDEV");
	return 0;
}

static void wait_for(struct fixture *f, unsigned n)
{
	blockdev_submit(f->b);
	while (f->done < n)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->done, n);
}

static void test_size(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(blockdev_capacity_sectors(f->b), 128);
	assert_false(blockdev_readonly(f->b));
	assert_int_equal(ftruncate(f->fd, 512 * 200), 0);
	assert_int_equal(blockdev_refresh(f->b), 0);
	assert_int_equal(blockdev_capacity_sectors(f->b), 200);
}

static uint64_t allocated(struct fixture *f)
{
	struct stat st;

	assert_int_equal(fstat(f->fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void fill(struct fixture *f)
{
	static char ones[64 * 1024];

	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(fd_pwrite_full(f->fd, ones, sizeof(ones), 0), 0);
}

/* [at, at + size) is zeroes and what is around it is not. */
static void expect_hole(struct fixture *f, uint64_t at, uint64_t size)
{
	static uint8_t disk[64 * 1024];

	assert_int_equal(fd_pread_full(f->fd, disk, sizeof(disk), 0), 0);
	for (uint64_t i = 0; i < sizeof(disk); i++)
		if (disk[i] != (i >= at && i - at < size ? 0 : 0xff))
			fail_msg("byte %u is %u", (unsigned)i, disk[i]);
}

static void test_discard_gives_space_back(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	fill(f);
	before = allocated(f);
	assert_int_equal(blockdev_discard(f->b, 8192, 16384, count, f), 0);
	wait_for(f, 1);
	assert_int_equal(f->last, 0);
	assert_int_equal(before - allocated(f), 16384);
	expect_hole(f, 8192, 16384);
}

/* A memfd cannot ZERO_RANGE: zeroes are written, and keep their space. */
static void test_zero(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	fill(f);
	before = allocated(f);
	assert_int_equal(blockdev_zero(f->b, 512, 40960, false, count, f), 0);
	wait_for(f, 1);
	assert_int_equal(f->last, 0);
	assert_int_equal(allocated(f), before);
	expect_hole(f, 512, 40960);
	fill(f);
	assert_int_equal(blockdev_zero(f->b, 4096, 8192, true, count, f), 0);
	wait_for(f, 2);
	assert_int_equal(f->last, 0);
	assert_int_equal(before - allocated(f), 8192);
	expect_hole(f, 4096, 8192);
}

static void test_ranges_are_judged(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(blockdev_zero(f->b, 65536 - 512, 1024, true, count, f),
			 0);
	wait_for(f, 1);
	assert_int_equal(f->last, -EIO);
	assert_int_equal(
		blockdev_discard(f->b, UINT64_MAX - 511, 1024, count, f), 0);
	wait_for(f, 2);
	assert_int_equal(f->last, -EIO);
	assert_int_equal(
		blockdev_zero(f->b, 0, BLOCKDEV_ZERO_MAX + 512, true, count, f),
		-EINVAL);
}

static void test_write_read_flush(void **state)
{
	struct fixture *f = *state;
	char a[512], b[1024], back[1536];
	struct iovec out[] = {{a, sizeof(a)}, {b, sizeof(b)}};
	struct iovec in = {back, sizeof(back)};

	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	assert_int_equal(blockdev_writev(f->b, out, 2, 4096, count, f), 0);
	assert_int_equal(f->done, 0);
	memset(out, 0, sizeof(out)); /* it was copied */
	wait_for(f, 1);
	assert_int_equal(f->last, 0);
	assert_int_equal(blockdev_flush(f->b, count, f), 0);
	wait_for(f, 2);
	assert_int_equal(f->last, 0);
	assert_int_equal(blockdev_readv(f->b, &in, 1, 4096, count, f), 0);
	wait_for(f, 3);
	assert_int_equal(f->last, 0);
	assert_memory_equal(back, a, 512);
	assert_memory_equal(back + 512, b, 1024);
	assert_int_equal(fd_pread_full(f->fd, back, 512, 4096), 0);
	assert_memory_equal(back, a, 512);
}

static void test_out_of_range(void **state)
{
	static const struct {
		uint64_t at;
		size_t bytes;
	} rows[] = {
		{65536, 1},	  {65024, 513}, {UINT64_MAX - 10, 512},
		{INT64_MAX, 512}, {0, 65537},	{1ull << 63, 1},
	};
	struct fixture *f = *state;
	_cleanup_free_ char *buf = malloc(65537);

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct iovec iov = {buf, rows[i].bytes};

		assert_int_equal(
			blockdev_writev(f->b, &iov, 1, rows[i].at, count, f),
			0);
		assert_int_equal(f->done, i);
		wait_for(f, i + 1);
		assert_int_equal(f->last, -EIO);
	}
	assert_int_equal(blockdev_readv(f->b, NULL, 5000, 0, count, f),
			 -EINVAL);
	assert_int_equal(blockdev_readv(f->b, NULL, 0, 65536, count, f), 0);
	wait_for(f, ARRAY_SIZE(rows) + 1);
	assert_int_equal(f->last, 0);
}

static void test_truncated_under_us(void **state)
{
	struct fixture *f = *state;
	char buf[1024];
	struct iovec iov = {buf, sizeof(buf)};

	assert_int_equal(ftruncate(f->fd, 512), 0);
	assert_int_equal(blockdev_readv(f->b, &iov, 1, 0, count, f), 0);
	wait_for(f, 1);
	assert_int_equal(f->last, -EIO);
}

/* More than either engine starts at a time. */
static void test_many(void **state)
{
	struct fixture *f = *state;
	static uint32_t words[1000][128];

	for (uint32_t i = 0; i < 1000; i++) {
		struct iovec iov = {words[i], sizeof(words[i])};

		words[i][0] = i;
		assert_int_equal(blockdev_writev(f->b, &iov, 1, (i % 128) * 512,
						 count, f),
				 0);
	}
	wait_for(f, 1000);
	assert_int_equal(f->last, 0);
}

struct resubmit {
	struct fixture *f;
	char buf[512];
	unsigned left;
};

static void again(void *cookie, int result)
{
	struct resubmit *r = cookie;
	struct iovec iov = {r->buf, sizeof(r->buf)};

	count(r->f, result);
	if (r->left-- > 0)
		assert_int_equal(blockdev_readv(r->f->b, &iov, 1, 0, again, r),
				 0);
	blockdev_submit(r->f->b);
}

static void test_request_from_callback(void **state)
{
	struct fixture *f = *state;
	struct resubmit r = {.f = f, .left = 20};
	struct iovec iov = {r.buf, sizeof(r.buf)};

	assert_int_equal(blockdev_readv(f->b, &iov, 1, 0, again, &r), 0);
	wait_for(f, 21);
}

static void refuse_more(void *cookie, int result)
{
	struct fixture *f = cookie;

	count(f, result);
	assert_int_equal(blockdev_flush(f->b, count, f), -ESHUTDOWN);
}

static void test_free_waits(void **state)
{
	struct fixture *f = *state;
	static char buf[300][512];

	for (int i = 0; i < 300; i++) {
		struct iovec iov = {buf[i], 512};

		assert_int_equal(
			blockdev_readv(f->b, &iov, 1, 0, refuse_more, f), 0);
		if (i == 100)
			blockdev_submit(f->b);
	}
	f->b = blockdev_free(f->b);
	assert_int_equal(f->done, 300);
	assert_int_equal(f->last, 0);
}

static void test_drain_waits_and_goes_on(void **state)
{
	struct fixture *f = *state;
	char buf[512];
	struct iovec iov = {buf, sizeof(buf)};

	blockdev_drain(f->b);
	for (int i = 0; i < 20; i++)
		assert_int_equal(
			blockdev_readv(f->b, &iov, 1, 0, refuse_more, f), 0);
	blockdev_drain(f->b);
	assert_int_equal(f->done, 20);
	assert_int_equal(blockdev_readv(f->b, &iov, 1, 0, count, f), 0);
	wait_for(f, 21);
	assert_int_equal(f->last, 0);
}

static void test_counts(void **state)
{
	struct fixture *f = *state;
	char buf[4096] = {0};
	struct iovec iov = {buf, sizeof(buf)};
	struct blockdev_stats s;

	assert_int_equal(blockdev_writev(f->b, &iov, 1, 0, count, f), 0);
	assert_int_equal(blockdev_readv(f->b, &iov, 1, 0, count, f), 0);
	assert_int_equal(blockdev_readv(f->b, &iov, 1, MIB(1), count, f), 0);
	assert_int_equal(blockdev_flush(f->b, count, f), 0);
	/* Zeroes may become a write; they stay what was asked for. */
	assert_int_equal(blockdev_zero(f->b, 0, 8192, false, count, f), 0);
	blockdev_stats(f->b, &s);
	assert_int_equal(s.in_flight, 5);
	wait_for(f, 5);
	blockdev_stats(f->b, &s);
	assert_int_equal(s.in_flight, 0);
	assert_int_equal(s.write.requests, 1);
	assert_int_equal(s.write.bytes, 4096);
	assert_int_equal(s.read.requests, 2);
	assert_int_equal(s.read.errors, 1); /* beyond the end */
	assert_int_equal(s.read.bytes, 4096);
	assert_int_equal(s.flush.requests, 1);
	assert_int_equal(s.flush.bytes, 0);
	assert_int_equal(s.discard.requests, 1);
	assert_int_equal(s.discard.bytes, 8192);
	assert_true(s.write.total_ns > 0);
	assert_int_equal(histogram_total(&s.read.latency), 2);
}

static void test_readonly(void **state)
{
	struct fixture *f = *state;
	char buf[512];
	struct iovec iov = {buf, sizeof(buf)};

	blockdev_free(f->b);
	fd_close(f->fd);
	assert_int_equal(open_disk(f, true), 0);
	assert_true(blockdev_readonly(f->b));
	assert_int_equal(blockdev_writev(f->b, &iov, 1, 0, count, f), -EROFS);
	assert_int_equal(blockdev_readv(f->b, &iov, 1, 0, count, f), 0);
	wait_for(f, 1);
	assert_int_equal(f->last, 0);
}

static void test_not_a_disk(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	struct blockdev *b = NULL;
	int pipes[2];

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(blockdev_open(&f->loop, pipes[0], false, &b, &e),
			 -EINVAL);
	assert_null(b);
	assert_true(strlen(e.message) > 0);
	assert_int_equal(fcntl(pipes[0], F_GETFD), -1); /* consumed */
	close(pipes[1]);
}

#define TEST(f)                                                   \
	cmocka_unit_test_setup_teardown(f, setup, teardown),      \
	{                                                         \
#f " (threads)", f, setup_threads, teardown, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_discard_gives_space_back),
		TEST(test_zero),
		TEST(test_ranges_are_judged),
		TEST(test_size),
		TEST(test_write_read_flush),
		TEST(test_out_of_range),
		TEST(test_truncated_under_us),
		TEST(test_many),
		TEST(test_request_from_callback),
		TEST(test_free_waits),
		TEST(test_readonly),
		TEST(test_counts),
		TEST(test_not_a_disk),
		TEST(test_drain_waits_and_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
