#include "cli/plain_text.h"

#define ESC 0x1b
#define BEL 0x07

/* Behind ESC: what introduces something longer (ECMA-48, 5.4 and 5.6). */
static enum plain_state introduced(unsigned char c)
{
	if (c == ESC)
		return PLAIN_ESCAPE;
	if (c == '[')
		return PLAIN_SEQUENCE;
	if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
		return PLAIN_STRING;
	/* Intermediate bytes, then one that ends it. */
	return c >= 0x20 && c <= 0x2f ? PLAIN_ESCAPE : PLAIN_TEXT;
}

/* The same as a C1 character of its own: U+0080 to U+009F. */
static enum plain_state c1(unsigned char c)
{
	if (c == 0x9b)
		return PLAIN_SEQUENCE;
	return c == 0x9d || c == 0x90 || c == 0x98 || c == 0x9e || c == 0x9f
		       ? PLAIN_STRING
		       : PLAIN_TEXT;
}

/* The state behind a byte inside of something left out. */
static enum plain_state skip(enum plain_state state, unsigned char c)
{
	switch (state) {
	case PLAIN_ESCAPE:
		return introduced(c);
	case PLAIN_SEQUENCE:
		if (c == ESC)
			return PLAIN_ESCAPE;
		/* Also what cannot stand in one ends it. */
		return c >= 0x20 && c <= 0x3f ? PLAIN_SEQUENCE : PLAIN_TEXT;
	case PLAIN_STRING:
		/* An unfinished one hides no more than its line. */
		if (c == ESC)
			return PLAIN_STRING_ESCAPE;
		return c == BEL || c == '\n' ? PLAIN_TEXT : PLAIN_STRING;
	case PLAIN_STRING_ESCAPE:
		return c == '\\' ? PLAIN_TEXT : introduced(c);
	default:
		return PLAIN_TEXT;
	}
}

static int take_text(struct plain_text *p, char c, struct buf *out)
{
	unsigned char byte = (unsigned char)c;

	if (byte == ESC)
		p->state = PLAIN_ESCAPE;
	else if (byte == 0xc2)
		p->state = PLAIN_C2;
	else if ((byte >= 0x20 && byte != 0x7f) || c == '\n' || c == '\t')
		return buf_append(out, &c, 1);
	return 0;
}

static int take(struct plain_text *p, char c, struct buf *out)
{
	unsigned char byte = (unsigned char)c;

	if (p->state == PLAIN_TEXT)
		return take_text(p, c, out);
	if (p->state == PLAIN_C2 && byte > 0x9f && byte < 0xc0) {
		char whole[2] = {(char)0xc2, c};

		p->state = PLAIN_TEXT;
		return buf_append(out, whole, sizeof(whole));
	}
	/* No character at all. */
	if (p->state == PLAIN_C2 && (byte < 0x80 || byte > 0x9f)) {
		p->state = PLAIN_TEXT;
		return take_text(p, c, out);
	}
	p->state = p->state == PLAIN_C2 ? c1(byte) : skip(p->state, byte);
	return c == '\n' ? buf_append(out, &c, 1) : 0;
}

int plain_text_filter(struct plain_text *p, const char *data, size_t size,
		      struct buf *out)
{
	int r = 0;

	for (size_t i = 0; i < size && r == 0; i++)
		r = take(p, data[i], out);
	return r;
}
