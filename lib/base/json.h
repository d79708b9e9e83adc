/*
 * JSON behind one door: json-c objects in and out of C structures by tables.
 *
 * A table of `struct json_field` describes one JSON object. json_decode()
 * fills a zeroed structure from an object and refuses unknown fields, wrong
 * types and values out of bounds, naming the field by its full path, the value
 * and what is accepted; json_encode() writes the same structure back. Fields
 * that are absent or null keep what the structure held (its defaults).
 *
 * Thread: none of this has state; a json_object belongs to one thread.
 */
#ifndef LIB_BASE_JSON_H
#define LIB_BASE_JSON_H

#include <json-c/json.h>
#include <stdbool.h>

#include "lib/base/error.h"

enum json_kind {
	JSON_STRING,   /* char *, owned by the structure */
	JSON_BOOL,     /* bool */
	JSON_U32,      /* uint32_t */
	JSON_U32_AUTO, /* uint32_t; number, or "auto", which is UINT32_MAX */
	JSON_U64,      /* uint64_t */
	JSON_I64,      /* int64_t */
	JSON_SIZE,     /* uint64_t bytes; number or "2GiB"; encoded as number */
	JSON_ENUM,     /* int: index into names[] */
	JSON_OBJECT,   /* an embedded structure, described by sub */
	JSON_ARRAY,    /* of structures described by sub; see below */
	JSON_ANY,      /* json_object *, one reference owned */
	/* uint64_t[max], embedded. Missing elements at the end are 0, and
	 * zeroes at the end are not written. */
	JSON_U64S,
};

enum {
	JSON_REQUIRED = 1 << 0,
	/* Do not write the field when it is 0, false, NULL or empty. */
	JSON_OMIT_EMPTY = 1 << 1,
};

struct json_field {
	const char *name;
	enum json_kind kind;
	size_t offset;
	unsigned flags;
	/* Numbers and sizes: inclusive bounds, both 0 for none; a max of 0
	 * with a min is the type's own. Strings: length in bytes. Arrays: max
	 * is the greatest number of elements. JSON_I64: cast to int64_t. */
	uint64_t min, max;
	const char *const *names;     /* JSON_ENUM: NULL-terminated */
	const struct json_field *sub; /* JSON_OBJECT, JSON_ARRAY */
	/* JSON_ARRAY: offset is of a `void *` to elements allocated as one
	 * block of element_size each (owned), count_offset of its size_t. */
	size_t element_size;
	size_t count_offset;
	/* Strings: extra check; returns NULL or what is accepted ("..."). */
	const char *(*check)(const char *value);
	const char *doc;     /* one line for generated documentation */
	const char *example; /* JSON of a value, likewise; or NULL */
};

#define JSON_END             \
	{                    \
		.name = NULL \
	}

/*
 * `path` names the object in errors ("" for the top level: fields are then
 * named bare, else path.field). On failure `out` may be partly filled: free it
 * with json_release() on the same table. Errors: -EINVAL.
 */
int json_decode(json_object *object, const struct json_field *fields, void *out,
		const char *path, struct error *e) must_check;

/* A new object, owned by the caller; NULL only when out of memory. */
json_object *json_encode(const struct json_field *fields, const void *in);

/* Free what json_decode() allocated inside `structure` and zero it there. */
void json_release(const struct json_field *fields, void *structure);

/* A JSON Schema object (type, properties, required, bounds) of a table. */
json_object *json_schema(const struct json_field *fields);

#define JSON_DEPTH_MAX 32

/*
 * Parse exactly one JSON text of `size` bytes (not terminated); depth is
 * bounded by JSON_DEPTH_MAX, texts are valid UTF-8, numbers are finite (RFC
 * 8259). -EILSEQ with position and reason. *ret is owned by the caller; the
 * text "null" is NULL.
 */
int json_parse(const char *text, size_t size, json_object **ret,
	       struct error *e) must_check;

/* One line without newline; the pointer lives as long as the object. */
const char *json_text(json_object *object);

static inline void json_putp(json_object **object)
{
	json_object_put(*object);
}
#define _cleanup_json_ _cleanup_(json_putp)

#endif
