/*
 * Counters of input and output: what a disk or a network interface did since
 * it was made, and how long its requests took. Whoever does the I/O counts, in
 * plain variables of one thread; readers take a copy there.
 */
#ifndef LIB_BASE_IO_STATS_H
#define LIB_BASE_IO_STATS_H

#include <stdbool.h>

#include "lib/base/util.h"

/*
 * Latencies by powers of two: bucket 0 counts those below 2 µs, bucket i those
 * from 2^i up to 2^(i+1) µs, the last one all that took longer (8.4 s).
 */
#define HISTOGRAM_BUCKETS 24

struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
};

/* Requests of one kind. */
struct io_op_stats {
	uint64_t requests, errors; /* ended; of those, without success */
	uint64_t bytes;		   /* of those with success */
	uint64_t total_ns;	   /* from asked for to ended, of all */
	struct histogram latency;
};

/* Frames of one direction. */
struct io_flow_stats {
	uint64_t frames, bytes;
	uint64_t dropped; /* not among the frames */
	/* Of those whose time was taken: to the guest from being read to being
	 * handed over, from it from being noticed to being written. */
	uint64_t total_ns;
	struct histogram latency;
};

unsigned histogram_bucket(uint64_t ns);
/* Exclusive upper bound of a bucket in µs; UINT64_MAX for the last. */
uint64_t histogram_bound_us(unsigned bucket);
uint64_t histogram_total(const struct histogram *h);
/*
 * The bound below which at least `per_mille` of what was counted lies, in µs:
 * exact up to the width of a bucket. 0 when nothing was counted.
 */
uint64_t histogram_quantile_us(const struct histogram *h, unsigned per_mille);

/* One request has ended. */
void io_op_count(struct io_op_stats *s, uint64_t bytes, uint64_t ns, bool ok);
/* As many frames were moved, each within that time. */
void io_flow_time(struct io_flow_stats *s, uint64_t frames, uint64_t ns);

#endif
