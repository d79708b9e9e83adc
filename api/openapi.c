#include "api/http_route.h"

#include <stdio.h>

static json_object *text(const char *s)
{
	return json_object_new_string(s);
}

/* A JSON_ANY of the table names the definition it stands for in `sub`. */
static json_object *field_schema(const struct json_field *field)
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

static bool in_path(const char *path, size_t size, const char *name)
{
	char wanted[68];

	snprintf(wanted, sizeof(wanted), "{%.64s}", name);
	return memmem(path, size, wanted, strlen(wanted)) != NULL;
}

static json_object *parameter(const struct json_field *f, const char *where)
{
	json_object *o = json_object_new_object();
	bool path = streq(where, "path");

	json_object_object_add(o, "name", text(f->name));
	json_object_object_add(o, "in", text(where));
	json_object_object_add(
		o, "required",
		json_object_new_boolean(path || (f->flags & JSON_REQUIRED)));
	if (f->doc)
		json_object_object_add(o, "description", text(f->doc));
	json_object_object_add(o, "schema", field_schema(f));
	return o;
}

/* { "application/json": { "schema": ... } } under "content"; consumes it. */
static json_object *content(json_object *schema)
{
	json_object *o = json_object_new_object();
	json_object *media = json_object_new_object();
	json_object *type = json_object_new_object();

	json_object_object_add(type, "schema", schema);
	json_object_object_add(media, "application/json", type);
	json_object_object_add(o, "content", media);
	return o;
}

static json_object *body_schema(const struct api_method *m, const char *path,
				size_t size, const char *body)
{
	json_object *schema = json_object_new_object();
	json_object *properties = json_object_new_object();
	json_object *required = json_object_new_array();

	for (const struct json_field *f = m->params; f->name; f++) {
		if (body && streq(f->name, body)) {
			json_object_put(schema);
			json_object_put(properties);
			json_object_put(required);
			return field_schema(f);
		}
		if (in_path(path, size, f->name))
			continue;
		json_object_object_add(properties, f->name, field_schema(f));
		if (f->flags & JSON_REQUIRED)
			json_object_array_add(required, text(f->name));
	}
	json_object_object_add(schema, "type", text("object"));
	json_object_object_add(schema, "properties", properties);
	if (json_object_array_length(required) > 0)
		json_object_object_add(schema, "required", required);
	else
		json_object_put(required);
	json_object_object_add(schema, "additionalProperties",
			       json_object_new_boolean(false));
	return schema;
}

static json_object *responses(const struct api_method *m, bool created)
{
	json_object *o = json_object_new_object();
	json_object *good = json_object_new_object();
	json_object *bad = json_object_new_object();

	json_object_object_add(good, "description", text(m->result));
	json_object_object_add(o, created ? "201" : "200", good);
	json_object_object_add(bad, "$ref",
			       text("#/components/responses/Error"));
	json_object_object_add(o, "default", bad);
	return o;
}

static json_object *operation(const struct api_method *m, enum http_verb verb,
			      const char *path, size_t size, const char *body)
{
	json_object *o = json_object_new_object();
	json_object *parameters = json_object_new_array();
	bool query = verb == HTTP_GET || verb == HTTP_DELETE;

	json_object_object_add(o, "operationId", text(m->name));
	json_object_object_add(o, "description", text(m->doc));
	json_object_object_add(o, "x-role", text(api_role_name(m->role)));
	for (const struct json_field *f = m->params; f->name; f++)
		if (in_path(path, size, f->name))
			json_object_array_add(parameters, parameter(f, "path"));
		else if (query)
			json_object_array_add(parameters,
					      parameter(f, "query"));
	json_object_object_add(o, "parameters", parameters);
	if (!query)
		json_object_object_add(
			o, "requestBody",
			content(body_schema(m, path, size, body)));
	json_object_object_add(o, "responses",
			       responses(m, verb == HTTP_POST && body != NULL));
	return o;
}

static void add_route(json_object *paths, const struct api_method *m)
{
	char name[128], verb_name[8] = "";
	const char *path, *body;
	size_t size;
	enum http_verb verb = http_route_read(m->route, &path, &size, &body);
	json_object *item = NULL;

	snprintf(name, sizeof(name), "%.*s", (int)size, path);
	for (size_t i = 0; http_verb_name(verb)[i]; i++)
		verb_name[i] = (char)(http_verb_name(verb)[i] | 0x20);
	if (!json_object_object_get_ex(paths, name, &item)) {
		item = json_object_new_object();
		json_object_object_add(paths, name, item);
	}
	json_object_object_add(item, verb_name,
			       operation(m, verb, path, size, body));
}

static json_object *string_schema(void)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "type", text("string"));
	return o;
}

/* { "error": { "code", "message" } } */
static json_object *components(void)
{
	json_object *o = json_object_new_object();
	json_object *all = json_object_new_object();
	json_object *response, *outer = json_object_new_object();
	json_object *error = json_object_new_object();
	json_object *inner = json_object_new_object();
	json_object *names = json_object_new_array();
	json_object *code = string_schema(), *fields = json_object_new_object();

	for (int i = 0; i < ERROR_CODE_COUNT; i++)
		json_object_array_add(
			names, text(error_code_name((enum error_code)i)));
	json_object_object_add(code, "enum", names);
	json_object_object_add(fields, "code", code);
	json_object_object_add(fields, "message", string_schema());
	json_object_object_add(inner, "type", text("object"));
	json_object_object_add(inner, "properties", fields);
	json_object_object_add(error, "error", inner);
	json_object_object_add(outer, "type", text("object"));
	json_object_object_add(outer, "properties", error);
	response = content(outer);
	json_object_object_add(response, "description",
			       text("What went wrong; the status follows from "
				    "the code."));
	json_object_object_add(all, "Error", response);
	json_object_object_add(o, "responses", all);
	return o;
}

json_object *api_openapi(void)
{
	json_object *doc = json_object_new_object();
	json_object *info = json_object_new_object();
	json_object *paths = json_object_new_object();

	json_object_object_add(doc, "openapi", text("3.0.3"));
	json_object_object_add(info, "title", text("armvmd"));
	json_object_object_add(info, "version", text(ARMVM_VERSION));
	json_object_object_add(doc, "info", info);
	for (int i = 0; i < API_METHOD_COUNT; i++)
		if (*api_methods[i].route)
			add_route(paths, &api_methods[i]);
	json_object_object_add(doc, "paths", paths);
	json_object_object_add(doc, "components", components());
	return doc;
}
