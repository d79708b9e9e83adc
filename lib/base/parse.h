/*
 * Words a person types, into numbers and back.
 */
#ifndef LIB_BASE_PARSE_H
#define LIB_BASE_PARSE_H

#include <stdbool.h>

#include "lib/base/error.h"

/*
 * "2G", "2GiB", "512M", "1.5G", "4096": bytes, powers of 1024. `what` names
 * the field in the error. -EINVAL when it is no size or overflows.
 */
int parse_size(const char *text, const char *what, uint64_t *ret_bytes,
	       struct error *e) must_check;

/* "5s", "250ms", "2m", "1h", "30" (seconds): milliseconds. */
int parse_duration(const char *text, const char *what, uint64_t *ret_ms,
		   struct error *e) must_check;

int parse_u64(const char *text, const char *what, uint64_t min, uint64_t max,
	      uint64_t *ret, struct error *e) must_check;

/* "52:54:00:12:34:56", unicast only. */
int parse_mac(const char *text, const char *what, uint8_t ret_mac[6],
	      struct error *e) must_check;

/* "2.0 GiB", "512 MiB", "17 B" into buf (>= 16 bytes); returns buf. */
char *format_size(uint64_t bytes, char *buf, size_t size);

/* "12d", "3h", "14s": the largest unit, into buf; returns buf. */
char *format_uptime(uint64_t seconds, char *buf, size_t size);

/* RFC 4122 text form, lower case, 36 characters and the terminator. */
#define UUID_TEXT_SIZE 37
void uuid_random(char ret_text[UUID_TEXT_SIZE]);
bool uuid_valid(const char *text);

/*
 * The entry of a NULL-terminated list closest to `word` (edit distance at
 * most 2 and less than half the word), or NULL: for "did you mean".
 */
const char *parse_closest(const char *word, const char *const *list);

#endif
