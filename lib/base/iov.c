#include "lib/base/iov.h"
#include "lib/base/util.h"

static size_t iov_copy(const struct iovec *iov, unsigned n, size_t at,
		       uint8_t *to, const uint8_t *from, size_t size)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < size; i++) {
		uint8_t *base = iov[i].iov_base;
		size_t part;

		if (at >= iov[i].iov_len) {
			at -= iov[i].iov_len;
			continue;
		}
		part = MIN(iov[i].iov_len - at, size - done);
		if (to)
			memcpy(to + done, base + at, part);
		else
			memcpy(base + at, from + done, part);
		done += part;
		at = 0;
	}
	return done;
}

size_t iov_read(const struct iovec *iov, unsigned n, size_t at, void *out,
		size_t size)
{
	return iov_copy(iov, n, at, out, NULL, size);
}

size_t iov_write(const struct iovec *iov, unsigned n, size_t at, const void *in,
		 size_t size)
{
	return iov_copy(iov, n, at, NULL, in, size);
}

unsigned iov_drop_front(struct iovec **iov, unsigned n, size_t bytes)
{
	while (n > 0 && bytes >= (*iov)->iov_len) {
		bytes -= (*iov)->iov_len;
		(*iov)++;
		n--;
	}
	if (n > 0 && bytes > 0) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + bytes;
		(*iov)->iov_len -= bytes;
	}
	return n;
}

unsigned iov_keep(struct iovec *iov, unsigned n, size_t bytes)
{
	for (unsigned i = 0; i < n; i++) {
		if (bytes <= iov[i].iov_len) {
			iov[i].iov_len = bytes;
			return bytes > 0 ? i + 1 : i;
		}
		bytes -= iov[i].iov_len;
	}
	return n;
}
