/*
 * The bytes of a file as a distribution packed them: gzip (RFC 1952), zstd
 * (RFC 8878) or not at all. zlib and libzstd are used nowhere else.
 *
 * What comes out is bounded by the caller's room, what is needed meanwhile by
 * the formats' windows: 32 KiB of gzip, 128 MiB of zstd.
 *
 * Thread: no state.
 */
#ifndef LIB_IMAGE_UNPACK_H
#define LIB_IMAGE_UNPACK_H

#include <stdbool.h>

#include "lib/base/error.h"

enum unpack_format { UNPACK_PLAIN, UNPACK_GZIP, UNPACK_ZSTD };

/* By the first bytes; fewer than four are plain. */
enum unpack_format unpack_format_of(const void *head, size_t size);

/*
 * Unpacks the file's bytes [offset, offset + length) into `out`, at most
 * `room` of them; *ret_size is how many there were, and *ret_whole says
 * whether that is all. What follows the end of the packed data is ignored.
 * -EBADMSG with "is damaged: ..." or "ends too early", -errno of reading. `fd`
 * is borrowed and its position does not move.
 */
int unpack_file(int fd, uint64_t offset, uint64_t length,
		enum unpack_format format, void *out, size_t room,
		size_t *ret_size, bool *ret_whole, struct error *e) must_check;

#endif
