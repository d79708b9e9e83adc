#include "lib/base/utf8.h"

/* What the second byte may be, and how many there are, by the first one. */
static size_t shape(unsigned char first, unsigned *low, unsigned *high)
{
	*low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	*high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* How many of the bytes fit what the first one says. */
static size_t fitting(const unsigned char *p, size_t size, size_t length,
		      unsigned low, unsigned high)
{
	size_t n = 1;

	if (n < MIN(size, length) && p[n] >= low && p[n] <= high)
		n++;
	while (n > 1 && n < MIN(size, length) && (p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

size_t utf8_length(const void *data, size_t size)
{
	const unsigned char *p = data;
	unsigned low, high;
	size_t length = size > 0 ? shape(p[0], &low, &high) : 0;

	if (length == 0 || length > size)
		return 0;
	return fitting(p, size, length, low, high) == length ? length : 0;
}

bool utf8_unfinished(const void *data, size_t size)
{
	const unsigned char *p = data;
	unsigned low, high;
	size_t length = shape(p[0], &low, &high);

	return length > size && fitting(p, size, length, low, high) == size;
}

int utf8_append(struct buf *out, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		size_t good = 0, n;
		int r;

		while ((n = utf8_length(p + good, size - good)) > 0)
			good += n;
		r = buf_append(out, p, good);
		if (r == 0 && good < size) {
			r = buf_append(out, "\xef\xbf\xbd", 3);
			good++;
		}
		if (r < 0)
			return r;
		p += good;
		size -= good;
	}
	return 0;
}
