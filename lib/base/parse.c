#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>
#include <sys/random.h>

#include "lib/base/parse.h"

/* A longer word is nobody's typing mistake of one of ours. */
#define CLOSEST_WORD_MAX     48
#define CLOSEST_DISTANCE_MAX 2

/* Six digits times the largest factor stay within 64 bits. */
#define FRACTION_DIGITS_MAX 6

struct unit {
	const char *name;
	uint64_t factor;
	bool whole; /* takes no fraction */
};

static const struct unit size_units[] = {
	{"", 1, true},	  {"b", 1, true},     {"k", KIB(1)}, {"kib", KIB(1)},
	{"m", MIB(1)},	  {"mib", MIB(1)},    {"g", GIB(1)}, {"gib", GIB(1)},
	{"t", GIB(1024)}, {"tib", GIB(1024)}, {NULL},
};

static const struct unit duration_units[] = {
	{"", 1000},	{"ms", 1, true}, {"s", 1000},	  {"m", 60000},
	{"min", 60000}, {"h", 3600000},	 {"d", 86400000}, {NULL},
};

/* Decimal digits from *p into *ret; how many, or -1 when they overflow. */
static int scan_digits(const char **p, uint64_t *ret)
{
	int n = 0;

	for (*ret = 0; **p >= '0' && **p <= '9'; (*p)++, n++)
		if (__builtin_mul_overflow(*ret, 10, ret) ||
		    __builtin_add_overflow(*ret, (uint64_t)(**p - '0'), ret))
			return -1;
	return n;
}

/* "1.5GiB" by a table of units. -EINVAL or -ERANGE. */
static int parse_scaled(const char *text, const struct unit *units,
			uint64_t *ret)
{
	uint64_t whole, fraction = 0, scale = 1, value;
	const char *p = text;
	int n, digits = 0;

	n = scan_digits(&p, &whole);
	if (n <= 0)
		return n < 0 ? -ERANGE : -EINVAL;
	if (*p == '.') {
		p++;
		digits = scan_digits(&p, &fraction);
		if (digits < 1 || digits > FRACTION_DIGITS_MAX)
			return -EINVAL;
	}
	if (*p == ' ')
		p++;
	while (units->name && strcasecmp(units->name, p) != 0)
		units++;
	if (!units->name || (units->whole && digits > 0))
		return -EINVAL;
	for (int i = 0; i < digits; i++)
		scale *= 10;
	fraction = fraction * units->factor / scale;
	if (__builtin_mul_overflow(whole, units->factor, &value) ||
	    __builtin_add_overflow(value, fraction, &value))
		return -ERANGE;
	*ret = value;
	return 0;
}

int parse_size(const char *text, const char *what, uint64_t *ret_bytes,
	       struct error *e)
{
	int r = parse_scaled(text, size_units, ret_bytes);

	if (r == -ERANGE)
		return error_set(e, -EINVAL, "%s: \"%.60s\" is too large", what,
				 text);
	if (r < 0)
		return error_set(e, -EINVAL,
				 "%s: \"%.60s\" is not a size; use e.g. 2GiB",
				 what, text);
	return 0;
}

int parse_duration(const char *text, const char *what, uint64_t *ret_ms,
		   struct error *e)
{
	int r = parse_scaled(text, duration_units, ret_ms);

	if (r == -ERANGE)
		return error_set(e, -EINVAL, "%s: \"%.60s\" is too long", what,
				 text);
	if (r < 0)
		return error_set(e, -EINVAL,
				 "%s: \"%.60s\" is not a duration; use e.g. "
				 "5s, 250ms or 2m",
				 what, text);
	return 0;
}

int parse_u64(const char *text, const char *what, uint64_t min, uint64_t max,
	      uint64_t *ret, struct error *e)
{
	const char *p = text;
	uint64_t value;

	if (scan_digits(&p, &value) <= 0 || *p || value < min || value > max)
		return error_set(e, -EINVAL,
				 "%s: \"%.60s\" is not a number from %" PRIu64
				 " to %" PRIu64,
				 what, text, min, max);
	*ret = value;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool scan_mac(const char *text, uint8_t mac[6])
{
	if (strlen(text) != 17)
		return false;
	for (int i = 0; i < 6; i++) {
		int high = hex_digit(text[3 * i]);
		int low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int parse_mac(const char *text, const char *what, uint8_t ret_mac[6],
	      struct error *e)
{
	static const uint8_t zero[6];
	uint8_t mac[6];

	if (!scan_mac(text, mac))
		return error_set(e, -EINVAL,
				 "%s: \"%.60s\" is not a MAC address; use e.g. "
				 "52:54:00:12:34:56",
				 what, text);
	if (mac[0] & 1)
		return error_set(e, -EINVAL,
				 "%s: \"%s\" is a multicast address; the first "
				 "byte of a NIC's own address is even",
				 what, text);
	if (memcmp(mac, zero, sizeof(mac)) == 0)
		return error_set(e, -EINVAL,
				 "%s: \"%s\" is no NIC's address; use e.g. "
				 "52:54:00:12:34:56",
				 what, text);
	memcpy(ret_mac, mac, sizeof(mac));
	return 0;
}

char *format_size(uint64_t bytes, char *buf, size_t size)
{
	static const char *const names[] = {"B",   "KiB", "MiB", "GiB",
					    "TiB", "PiB", "EiB"};
	uint64_t unit = 1, tenths;
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(names) && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	/* The remainder is below 2^60, so ten of it fit 64 bits. */
	tenths = bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit;
	if (i > 0 && tenths < 100)
		snprintf(buf, size, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10,
			 tenths % 10, names[i]);
	else
		snprintf(buf, size, "%" PRIu64 " %s", (tenths + 5) / 10,
			 names[i]);
	return buf;
}

char *format_uptime(uint64_t seconds, char *buf, size_t size)
{
	static const struct {
		uint64_t seconds;
		char name;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(units) && seconds < units[i].seconds)
		i++;
	snprintf(buf, size, "%" PRIu64 "%c", seconds / units[i].seconds,
		 units[i].name);
	return buf;
}

void uuid_random(char ret_text[UUID_TEXT_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t b[16];
	char *p = ret_text;
	ssize_t n;

	do
		n = getrandom(b, sizeof(b), 0);
	while (n < 0 && errno == EINTR);
	/* Cannot happen on Linux, and an identity must not be guessable. */
	if (n != sizeof(b))
		abort();
	b[6] = (b[6] & 0x0f) | 0x40; /* RFC 4122, 4.4: version 4, */
	b[8] = (b[8] & 0x3f) | 0x80; /* variant 10 */
	for (size_t i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[b[i] >> 4];
		*p++ = hex[b[i] & 15];
	}
	*p = '\0';
}

bool uuid_valid(const char *text)
{
	for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-'
			 : hex_digit(text[i]) < 0 || isupper(text[i]))
			return false;
	}
	return text[UUID_TEXT_SIZE - 1] == '\0';
}

static size_t min3(size_t a, size_t b, size_t c)
{
	return MIN(a, MIN(b, c));
}

/*
 * Edit distance where swapping two neighbours is one edit ("wbe", "web"), as
 * fingers do. Both words are at most CLOSEST_WORD_MAX long.
 */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][CLOSEST_WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];
	size_t na = strlen(a), nb = strlen(b);

	for (size_t j = 0; j <= nb; j++)
		last[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *oldest = before;

		now[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1,
				      last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				now[j] = MIN(now[j], before[j - 2] + 1);
		}
		before = last;
		last = now;
		now = oldest;
	}
	return last[nb];
}

const char *parse_closest(const char *word, const char *const *list)
{
	size_t best = CLOSEST_DISTANCE_MAX + 1, size = strlen(word);
	const char *found = NULL;

	if (size > CLOSEST_WORD_MAX)
		return NULL;
	for (; *list; list++) {
		size_t d;

		if (strlen(*list) > CLOSEST_WORD_MAX)
			continue;
		d = edit_distance(word, *list);
		if (d < best && 2 * d < size) {
			best = d;
			found = *list;
		}
	}
	return found;
}
