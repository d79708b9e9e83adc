/*
 * Bytes of anywhere as UTF-8 (RFC 3629).
 *
 * Thread: pure functions.
 */
#ifndef LIB_BASE_UTF8_H
#define LIB_BASE_UTF8_H

#include <stdbool.h>

#include "lib/base/buf.h"

/* Bytes of the well-formed character (Unicode 15, table 3-7) at the beginning
 * of `size` bytes, at least 1; 0 when there is none. */
size_t utf8_length(const void *data, size_t size);

/* Whether all of `size` bytes (at least 1) could be the beginning of a
 * character of which more is to come. */
bool utf8_unfinished(const void *data, size_t size);

/* Append the bytes, with U+FFFD for each that is no part of a character.
 * -ENOMEM. */
int utf8_append(struct buf *out, const void *data, size_t size) must_check;

#endif
