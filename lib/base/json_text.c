#include <limits.h>
#include <math.h>

#include "lib/base/json.h"

/*
 * json-c also reads NaN and Infinity, which no other JSON reader would take
 * from us again. Recursion is bounded by JSON_DEPTH_MAX.
 */
static bool all_finite(json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_double:
		return isfinite(json_object_get_double(value));
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(value); i++)
			if (!all_finite(json_object_array_get_idx(value, i)))
				return false;
		return true;
	case json_type_object: {
		json_object_object_foreach (value, key, member) {
			(void)key;
			if (!all_finite(member))
				return false;
		}
		return true;
	}
	default:
		return true;
	}
}

/* Feed the whole text to the tokener; 0 or -EILSEQ. */
static int parse_text(struct json_tokener *tok, const char *text, int size,
		      json_object **ret, struct error *e)
{
	enum json_tokener_error why;
	size_t end;

	*ret = json_tokener_parse_ex(tok, text, size);
	why = json_tokener_get_error(tok);
	end = json_tokener_get_parse_end(tok);
	if (why == json_tokener_continue) {
		/* A bare number may go on; the NUL says it does not. */
		*ret = json_tokener_parse_ex(tok, "", 1);
		why = json_tokener_get_error(tok);
	}
	if (why == json_tokener_success)
		return 0;
	return error_set(e, -EILSEQ, "not JSON at byte %zu: %s", end,
			 json_tokener_error_desc(why));
}

int json_parse(const char *text, size_t size, json_object **ret,
	       struct error *e)
{
	_cleanup_json_ json_object *object = NULL;
	struct json_tokener *tok;
	const char *nul;
	int r = 0;

	if (size > INT_MAX)
		return error_set(e, -EILSEQ, "a text of %zu bytes is too long",
				 size);
	nul = size ? memchr(text, '\0', size) : NULL;
	if (nul)
		return error_set(e, -EILSEQ, "not JSON at byte %zu: a NUL",
				 (size_t)(nul - text));
	tok = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (!tok)
		return error_set(e, -ENOMEM, "out of memory");
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
					    JSON_TOKENER_VALIDATE_UTF8);
	r = parse_text(tok, text, (int)size, &object, e);
	json_tokener_free(tok);
	if (r == 0 && !all_finite(object))
		r = error_set(e, -EILSEQ, "not JSON: a number is not finite");
	if (r == 0)
		*ret = TAKE_PTR(object);
	return r;
}

const char *json_text(json_object *object)
{
	return json_object_to_json_string_ext(
		object,
		JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}
