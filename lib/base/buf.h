/*
 * Two byte containers: `buf`, which grows, and `ring`, which forgets its
 * oldest bytes when full (console scrollback).
 *
 * Invariant of buf: data is NULL or holds `size` bytes followed by a NUL that
 * does not count.
 */
#ifndef LIB_BASE_BUF_H
#define LIB_BASE_BUF_H

#include <sys/types.h>

#include "lib/base/util.h"

struct buf {
	char *data;
	size_t size, allocated;
};

void buf_done(struct buf *b);
/* -ENOMEM leaves the buffer as it was. */
int buf_append(struct buf *b, const void *data, size_t size) must_check;
int buf_printf(struct buf *b, const char *fmt, ...) must_check
	printf_like(2, 3);
/* Drop the first n bytes. */
void buf_consume(struct buf *b, size_t n);
#define _cleanup_buf_ _cleanup_(buf_done)

struct ring {
	char *data;
	size_t capacity;
	uint64_t written; /* bytes ever written; positions count from 0 */
};

int ring_init(struct ring *r, size_t capacity) must_check;
void ring_done(struct ring *r);
void ring_write(struct ring *r, const void *data, size_t size);
/* Oldest position still held. */
uint64_t ring_start(const struct ring *r);
/*
 * Copy up to `size` bytes from position *pos (moved forward to ring_start()
 * when those bytes are gone) and advance *pos. Returns bytes copied.
 */
size_t ring_read(const struct ring *r, uint64_t *pos, void *out, size_t size);

#endif
