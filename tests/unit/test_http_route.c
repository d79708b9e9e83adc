#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/http_route.h"

static enum api_method_id match(enum http_verb verb, const char *path,
				struct http_match *m)
{
	struct error e = ERROR_INIT;
	char allow[64];

	return http_route_match(verb, path, m, allow, sizeof(allow), &e) == 0
		       ? m->method
		       : API_METHOD_COUNT;
}

/* Every route leads to its own method, with its own parameters. */
static void every_route(void **state)
{
	const char *path, *body;
	struct http_match m;
	char text[128];
	size_t size;

	for (int i = 0; i < API_METHOD_COUNT; i++) {
		const char *route = api_methods[i].route;
		enum http_verb verb;

		if (!*route)
			continue;
		verb = http_route_read(route, &path, &size, &body);
		assert_true(verb < HTTP_OTHER);
		assert_true(size > 0 && size < sizeof(text));
		memcpy(text, path, size);
		text[size] = '\0';
		assert_int_equal(match(verb, text, &m), i);
		for (size_t p = 0; p < m.n_params; p++) {
			char name[32];

			assert_true(m.params[p].name_size < sizeof(name));
			memcpy(name, m.params[p].name, m.params[p].name_size);
			name[m.params[p].name_size] = '\0';
			assert_true(http_route_takes(&m, name));
		}
		assert_true(!m.body || http_route_takes(&m, m.body));
	}
}

static void paths(void **state)
{
	struct http_match m;

	assert_int_equal(match(HTTP_GET, "/v1/vms", &m), API_VM_LIST);
	assert_int_equal(match(HTTP_POST, "/v1/vms", &m), API_VM_DEFINE);
	assert_string_equal(m.body, "config");
	assert_int_equal(match(HTTP_GET, "/v1/vms/web", &m), API_VM_GET);
	assert_int_equal(m.n_params, 1);
	assert_memory_equal(m.params[0].value, "web", 3);
	assert_int_equal(m.params[0].value_size, 3);
	assert_int_equal(match(HTTP_POST, "/v1/vms/web/start", &m),
			 API_VM_START);
	assert_int_equal(match(HTTP_GET, "/v1/vms/", &m), API_METHOD_COUNT);
	assert_int_equal(match(HTTP_GET, "/v1//vms", &m), API_METHOD_COUNT);
	assert_int_equal(match(HTTP_GET, "/v1/vms/a/b/c", &m),
			 API_METHOD_COUNT);
	assert_int_equal(match(HTTP_GET, "", &m), API_METHOD_COUNT);
	assert_int_equal(match(HTTP_OTHER, "/v1/vms", &m), API_METHOD_COUNT);
}

static void allow(void **state)
{
	struct error e = ERROR_INIT;
	struct http_match m;
	char text[64];

	assert_int_equal(http_route_match(HTTP_DELETE, "/rpc", &m, text,
					  sizeof(text), &e),
			 -ENOSYS);
	assert_string_equal(text, "POST");
	assert_int_equal(
		http_route_match(HTTP_GET, "/x", &m, text, sizeof(text), &e),
		-ENOENT);
	assert_string_equal(text, "");
	/* No room for all is no harm. */
	assert_int_equal(
		http_route_match(HTTP_OTHER, "/v1/vms", &m, text, 6, &e),
		-ENOSYS);
	assert_true(strlen(text) < 6);
}

static json_object *parsed(const char *text)
{
	struct error e = ERROR_INIT;
	json_object *o = NULL;

	assert_int_equal(json_parse(text, strlen(text), &o, &e), 0);
	return o;
}

/* What path, query and body give, or the error's words. */
static void params(enum http_verb verb, const char *path, const char *query,
		   const char *body, const char *want)
{
	_cleanup_json_ json_object *q = query ? parsed(query) : NULL;
	_cleanup_json_ json_object *b = body ? parsed(body) : NULL;
	_cleanup_json_ json_object *have = NULL;
	struct error e = ERROR_INIT;
	struct http_match m;

	assert_int_not_equal(match(verb, path, &m), API_METHOD_COUNT);
	if (http_route_params(&m, q, b, &have, &e) == 0) {
		_cleanup_json_ json_object *wanted = parsed(want);

		if (!json_object_equal(have, wanted))
			fail_msg("%s, not %s", json_text(have), want);
	} else if (!strstr(e.message, want)) {
		fail_msg("%s: not %s", e.message, want);
	}
}

static void parameters(void **state)
{
	params(HTTP_GET, "/v1/vms/web", NULL, NULL, "{\"name\":\"web\"}");
	params(HTTP_POST, "/v1/vms/web/shutdown", NULL, "{\"timeout_ms\":5}",
	       "{\"name\":\"web\",\"timeout_ms\":5}");
	params(HTTP_POST, "/v1/vms/web/shutdown", "{\"timeout_ms\":\"5\"}",
	       NULL, "{\"name\":\"web\",\"timeout_ms\":5}");
	params(HTTP_POST, "/v1/vms/web/shutdown", "{\"timeout_ms\":\"5x\"}",
	       NULL, "{\"name\":\"web\",\"timeout_ms\":\"5x\"}");
	params(HTTP_POST, "/v1/vms", NULL, "{\"name\":\"a\"}",
	       "{\"config\":{\"name\":\"a\"}}");
	params(HTTP_POST, "/v1/vms/web/stop", NULL, "{\"name\":\"other\"}",
	       "\"name\" is given twice");
	params(HTTP_POST, "/v1/vms/web/stop", "{\"name\":\"other\"}", NULL,
	       "\"name\" is given twice");
	params(HTTP_POST, "/v1/vms/web/stop", NULL, "[1]", "must be an object");
}

static void too_long(void **state)
{
	char path[400] = "/v1/vms/";

	memset(path + strlen(path), 'x', 300);
	params(HTTP_GET, path, NULL, NULL, "longer than");
}

static void documents(void **state)
{
	_cleanup_json_ json_object *doc = api_openapi();
	json_object *paths_object = NULL, *item = NULL, *op = NULL;

	assert_true(json_object_object_get_ex(doc, "paths", &paths_object));
	assert_true(json_object_object_get_ex(paths_object, "/v1/vms/{name}",
					      &item));
	assert_true(json_object_object_get_ex(item, "get", &op));
	assert_true(json_object_object_get_ex(item, "delete", &op));
	assert_non_null(json_text(doc));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route), cmocka_unit_test(paths),
		cmocka_unit_test(allow),       cmocka_unit_test(parameters),
		cmocka_unit_test(too_long),    cmocka_unit_test(documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
