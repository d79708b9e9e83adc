#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/io_stats.h"

static void test_buckets(void **state)
{
	assert_int_equal(histogram_bucket(0), 0);
	assert_int_equal(histogram_bucket(1999), 0);
	assert_int_equal(histogram_bucket(2000), 1);
	assert_int_equal(histogram_bucket(3999), 1);
	assert_int_equal(histogram_bucket(4000), 2);
	assert_int_equal(histogram_bucket(1000000), 9);
	assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
	/* What a bucket counts lies below its bound and not below the one
	 * before. */
	for (unsigned i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
		uint64_t bound_ns = histogram_bound_us(i) * 1000;

		assert_int_equal(histogram_bucket(bound_ns - 1), i);
		assert_int_equal(histogram_bucket(bound_ns), i + 1);
	}
	assert_true(histogram_bound_us(HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
}

static void test_counting(void **state)
{
	struct io_op_stats s = {0};

	io_op_count(&s, 4096, 3000, true);
	io_op_count(&s, 512, 100, false);
	assert_int_equal(s.requests, 2);
	assert_int_equal(s.errors, 1);
	assert_int_equal(s.bytes, 4096);
	assert_int_equal(s.total_ns, 3100);
	assert_int_equal(s.latency.counts[0], 1);
	assert_int_equal(s.latency.counts[1], 1);
	assert_int_equal(histogram_total(&s.latency), 2);
}

static void test_frames(void **state)
{
	struct io_flow_stats s = {0};

	io_flow_time(&s, 3, 5000);
	io_flow_time(&s, 1, 100);
	assert_int_equal(s.total_ns, 15100);
	assert_int_equal(s.latency.counts[2], 3);
	assert_int_equal(s.latency.counts[0], 1);
	assert_int_equal(histogram_total(&s.latency), 4);
}

static void test_quantiles(void **state)
{
	struct histogram h = {0};

	assert_int_equal(histogram_quantile_us(&h, 500), 0);
	h.counts[3] = 99;
	h.counts[10] = 1;
	assert_int_equal(histogram_quantile_us(&h, 0), 16);
	assert_int_equal(histogram_quantile_us(&h, 500), 16);
	assert_int_equal(histogram_quantile_us(&h, 990), 16);
	assert_int_equal(histogram_quantile_us(&h, 991), 2048);
	assert_int_equal(histogram_quantile_us(&h, 1000), 2048);
	h.counts[HISTOGRAM_BUCKETS - 1] = UINT64_MAX / 2;
	assert_true(histogram_quantile_us(&h, 999) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_counting),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_quantiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
