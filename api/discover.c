#include "api/api.h"

static json_object *text(const char *s)
{
	return json_object_new_string(s);
}

/* What stands under "errors", and in each method by reference. */
static json_object *error_list(void)
{
	json_object *list = json_object_new_array();

	for (int i = 0; i < ERROR_CODE_COUNT; i++) {
		enum error_code code = (enum error_code)i;
		json_object *o = json_object_new_object();

		json_object_object_add(
			o, "code", json_object_new_int(error_code_rpc(code)));
		json_object_object_add(o, "message",
				       text(error_code_name(code)));
		json_object_array_add(list, o);
	}
	return list;
}

/* A JSON_ANY of the table names the definition it stands for in `sub`. */
static json_object *param_schema(const struct json_field *field)
{
	const struct json_field alone[] = {*field, JSON_END};
	json_object *object, *properties = NULL, *schema = NULL;

	if (field->kind == JSON_ANY && field->sub)
		return json_schema(field->sub);
	object = json_schema(alone);
	json_object_object_get_ex(object, "properties", &properties);
	json_object_object_get_ex(properties, field->name, &schema);
	schema = json_object_get(schema);
	json_object_put(object);
	return schema;
}

static json_object *param_list(const struct json_field *fields)
{
	json_object *list = json_object_new_array();

	for (const struct json_field *f = fields; f->name; f++) {
		json_object *o = json_object_new_object();

		json_object_object_add(o, "name", text(f->name));
		if (f->doc)
			json_object_object_add(o, "description", text(f->doc));
		json_object_object_add(
			o, "required",
			json_object_new_boolean(f->flags & JSON_REQUIRED));
		json_object_object_add(o, "schema", param_schema(f));
		json_object_array_add(list, o);
	}
	return list;
}

static json_object *method_object(const struct api_method *m)
{
	json_object *o = json_object_new_object();
	json_object *result = json_object_new_object();

	json_object_object_add(o, "name", text(m->name));
	json_object_object_add(o, "description", text(m->doc));
	json_object_object_add(o, "paramStructure", text("either"));
	json_object_object_add(o, "params", param_list(m->params));
	json_object_object_add(result, "name", text("result"));
	json_object_object_add(result, "description", text(m->result));
	json_object_object_add(result, "schema", json_object_new_object());
	json_object_object_add(o, "result", result);
	json_object_object_add(o, "errors", error_list());
	return o;
}

/* https://spec.open-rpc.org/, version 1.2.6. */
json_object *api_discover(void)
{
	json_object *doc = json_object_new_object();
	json_object *info = json_object_new_object();
	json_object *methods = json_object_new_array();

	json_object_object_add(doc, "openrpc", text("1.2.6"));
	json_object_object_add(info, "title", text("armvmd"));
	json_object_object_add(info, "version", text(ARMVM_VERSION));
	json_object_object_add(doc, "info", info);
	for (int i = 0; i < API_METHOD_COUNT; i++)
		json_object_array_add(methods, method_object(&api_methods[i]));
	json_object_object_add(doc, "methods", methods);
	return doc;
}
