#include <inttypes.h>
#include <stdio.h>

#include "lib/base/json.h"
#include "lib/base/parse.h"

#define PATH_MAX_BYTES 184

/*
 * Where a value stands in the document, for messages: a chain on the stack,
 * put into words only when something is wrong with the value.
 */
struct where {
	const struct where *in; /* NULL: the outermost */
	const char *name;	/* of the field; NULL: element `index` */
	size_t index;
};

static char *where_text(const struct where *w, char buf[PATH_MAX_BYTES])
{
	size_t used;

	if (!w->in) {
		snprintf(buf, PATH_MAX_BYTES, "%s", w->name);
		return buf;
	}
	used = strlen(where_text(w->in, buf));
	if (w->name)
		snprintf(buf + used, PATH_MAX_BYTES - used, "%s%s",
			 used ? "." : "", w->name);
	else
		snprintf(buf + used, PATH_MAX_BYTES - used, "[%zu]", w->index);
	return buf;
}

#define WHERE(w) where_text(w, (char[PATH_MAX_BYTES]){0})

static int decode(json_object *object, const struct json_field *fields,
		  void *out, const struct where *where, struct error *e);

static void *at(void *structure, size_t offset)
{
	return (char *)structure + offset;
}

/* A value for an error message: scalars as written, cut to 80 bytes. */
static char *describe(json_object *value, char *buf, size_t size)
{
	switch (json_object_get_type(value)) {
	case json_type_object:
		snprintf(buf, size, "an object");
		break;
	case json_type_array:
		snprintf(buf, size, "an array");
		break;
	default:
		snprintf(buf, size, "%.80s", json_text(value));
	}
	return buf;
}

static int bad_value(json_object *value, const struct where *where,
		     const char *accepted, struct error *e)
{
	char text[96];

	return error_set(e, -EINVAL, "%s: %s is not %s", WHERE(where),
			 describe(value, text, sizeof(text)), accepted);
}

static int decode_string(json_object *value, const struct json_field *f,
			 void *out, const struct where *where, struct error *e)
{
	char **to = out, *copy;
	const char *text = json_object_get_string(value), *accepted;
	size_t size;

	if (!json_object_is_type(value, json_type_string))
		return bad_value(value, where, "a string", e);
	size = (size_t)json_object_get_string_len(value);
	if (strlen(text) != size)
		return bad_value(value, where, "a string without NUL", e);
	if (size < f->min)
		return error_set(e, -EINVAL,
				 "%s: \"%.60s\" is too short; at least %" PRIu64
				 " bytes",
				 WHERE(where), text, f->min);
	if (f->max && size > f->max)
		return error_set(e, -EINVAL,
				 "%s: \"%.60s\" is too long; at most %" PRIu64
				 " bytes",
				 WHERE(where), text, f->max);
	accepted = f->check ? f->check(text) : NULL;
	if (accepted)
		return bad_value(value, where, accepted, e);
	copy = strdup(text);
	if (!copy)
		return error_set(e, -ENOMEM, "%s: out of memory", WHERE(where));
	free(*to);
	*to = copy;
	return 0;
}

static int decode_bool(json_object *value, void *out, const struct where *where,
		       struct error *e)
{
	if (!json_object_is_type(value, json_type_boolean))
		return bad_value(value, where, "true or false", e);
	*(bool *)out = json_object_get_boolean(value);
	return 0;
}

static int decode_unsigned(json_object *value, const struct json_field *f,
			   uint64_t type_max, uint64_t *ret,
			   const struct where *where, struct error *e)
{
	uint64_t max = f->max ? f->max : type_max, number;
	char accepted[96];

	number = json_object_get_uint64(value);
	if (json_object_is_type(value, json_type_int) &&
	    json_object_get_int64(value) >= 0 && number >= f->min &&
	    number <= max) {
		*ret = number;
		return 0;
	}
	snprintf(accepted, sizeof(accepted),
		 "a whole number from %" PRIu64 " to %" PRIu64, f->min, max);
	return bad_value(value, where, accepted, e);
}

static int decode_u32(json_object *value, const struct json_field *f, void *out,
		      const struct where *where, struct error *e)
{
	uint64_t number;
	int r = decode_unsigned(value, f, UINT32_MAX, &number, where, e);

	if (r == 0)
		*(uint32_t *)out = (uint32_t)number;
	return r;
}

static int decode_u32_auto(json_object *value, const struct json_field *f,
			   uint32_t *out, const struct where *where,
			   struct error *e)
{
	uint64_t max = f->max ? f->max : UINT32_MAX - 1;
	char accepted[96];
	uint64_t number;

	if (json_object_is_type(value, json_type_string) &&
	    streq(json_object_get_string(value), "auto")) {
		*out = UINT32_MAX;
		return 0;
	}
	if (decode_unsigned(value, f, max, &number, where, NULL) == 0) {
		*out = (uint32_t)number;
		return 0;
	}
	snprintf(accepted, sizeof(accepted),
		 "\"auto\" or a whole number from %" PRIu64 " to %" PRIu64,
		 f->min, max);
	return bad_value(value, where, accepted, e);
}

static int decode_i64(json_object *value, const struct json_field *f, void *out,
		      const struct where *where, struct error *e)
{
	bool bounded = f->min || f->max;
	int64_t min = bounded ? (int64_t)f->min : INT64_MIN;
	int64_t max = bounded ? (int64_t)f->max : INT64_MAX;
	int64_t number = json_object_get_int64(value);
	char accepted[96];

	/* json-c clamps what is beyond 63 bits; the unsigned view tells. */
	if (json_object_is_type(value, json_type_int) && number >= min &&
	    number <= max &&
	    (number < 0 || (uint64_t)number == json_object_get_uint64(value))) {
		*(int64_t *)out = number;
		return 0;
	}
	snprintf(accepted, sizeof(accepted),
		 "a whole number from %" PRId64 " to %" PRId64, min, max);
	return bad_value(value, where, accepted, e);
}

static int decode_size(json_object *value, const struct json_field *f,
		       void *out, const struct where *where, struct error *e)
{
	char low[16], high[16], text[96];
	uint64_t bytes;
	int r;

	if (json_object_is_type(value, json_type_string)) {
		r = parse_size(json_object_get_string(value), WHERE(where),
			       &bytes, e);
		if (r < 0)
			return r;
	} else if (json_object_is_type(value, json_type_int) &&
		   json_object_get_int64(value) >= 0) {
		bytes = json_object_get_uint64(value);
	} else {
		return bad_value(value, where,
				 "a size; use bytes or e.g. \"2GiB\"", e);
	}
	if (bytes < f->min || (f->max && bytes > f->max)) {
		format_size(f->min, low, sizeof(low));
		format_size(f->max ? f->max : UINT64_MAX, high, sizeof(high));
		return error_set(
			e, -EINVAL, "%s: %s is not from %s to %s", WHERE(where),
			describe(value, text, sizeof(text)), low, high);
	}
	*(uint64_t *)out = bytes;
	return 0;
}

/* "a, b, c" of a NULL-terminated list, cut where buf ends. */
static char *join(const char *const *list, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (; *list && used < size; list++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s",
					 used ? ", " : "", *list);
	return buf;
}

static int decode_enum(json_object *value, const struct json_field *f,
		       void *out, const struct where *where, struct error *e)
{
	char names[200], text[96];
	const char *word, *close;

	if (!json_object_is_type(value, json_type_string))
		return bad_value(value, where, "a string", e);
	word = json_object_get_string(value);
	for (int i = 0; f->names[i]; i++)
		if (streq(f->names[i], word)) {
			*(int *)out = i;
			return 0;
		}
	close = parse_closest(word, f->names);
	return error_set(e, -EINVAL, "%s: %s is not one of %s%s%s%s",
			 WHERE(where), describe(value, text, sizeof(text)),
			 join(f->names, names, sizeof(names)),
			 close ? "; did you mean \"" : "", close ? close : "",
			 close ? "\"?" : "");
}

static int decode_array(json_object *value, const struct json_field *f,
			void *structure, const struct where *where,
			struct error *e)
{
	void **elements = at(structure, f->offset);
	size_t *count = at(structure, f->count_offset), n;
	int r;

	if (!json_object_is_type(value, json_type_array))
		return bad_value(value, where, "an array", e);
	n = json_object_array_length(value);
	if (f->max && n > f->max)
		return error_set(
			e, -EINVAL,
			"%s: %zu elements are too many; at most %" PRIu64,
			WHERE(where), n, f->max);
	json_release((const struct json_field[]){*f, JSON_END}, structure);
	if (n == 0)
		return 0;
	*elements = calloc(n, f->element_size);
	if (!*elements)
		return error_set(e, -ENOMEM, "%s: out of memory", WHERE(where));
	/* All of them count from now on: zeroed ones can be released. */
	*count = n;
	for (size_t i = 0; i < n; i++) {
		struct where element = {.in = where, .index = i};

		r = decode(json_object_array_get_idx(value, i), f->sub,
			   at(*elements, i * f->element_size), &element, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int decode_u64s(json_object *value, const struct json_field *f,
		       uint64_t *out, const struct where *where,
		       struct error *e)
{
	static const struct json_field any = {.kind = JSON_U64};
	size_t n;
	int r = 0;

	if (!json_object_is_type(value, json_type_array))
		return bad_value(value, where, "an array of whole numbers", e);
	n = json_object_array_length(value);
	if (n > f->max)
		return error_set(
			e, -EINVAL,
			"%s: %zu elements are too many; at most %" PRIu64,
			WHERE(where), n, f->max);
	memset(out, 0, f->max * sizeof(*out));
	for (size_t i = 0; i < n && r == 0; i++) {
		struct where element = {.in = where, .index = i};

		r = decode_unsigned(json_object_array_get_idx(value, i), &any,
				    UINT64_MAX, &out[i], &element, e);
	}
	return r;
}

static int decode_any(json_object *value, void *out)
{
	json_object **to = out;

	json_object_put(*to);
	*to = json_object_get(value);
	return 0;
}

static int decode_field(json_object *value, const struct json_field *f,
			void *structure, const struct where *where,
			struct error *e)
{
	void *out = at(structure, f->offset);
	uint64_t *number = out;

	switch (f->kind) {
	case JSON_STRING:
		return decode_string(value, f, out, where, e);
	case JSON_BOOL:
		return decode_bool(value, out, where, e);
	case JSON_U32:
		return decode_u32(value, f, out, where, e);
	case JSON_U32_AUTO:
		return decode_u32_auto(value, f, out, where, e);
	case JSON_U64:
		return decode_unsigned(value, f, UINT64_MAX, number, where, e);
	case JSON_I64:
		return decode_i64(value, f, out, where, e);
	case JSON_SIZE:
		return decode_size(value, f, out, where, e);
	case JSON_ENUM:
		return decode_enum(value, f, out, where, e);
	case JSON_OBJECT:
		return decode(value, f->sub, out, where, e);
	case JSON_ARRAY:
		return decode_array(value, f, structure, where, e);
	case JSON_ANY:
		return decode_any(value, out);
	case JSON_U64S:
		return decode_u64s(value, f, number, where, e);
	}
	return error_set_code(e, ERROR_INTERNAL, "%s: no such kind",
			      WHERE(where));
}

static int refuse_unknown(json_object *object, const struct json_field *fields,
			  const struct where *where, struct error *e)
{
	const char *names[64], *close, *path;
	char known[240];
	size_t n = 0;

	for (const struct json_field *f = fields; f->name; f++)
		if (n + 1 < ARRAY_SIZE(names))
			names[n++] = f->name;
	names[n] = NULL;
	json_object_object_foreach (object, key, value) {
		const struct json_field *f = fields;

		(void)value;
		while (f->name && !streq(f->name, key))
			f++;
		if (f->name)
			continue;
		close = parse_closest(key, names);
		path = WHERE(where);
		return error_set(e, -EINVAL, "%s%s%.60s: unknown field; %s%s%s",
				 path, *path ? "." : "", key,
				 close ? "did you mean \"" : "known are ",
				 close ? close
				       : join(names, known, sizeof(known)),
				 close ? "\"?" : "");
	}
	return 0;
}

static int decode(json_object *object, const struct json_field *fields,
		  void *out, const struct where *where, struct error *e)
{
	int r;

	if (!json_object_is_type(object, json_type_object)) {
		const char *path = WHERE(where);

		return error_set(e, -EINVAL, "%s: %s is not an object",
				 *path ? path : "the document",
				 describe(object, (char[96]){0}, 96));
	}
	r = refuse_unknown(object, fields, where, e);
	for (const struct json_field *f = fields; f->name && r == 0; f++) {
		struct where field = {.in = where, .name = f->name};
		json_object *value = NULL;

		json_object_object_get_ex(object, f->name, &value);
		if (value)
			r = decode_field(value, f, out, &field, e);
		else if (f->flags & JSON_REQUIRED)
			r = error_set(e, -EINVAL, "%s: is required",
				      WHERE(&field));
	}
	return r;
}

int json_decode(json_object *object, const struct json_field *fields, void *out,
		const char *path, struct error *e)
{
	return decode(object, fields, out, &(struct where){.name = path}, e);
}
