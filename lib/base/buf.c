#include <stdarg.h>
#include <stdio.h>

#include "lib/base/buf.h"

#define BUF_ALLOCATE_MIN 64

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

/* Make room for `more` bytes and the NUL behind them. */
static int buf_reserve(struct buf *b, size_t more)
{
	size_t need, target;
	char *data;

	if (__builtin_add_overflow(b->size, more, &need) ||
	    __builtin_add_overflow(need, 1, &need))
		return -ENOMEM;
	if (need <= b->allocated)
		return 0;
	/* Doubling keeps a long run of small appends linear. */
	if (__builtin_mul_overflow(b->allocated, 2, &target))
		target = need;
	target = MAX(MAX(target, need), (size_t)BUF_ALLOCATE_MIN);
	data = realloc(b->data, target);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->allocated = target;
	return 0;
}

int buf_append(struct buf *b, const void *data, size_t size)
{
	int r = buf_reserve(b, size);

	if (r < 0)
		return r;
	if (size > 0)
		memcpy(b->data + b->size, data, size);
	b->size += size;
	b->data[b->size] = '\0';
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	r = buf_reserve(b, (size_t)n);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	vsnprintf(b->data + b->size, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->size += (size_t)n;
	return 0;
}

void buf_consume(struct buf *b, size_t n)
{
	if (!b->data)
		return;
	n = MIN(n, b->size);
	memmove(b->data, b->data + n, b->size - n);
	b->size -= n;
	b->data[b->size] = '\0';
}

int ring_init(struct ring *r, size_t capacity)
{
	char *data;

	if (capacity == 0)
		return -EINVAL;
	data = malloc(capacity);
	if (!data)
		return -ENOMEM;
	*r = (struct ring){.data = data, .capacity = capacity};
	return 0;
}

void ring_done(struct ring *r)
{
	free(r->data);
	*r = (struct ring){0};
}

void ring_write(struct ring *r, const void *data, size_t size)
{
	const char *p = data;
	size_t at, first;

	if (size > r->capacity) {
		r->written += size - r->capacity;
		p += size - r->capacity;
		size = r->capacity;
	}
	if (size == 0)
		return;
	at = r->written % r->capacity;
	first = MIN(size, r->capacity - at);
	memcpy(r->data + at, p, first);
	memcpy(r->data, p + first, size - first);
	r->written += size;
}

uint64_t ring_start(const struct ring *r)
{
	return r->written > r->capacity ? r->written - r->capacity : 0;
}

size_t ring_read(const struct ring *r, uint64_t *pos, void *out, size_t size)
{
	size_t at, first;

	*pos = MAX(*pos, ring_start(r));
	if (*pos >= r->written)
		return 0;
	size = MIN(size, r->written - *pos);
	if (size == 0)
		return 0;
	at = *pos % r->capacity;
	first = MIN(size, r->capacity - at);
	memcpy(out, r->data + at, first);
	memcpy((char *)out + first, r->data, size - first);
	*pos += size;
	return size;
}
