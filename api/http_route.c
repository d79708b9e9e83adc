#include "api/http_route.h"

#include <stdio.h>

static const char *const verbs[] = {
	[HTTP_GET] = "GET",	[HTTP_POST] = "POST",	  [HTTP_PUT] = "PUT",
	[HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OTHER] = "",
};

static const struct {
	const char *path;
	enum http_verb verb;
	enum http_target target;
} fixed[] = {
	{"/rpc", HTTP_POST, HTTP_TARGET_RPC},
	{"/healthz", HTTP_GET, HTTP_TARGET_HEALTH},
	{"/openapi.json", HTTP_GET, HTTP_TARGET_OPENAPI},
};

const char *http_verb_name(enum http_verb verb)
{
	return verbs[verb];
}

enum http_verb http_route_read(const char *route, const char **ret_path,
			       size_t *ret_size, const char **ret_body)
{
	size_t verb_size = strcspn(route, " ");
	const char *path = route + verb_size;
	enum http_verb verb = HTTP_GET;

	while (verb < HTTP_OTHER &&
	       (strlen(verbs[verb]) != verb_size ||
		strncmp(verbs[verb], route, verb_size) != 0))
		verb++;
	path += *path == ' ';
	*ret_path = path;
	*ret_size = strcspn(path, " ");
	*ret_body = path[*ret_size] ? path + *ret_size + 1 : NULL;
	return verb;
}

/* Match one segment, as far as '/' or the end, of the pattern. */
static bool match_segment(const char *pattern, size_t pattern_size,
			  const char *value, size_t value_size,
			  struct http_match *m)
{
	if (*pattern != '{')
		return pattern_size == value_size &&
		       strncmp(pattern, value, value_size) == 0;
	if (value_size == 0 || m->n_params == HTTP_PARAMS_MAX)
		return false;
	m->params[m->n_params].name = pattern + 1;
	m->params[m->n_params].name_size = pattern_size - 2;
	m->params[m->n_params].value = value;
	m->params[m->n_params++].value_size = value_size;
	return true;
}

static bool match_path(const char *pattern, size_t size, const char *path,
		       struct http_match *m)
{
	const char *end = pattern + size;

	m->n_params = 0;
	while (pattern < end && *path == '/') {
		size_t left = (size_t)(end - ++pattern);
		size_t have = strcspn(++path, "/");
		const char *slash = memchr(pattern, '/', left);
		size_t want = slash ? (size_t)(slash - pattern) : left;

		if (!match_segment(pattern, want, path, have, m))
			return false;
		pattern += want;
		path += have;
	}
	return pattern == end && *path == '\0';
}

/* The path is right; whether the verb is, too, else note what would be. */
static bool take_verb(enum http_verb have, enum http_verb verb, char *allow,
		      size_t size)
{
	size_t at = strlen(allow);

	if (have != verb)
		snprintf(allow + at, size - at, "%s%s", at ? ", " : "",
			 verbs[have]);
	return have == verb;
}

static bool match_fixed(enum http_verb verb, const char *path,
			struct http_match *m, char *allow, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (streq(path, fixed[i].path) &&
		    take_verb(fixed[i].verb, verb, allow, size)) {
			m->target = fixed[i].target;
			return true;
		}
	return false;
}

int http_route_match(enum http_verb verb, const char *path,
		     struct http_match *ret, char *ret_allow, size_t size,
		     struct error *e)
{
	const char *pattern, *body;
	size_t pattern_size;

	*ret = (struct http_match){.method = API_METHOD_COUNT};
	*ret_allow = '\0';
	if (match_fixed(verb, path, ret, ret_allow, size))
		return 0;
	for (int i = 0; i < API_METHOD_COUNT; i++) {
		enum http_verb have = http_route_read(
			api_methods[i].route, &pattern, &pattern_size, &body);

		if (pattern_size > 0 &&
		    match_path(pattern, pattern_size, path, ret) &&
		    take_verb(have, verb, ret_allow, size)) {
			ret->method = (enum api_method_id)i;
			ret->body = body;
			return 0;
		}
	}
	if (*ret_allow)
		return error_set_code(e, ERROR_NO_METHOD, "%s allows %s", path,
				      ret_allow);
	return error_set(e, -ENOENT,
			 "there is nothing at %s; see /openapi.json", path);
}

static const struct json_field *field_find(const struct http_match *match,
					   const char *name)
{
	const struct json_field *f = api_methods[match->method].params;

	while (f->name && !streq(f->name, name))
		f++;
	return f->name ? f : NULL;
}

bool http_route_takes(const struct http_match *match, const char *param)
{
	return match->target == HTTP_TARGET_METHOD &&
	       field_find(match, param) != NULL;
}

/* A text of the path or the query as the field wants it; what is none of its
 * kind stays a text, which the field table then refuses. */
static json_object *value_of(const struct json_field *f, const char *text)
{
	json_object *parsed = NULL;
	int64_t number;

	switch (f ? f->kind : JSON_STRING) {
	case JSON_BOOL:
		if (streq(text, "true") || streq(text, "false"))
			return json_object_new_boolean(*text == 't');
		break;
	case JSON_U32:
	case JSON_U32_AUTO:
	case JSON_U64:
	case JSON_I64:
	case JSON_SIZE: {
		char *end;

		errno = 0;
		number = strtoll(text, &end, 10);
		if (*text && !*end && errno == 0)
			return json_object_new_int64(number);
		break;
	}
	case JSON_ANY:
		if (json_parse(text, strlen(text), &parsed, NULL) == 0)
			return parsed;
		break;
	default:
		break;
	}
	return json_object_new_string(text);
}

/* `value` is consumed. */
static int add_param(json_object *params, const char *name, json_object *value,
		     struct error *e)
{
	if (json_object_object_get_ex(params, name, NULL)) {
		json_object_put(value);
		return error_set(e, -EINVAL, "\"%.64s\" is given twice", name);
	}
	json_object_object_add(params, name, value);
	return 0;
}

static int add_path(const struct http_match *match, json_object *params,
		    struct error *e)
{
	char name[64], value[256];
	int r = 0;

	for (size_t i = 0; i < match->n_params && r == 0; i++) {
		if (match->params[i].value_size >= sizeof(value))
			return error_set(e, -EINVAL,
					 "a part of the path is longer than "
					 "%zu bytes",
					 sizeof(value) - 1);
		snprintf(name, sizeof(name), "%.*s",
			 (int)match->params[i].name_size,
			 match->params[i].name);
		snprintf(value, sizeof(value), "%.*s",
			 (int)match->params[i].value_size,
			 match->params[i].value);
		r = add_param(params, name,
			      value_of(field_find(match, name), value), e);
	}
	return r;
}

static int add_query(const struct http_match *match, json_object *query,
		     json_object *params, struct error *e)
{
	int r = 0;

	json_object_object_foreach (query, name, value) {
		const char *text = json_object_get_string(value);

		if (r == 0)
			r = add_param(params, name,
				      value_of(field_find(match, name), text),
				      e);
	}
	return r;
}

static int add_body(const struct http_match *match, json_object *body,
		    json_object *params, struct error *e)
{
	int r = 0;

	if (match->body)
		return add_param(params, match->body, json_object_get(body), e);
	if (!json_object_is_type(body, json_type_object))
		return error_set(e, -EINVAL,
				 "the body must be an object of parameters");
	json_object_object_foreach (body, name, value) {
		if (r == 0)
			r = add_param(params, name, json_object_get(value), e);
	}
	return r;
}

int http_route_params(const struct http_match *match, json_object *query,
		      json_object *body, json_object **ret, struct error *e)
{
	_cleanup_json_ json_object *params = json_object_new_object();
	int r;

	if (!params)
		return error_set(e, -ENOMEM, "out of memory");
	r = add_path(match, params, e);
	if (r == 0 && query)
		r = add_query(match, query, params, e);
	if (r == 0 && body)
		r = add_body(match, body, params, e);
	if (r == 0)
		*ret = TAKE_PTR(params);
	return r;
}
