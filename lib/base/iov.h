/*
 * Vectors of buffers: copying from and to them, and cutting them.
 *
 * Thread: none of this has state.
 */
#ifndef LIB_BASE_IOV_H
#define LIB_BASE_IOV_H

#include <stddef.h>
#include <sys/uio.h>

/* Copy between a flat buffer and n iovecs, `at` bytes in; bytes copied. */
size_t iov_read(const struct iovec *iov, unsigned n, size_t at, void *out,
		size_t size);
size_t iov_write(const struct iovec *iov, unsigned n, size_t at, const void *in,
		 size_t size);
/* Trim in place: drop `bytes` from the front, or keep only `bytes`. Returns
 * the new count; *iov is moved forward. */
unsigned iov_drop_front(struct iovec **iov, unsigned n, size_t bytes);
unsigned iov_keep(struct iovec *iov, unsigned n, size_t bytes);

#endif
