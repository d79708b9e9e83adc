/* Files packed in each format, for the tests of lib/image and of booting. */
#ifndef TESTS_UNIT_PACKING_H
#define TESTS_UNIT_PACKING_H

#include <zlib.h>
#include <zstd.h>

#include "lib/base/fd.h"
#include "lib/image/unpack.h"

/* Bytes that neither repeat nor resist packing altogether; owned. */
static inline uint8_t *packing_bytes(size_t size)
{
	uint8_t *bytes = malloc(size);
	uint32_t x = 1;

	for (size_t i = 0; i < size; i++) {
		x = x * 1664525u + 1013904223u;
		bytes[i] = (uint8_t)(x >> 28);
	}
	return bytes;
}

static inline size_t packing_gzip(const void *in, size_t size, void *out,
				  size_t room)
{
	z_stream z = {.next_in = (uint8_t *)in,
		      .avail_in = (uInt)size,
		      .next_out = out,
		      .avail_out = (uInt)room};

	assert_int_equal(
		deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
		Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return room - z.avail_out;
}

/* Appends the packed bytes to a file. */
static inline void packing_append(int fd, const void *in, size_t size,
				  enum unpack_format format)
{
	size_t room = size + KIB(64), n;
	uint8_t *out = malloc(room);

	if (format == UNPACK_GZIP) {
		n = packing_gzip(in, size, out, room);
	} else if (format == UNPACK_ZSTD) {
		n = ZSTD_compress(out, room, in, size, 1);
		assert_false(ZSTD_isError(n));
	} else {
		memcpy(out, in, size);
		n = size;
	}
	assert_int_equal(fd_write_full(fd, out, n), 0);
	free(out);
}

static inline int packing_file(const void *in, size_t size,
			       enum unpack_format format)
{
	int fd = memfd_create("packed", MFD_CLOEXEC);

	assert_true(fd >= 0);
	packing_append(fd, in, size, format);
	return fd;
}

#endif
