#include "lib/base/json.h"

static void *at(void *structure, size_t offset)
{
	return (char *)structure + offset;
}

static const void *at_const(const void *structure, size_t offset)
{
	return (const char *)structure + offset;
}

/* Up to the last that is not 0. */
static size_t u64s_length(const struct json_field *f, const uint64_t *numbers)
{
	size_t n = f->max;

	while (n > 0 && numbers[n - 1] == 0)
		n--;
	return n;
}

static bool is_empty(const struct json_field *f, const void *in)
{
	const void *value = at_const(in, f->offset);

	switch (f->kind) {
	case JSON_STRING: {
		const char *text = *(char *const *)value;

		return !text || !*text;
	}
	case JSON_BOOL:
		return !*(const bool *)value;
	case JSON_U32:
	case JSON_U32_AUTO:
		return *(const uint32_t *)value == 0;
	case JSON_U64:
	case JSON_I64:
	case JSON_SIZE:
		return *(const uint64_t *)value == 0;
	case JSON_ENUM:
		return *(const int *)value == 0;
	case JSON_ARRAY:
		return *(const size_t *)at_const(in, f->count_offset) == 0;
	case JSON_ANY:
		return !*(json_object *const *)value;
	case JSON_U64S:
		return u64s_length(f, value) == 0;
	case JSON_OBJECT:
		/* When nothing of it would be written. */
		for (const struct json_field *s = f->sub; s->name; s++)
			if (!(s->flags & JSON_OMIT_EMPTY) ||
			    !is_empty(s, value))
				return false;
		return true;
	}
	return false;
}

static json_object *encode_array(const struct json_field *f, const void *in)
{
	const void *elements = *(void *const *)at_const(in, f->offset);
	size_t n = *(const size_t *)at_const(in, f->count_offset);
	_cleanup_json_ json_object *array = json_object_new_array();

	for (size_t i = 0; array && i < n; i++) {
		json_object *element = json_encode(
			f->sub, at_const(elements, i * f->element_size));

		if (!element)
			return NULL;
		if (json_object_array_add(array, element) < 0) {
			json_object_put(element);
			return NULL;
		}
	}
	return TAKE_PTR(array);
}

static json_object *encode_u64s(const struct json_field *f,
				const uint64_t *numbers)
{
	_cleanup_json_ json_object *array = json_object_new_array();
	size_t n = u64s_length(f, numbers);

	for (size_t i = 0; array && i < n; i++) {
		json_object *element = json_object_new_uint64(numbers[i]);

		if (!element || json_object_array_add(array, element) < 0) {
			json_object_put(element);
			return NULL;
		}
	}
	return TAKE_PTR(array);
}

/* JSON null is NULL in json-c, so "out of memory" needs its own answer. */
static int encode_field(const struct json_field *f, const void *in,
			json_object **ret)
{
	const void *value = at_const(in, f->offset);
	const char *text;

	switch (f->kind) {
	case JSON_STRING:
		text = *(char *const *)value;
		*ret = text ? json_object_new_string(text) : NULL;
		return text && !*ret ? -ENOMEM : 0;
	case JSON_ANY:
		*ret = json_object_get(*(json_object *const *)value);
		return 0;
	case JSON_BOOL:
		*ret = json_object_new_boolean(*(const bool *)value);
		break;
	case JSON_U32:
		*ret = json_object_new_uint64(*(const uint32_t *)value);
		break;
	case JSON_U32_AUTO:
		*ret = *(const uint32_t *)value == UINT32_MAX
			       ? json_object_new_string("auto")
			       : json_object_new_uint64(
					 *(const uint32_t *)value);
		break;
	case JSON_U64:
	case JSON_SIZE:
		*ret = json_object_new_uint64(*(const uint64_t *)value);
		break;
	case JSON_I64:
		*ret = json_object_new_int64(*(const int64_t *)value);
		break;
	case JSON_ENUM:
		*ret = json_object_new_string(f->names[*(const int *)value]);
		break;
	case JSON_OBJECT:
		*ret = json_encode(f->sub, value);
		break;
	case JSON_ARRAY:
		*ret = encode_array(f, in);
		break;
	case JSON_U64S:
		*ret = encode_u64s(f, value);
		break;
	}
	return *ret ? 0 : -ENOMEM;
}

json_object *json_encode(const struct json_field *fields, const void *in)
{
	_cleanup_json_ json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	for (const struct json_field *f = fields; f->name; f++) {
		json_object *value = NULL;

		if ((f->flags & JSON_OMIT_EMPTY) && is_empty(f, in))
			continue;
		if (encode_field(f, in, &value) < 0)
			return NULL;
		if (json_object_object_add(object, f->name, value) < 0) {
			json_object_put(value);
			return NULL;
		}
	}
	return TAKE_PTR(object);
}

static void release_array(const struct json_field *f, void *structure)
{
	void **elements = at(structure, f->offset);
	size_t *count = at(structure, f->count_offset);

	for (size_t i = 0; i < *count; i++)
		json_release(f->sub, at(*elements, i * f->element_size));
	free(*elements);
	*elements = NULL;
	*count = 0;
}

void json_release(const struct json_field *fields, void *structure)
{
	for (const struct json_field *f = fields; f->name; f++) {
		void *value = at(structure, f->offset);

		switch (f->kind) {
		case JSON_STRING:
			free(*(char **)value);
			*(char **)value = NULL;
			break;
		case JSON_ANY:
			json_object_put(*(json_object **)value);
			*(json_object **)value = NULL;
			break;
		case JSON_OBJECT:
			json_release(f->sub, value);
			break;
		case JSON_ARRAY:
			release_array(f, structure);
			break;
		default:
			break;
		}
	}
}
