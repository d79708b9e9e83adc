#include "lib/base/io_stats.h"

unsigned histogram_bucket(uint64_t ns)
{
	uint64_t us = ns / 1000;
	unsigned log2 = us ? 63 - (unsigned)__builtin_clzll(us) : 0;

	return MIN(log2, HISTOGRAM_BUCKETS - 1u);
}

uint64_t histogram_bound_us(unsigned bucket)
{
	return bucket + 1 < HISTOGRAM_BUCKETS ? 2ull << bucket : UINT64_MAX;
}

uint64_t histogram_total(const struct histogram *h)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum += h->counts[i];
	return sum;
}

uint64_t histogram_quantile_us(const struct histogram *h, unsigned per_mille)
{
	uint64_t total = histogram_total(h), seen = 0, wanted;

	/* Rounded up, and without overflow for any total. */
	wanted = total / 1000 * per_mille +
		 DIV_ROUND_UP(total % 1000 * per_mille, 1000u);
	if (total == 0)
		return 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->counts[i];
		if (seen >= wanted && seen > 0)
			return histogram_bound_us(i);
	}
	return UINT64_MAX;
}

void io_op_count(struct io_op_stats *s, uint64_t bytes, uint64_t ns, bool ok)
{
	s->requests++;
	s->errors += !ok;
	s->bytes += ok ? bytes : 0;
	s->total_ns += ns;
	s->latency.counts[histogram_bucket(ns)]++;
}

void io_flow_time(struct io_flow_stats *s, uint64_t frames, uint64_t ns)
{
	s->total_ns += frames * ns;
	s->latency.counts[histogram_bucket(ns)] += frames;
}
