/* What must hold of every chain that a queue hands out, whatever the ring says.
 */
#ifndef TESTS_FUZZ_FUZZ_CHAIN_H
#define TESTS_FUZZ_FUZZ_CHAIN_H

#include "tests/fuzz/fuzz_ram.h"
#include "vmm-kvm/devices/virtqueue.h"

static inline bool in_ram(const void *base, size_t size)
{
	const uint8_t *p = base;

	if (p >= FUZZ_LOW && p < FUZZ_LOW + FUZZ_LOW_BYTES)
		return size <= (size_t)(FUZZ_LOW + FUZZ_LOW_BYTES - p);
	return p >= FUZZ_HIGH && p < FUZZ_HIGH + FUZZ_HIGH_BYTES &&
	       size <= (size_t)(FUZZ_HIGH + FUZZ_HIGH_BYTES - p);
}

static inline void check_chain(const struct virtq_chain *c)
{
	uint64_t out = 0, in = 0;

	fuzz_check(c->n_out + c->n_in > 0 &&
		   c->n_out + c->n_in <= VIRTQUEUE_SIZE_MAX);
	for (unsigned i = 0; i < c->n_out + c->n_in; i++) {
		fuzz_check(in_ram(c->iov[i].iov_base, c->iov[i].iov_len));
		*(i < c->n_out ? &out : &in) += c->iov[i].iov_len;
	}
	fuzz_check(out == c->out_bytes && in == c->in_bytes);
}

#endif
