#include <stdio.h>

#include "lib/base/error.h"
#include "lib/base/utf8.h"

struct error_row {
	const char *name;
	int err, rpc, http, exit;
};

static const struct error_row rows[ERROR_CODE_COUNT] = {
#define X(code, name, err, rpc, http, exit) {name, err, rpc, http, exit},
	ERROR_TABLE(X)
#undef X
};

/* errno values that mean the same thing to a person as a row's own. */
static const struct {
	int err;
	enum error_code code;
} aliases[] = {
	{EPERM, ERROR_DENIED},		{ENODEV, ERROR_NOT_SUPPORTED},
	{ENOTSUP, ERROR_NOT_SUPPORTED}, {EMFILE, ERROR_RESOURCE},
	{ENFILE, ERROR_RESOURCE},	{EDQUOT, ERROR_NO_SPACE},
	{ERANGE, ERROR_INVALID},	{E2BIG, ERROR_INVALID},
	{ENOTDIR, ERROR_INVALID},	{EISDIR, ERROR_INVALID},
	{ENAMETOOLONG, ERROR_INVALID},	{EAGAIN, ERROR_BUSY},
};

static enum error_code code_of_errno(int err)
{
	for (size_t i = 0; i < ERROR_CODE_COUNT; i++)
		if (rows[i].err == err)
			return (enum error_code)i;
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (aliases[i].err == err)
			return aliases[i].code;
	return ERROR_INTERNAL;
}

/*
 * Messages quote what users and guests wrote. They end in terminals, logs and
 * JSON, so control characters and broken UTF-8 (also from cutting a long value
 * short) become '?'.
 */
static void message_clean(char *text)
{
	unsigned char *p = (unsigned char *)text;

	while (*p) {
		size_t n = utf8_length(p, strnlen((char *)p, 4));

		if (n == 0 || *p < 0x20 || *p == 0x7f) {
			*p = '?';
			n = 1;
		}
		p += n;
	}
}

static void error_fill(struct error *e, int err, enum error_code code,
		       const char *fmt, va_list ap)
{
	char text[ERROR_MESSAGE_MAX];

	if (!e)
		return;
	/* Through a copy: an argument may point into e->message itself. */
	vsnprintf(text, sizeof(text), fmt, ap);
	message_clean(text);
	e->err = err;
	e->code = code;
	memcpy(e->message, text, sizeof(text));
}

int error_set(struct error *e, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_fill(e, -err, code_of_errno(-err), fmt, ap);
	va_end(ap);
	return err;
}

int error_set_code(struct error *e, enum error_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_fill(e, rows[code].err, code, fmt, ap);
	va_end(ap);
	return -rows[code].err;
}

int error_prefix(struct error *e, int err_if_null, const char *fmt, ...)
{
	char text[ERROR_MESSAGE_MAX * 2];
	va_list ap;
	int n;

	if (!e)
		return err_if_null;
	if (e->err == 0)
		error_set(e, err_if_null, "%s", strerror(-err_if_null));
	va_start(ap, fmt);
	n = vsnprintf(text, ERROR_MESSAGE_MAX, fmt, ap);
	va_end(ap);
	n = n < 0 ? 0 : MIN(n, ERROR_MESSAGE_MAX - 1);
	snprintf(text + n, sizeof(text) - (size_t)n, ": %s", e->message);
	text[ERROR_MESSAGE_MAX - 1] = '\0';
	message_clean(text);
	memcpy(e->message, text, ERROR_MESSAGE_MAX);
	return -e->err;
}

const char *error_code_name(enum error_code code)
{
	return rows[code].name;
}

int error_code_errno(enum error_code code)
{
	return rows[code].err;
}

int error_code_rpc(enum error_code code)
{
	return rows[code].rpc;
}

int error_code_http(enum error_code code)
{
	return rows[code].http;
}

int error_code_exit(enum error_code code)
{
	return rows[code].exit;
}

enum error_code error_code_by_name(const char *name)
{
	for (size_t i = 0; i < ERROR_CODE_COUNT; i++)
		if (streq(rows[i].name, name))
			return (enum error_code)i;
	return ERROR_INTERNAL;
}

enum error_code error_code_by_rpc(int rpc)
{
	for (size_t i = 0; i < ERROR_CODE_COUNT; i++)
		if (rows[i].rpc == rpc)
			return (enum error_code)i;
	return ERROR_INTERNAL;
}
