/*
 * The one error contract of the project.
 *
 * Functions return int: 0 or a negative errno. Where a person will read the
 * reason, the last parameter is a `struct error *`, which the failing function
 * fills with one sentence naming the thing, the value and what is accepted.
 * Callers may pass NULL when they only need the number. Libraries never log:
 * whoever ends an error logs or prints it, once.
 *
 * An error also has a *code* from the table below, from which the JSON-RPC
 * code, the HTTP status, the D-Bus error name and the exit status of armvmctl
 * follow. error_set() derives the code from the errno; error_set_code() names
 * it where errno is too coarse.
 *
 * Thread: an error belongs to whoever holds it; no function here has state.
 */
#ifndef LIB_BASE_ERROR_H
#define LIB_BASE_ERROR_H

#include <stdarg.h>

#include "lib/base/util.h"

/*
 * X(CODE, name, errno, JSON-RPC code, HTTP status, exit status)
 * The first row whose errno matches is the code error_set() derives; rows
 * further down with the same errno are only reached by error_set_code().
 */
#define ERROR_TABLE(X)                                                 \
	X(INTERNAL, "internal", EIO, -32603, 500, 1)                   \
	X(INVALID, "invalid", EINVAL, -32602, 400, 2)                  \
	X(NOT_FOUND, "not-found", ENOENT, -32001, 404, 3)              \
	X(EXISTS, "exists", EEXIST, -32002, 409, 4)                    \
	X(STATE, "wrong-state", EPROTO, -32003, 409, 5)                \
	X(BUSY, "busy", EBUSY, -32004, 409, 6)                         \
	X(DENIED, "denied", EACCES, -32005, 403, 7)                    \
	X(TIMEOUT, "timeout", ETIMEDOUT, -32006, 504, 8)               \
	X(NO_SPACE, "no-space", ENOSPC, -32007, 507, 9)                \
	X(NOT_SUPPORTED, "not-supported", EOPNOTSUPP, -32008, 422, 10) \
	X(NO_DAEMON, "no-daemon", ECONNREFUSED, -32009, 503, 11)       \
	X(CANCELLED, "cancelled", ECANCELED, -32010, 409, 12)          \
	X(RESOURCE, "no-resource", ENOMEM, -32011, 503, 13)            \
	X(BAD_IMAGE, "bad-image", EBADMSG, -32012, 422, 14)            \
	X(CONFLICT, "conflict", ESTALE, -32013, 412, 15)               \
	X(PARSE, "parse-error", EILSEQ, -32700, 400, 2)                \
	X(BAD_REQUEST, "bad-request", EBADRQC, -32600, 400, 2)         \
	X(NO_METHOD, "no-method", ENOSYS, -32601, 404, 2)

enum error_code {
#define X(code, name, err, rpc, http, exit) ERROR_##code,
	ERROR_TABLE(X)
#undef X
		ERROR_CODE_COUNT
};

#define ERROR_MESSAGE_MAX 512

struct error {
	int err; /* positive errno; 0 means no error */
	enum error_code code;
	/* One sentence of valid UTF-8 without control characters. */
	char message[ERROR_MESSAGE_MAX];
};

#define ERROR_INIT ((struct error){0})

/*
 * Fill `e` (may be NULL) and return `err` (a negative errno), so that
 * `return error_set(e, -ENOENT, "VM %s does not exist", name);` reads well.
 */
int error_set(struct error *e, int err, const char *fmt, ...) printf_like(3, 4);

/* The same with an explicit code; returns the code's -errno. */
int error_set_code(struct error *e, enum error_code code, const char *fmt, ...)
	printf_like(3, 4);

/*
 * Put "context: " in front of the message; returns -e->err, or err_if_null when
 * there is no structure or nothing filled it.
 */
int error_prefix(struct error *e, int err_if_null, const char *fmt, ...)
	printf_like(3, 4);

/* The row of a code. error_code_by_name returns ERROR_INTERNAL if unknown. */
const char *error_code_name(enum error_code code);
int error_code_errno(enum error_code code);
int error_code_rpc(enum error_code code);
int error_code_http(enum error_code code);
int error_code_exit(enum error_code code);
enum error_code error_code_by_name(const char *name);
enum error_code error_code_by_rpc(int rpc);

#endif
