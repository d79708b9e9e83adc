#include "lib/base/json.h"

/* The first failure sticks, so a schema reads as a list of what it says. */
struct schema {
	json_object *object;
	bool failed;
};

static struct schema schema_new(void)
{
	struct schema s = {.object = json_object_new_object()};

	s.failed = !s.object;
	return s;
}

/* `value` reference consumed. */
static void put(struct schema *s, const char *key, json_object *value)
{
	if (s->failed || !value ||
	    json_object_object_add(s->object, key, value) < 0) {
		json_object_put(value);
		s->failed = true;
	}
}

static void put_text(struct schema *s, const char *key, const char *text)
{
	put(s, key, json_object_new_string(text));
}

static json_object *schema_done(struct schema *s)
{
	if (!s->failed)
		return s->object;
	json_object_put(s->object);
	return NULL;
}

/* Takes the reference to `value`, also when it cannot be added. */
static bool array_put(json_object *array, json_object *value)
{
	if (array && value && json_object_array_add(array, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static json_object *names_array(const char *const *names)
{
	_cleanup_json_ json_object *array = json_object_new_array();

	for (; *names; names++)
		if (!array_put(array, json_object_new_string(*names)))
			return NULL;
	return TAKE_PTR(array);
}

static json_object *required_array(const struct json_field *fields)
{
	_cleanup_json_ json_object *array = json_object_new_array();

	for (const struct json_field *f = fields; f->name; f++)
		if ((f->flags & JSON_REQUIRED) &&
		    !array_put(array, json_object_new_string(f->name)))
			return NULL;
	return TAKE_PTR(array);
}

static void put_bounds(struct schema *s, const struct json_field *f,
		       const char *min, const char *max)
{
	if (f->min)
		put(s, min, json_object_new_uint64(f->min));
	if (f->max)
		put(s, max, json_object_new_uint64(f->max));
}

static void put_unsigned(struct schema *s, const struct json_field *f)
{
	put_text(s, "type", "integer");
	if (!f->min)
		put(s, "minimum", json_object_new_int(0));
	put_bounds(s, f, "minimum", "maximum");
}

static void put_signed(struct schema *s, const struct json_field *f)
{
	put_text(s, "type", "integer");
	if (!f->min && !f->max)
		return;
	put(s, "minimum", json_object_new_int64((int64_t)f->min));
	put(s, "maximum", json_object_new_int64((int64_t)f->max));
}

/* Bounds hold for the number of bytes; a text is only described. */
static void put_size(struct schema *s, const struct json_field *f)
{
	const char *const types[] = {"integer", "string", NULL};

	put(s, "type", names_array(types));
	put_text(s, "pattern",
		 "^[0-9]+(\\.[0-9]{1,6})? ?([bB]|[kKmMgGtT]([iI][bB])?)?$");
	put_bounds(s, f, "minimum", "maximum");
}

/* Bounds hold for the number; the word is only described. */
static void put_u32_auto(struct schema *s, const struct json_field *f)
{
	const char *const types[] = {"integer", "string", NULL};

	put(s, "type", names_array(types));
	put_text(s, "pattern", "^auto$");
	put_bounds(s, f, "minimum", "maximum");
}

static json_object *unsigned_schema(void)
{
	static const struct json_field any = {.kind = JSON_U64};
	struct schema s = schema_new();

	put_unsigned(&s, &any);
	return schema_done(&s);
}

static json_object *field_schema(const struct json_field *f)
{
	struct schema s;

	s = f->kind == JSON_OBJECT
		    ? (struct schema){.object = json_schema(f->sub)}
		    : schema_new();
	s.failed = !s.object;
	if (f->doc)
		put_text(&s, "description", f->doc);
	switch (f->kind) {
	case JSON_STRING:
		put_text(&s, "type", "string");
		put_bounds(&s, f, "minLength", "maxLength");
		break;
	case JSON_BOOL:
		put_text(&s, "type", "boolean");
		break;
	case JSON_U32:
	case JSON_U64:
		put_unsigned(&s, f);
		break;
	case JSON_U32_AUTO:
		put_u32_auto(&s, f);
		break;
	case JSON_I64:
		put_signed(&s, f);
		break;
	case JSON_SIZE:
		put_size(&s, f);
		break;
	case JSON_ENUM:
		put(&s, "enum", names_array(f->names));
		break;
	case JSON_ARRAY:
		put_text(&s, "type", "array");
		put(&s, "items", json_schema(f->sub));
		put_bounds(&s, f, "minItems", "maxItems");
		break;
	case JSON_U64S:
		put_text(&s, "type", "array");
		put(&s, "items", unsigned_schema());
		put_bounds(&s, f, "minItems", "maxItems");
		break;
	case JSON_OBJECT:
	case JSON_ANY:
		break;
	}
	return schema_done(&s);
}

json_object *json_schema(const struct json_field *fields)
{
	struct schema s = schema_new(), properties = schema_new();
	json_object *required = required_array(fields);

	put_text(&s, "type", "object");
	for (const struct json_field *f = fields; f->name; f++)
		put(&properties, f->name, field_schema(f));
	put(&s, "properties", schema_done(&properties));
	if (required && json_object_array_length(required) == 0)
		json_object_put(required);
	else
		put(&s, "required", required);
	put(&s, "additionalProperties", json_object_new_boolean(false));
	return schema_done(&s);
}
