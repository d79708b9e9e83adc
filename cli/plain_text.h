/*
 * What a guest printed, made harmless for a terminal: escape sequences (ECMA-48
 * control sequences and strings) and control characters are left out, newline
 * and tab kept. State goes over from one piece to the next.
 */
#ifndef CLI_PLAIN_TEXT_H
#define CLI_PLAIN_TEXT_H

#include "lib/base/buf.h"

enum plain_state {
	PLAIN_TEXT,
	PLAIN_ESCAPE,	/* behind ESC */
	PLAIN_SEQUENCE, /* a control sequence, up to its final byte */
	PLAIN_STRING,	/* a control string, up to BEL or ST */
	PLAIN_STRING_ESCAPE,
	PLAIN_C2, /* behind the first byte of a C1 character in UTF-8 */
};

struct plain_text {
	enum plain_state state;
};

/* Append what is left of `size` bytes. -ENOMEM. */
int plain_text_filter(struct plain_text *p, const char *data, size_t size,
		      struct buf *out) must_check;

#endif
