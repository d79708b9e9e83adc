#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#include "api/jsonrpc.h"

static json_object *parse(const char *text)
{
	struct error e = ERROR_INIT;
	json_object *o = NULL;

	if (json_parse(text, strlen(text), &o, &e) < 0)
		fail_msg("%s: %s", text, e.message);
	return o;
}

struct subtraction {
	int64_t minuend, subtrahend;
};

static const struct json_field subtract[] = {
	{.name = "minuend",
	 .kind = JSON_I64,
	 .offset = offsetof(struct subtraction, minuend),
	 .flags = JSON_REQUIRED},
	{.name = "subtrahend",
	 .kind = JSON_I64,
	 .offset = offsetof(struct subtraction, subtrahend),
	 .flags = JSON_REQUIRED},
	JSON_END,
};

/* The reply to a "subtract", as text; NULL for none. */
static char *answer(const char *text)
{
	_cleanup_json_ json_object *value = parse(text);
	_cleanup_json_ json_object *params = NULL;
	_cleanup_json_ json_object *reply = NULL;
	struct subtraction s = {0};
	struct jsonrpc_request q;
	struct error e = ERROR_INIT;

	if (jsonrpc_request_read(value, &q, &e) < 0 ||
	    jsonrpc_params(&q, subtract, &params, &e) < 0 ||
	    json_decode(params, subtract, &s, "", &e) < 0)
		reply = jsonrpc_error(q.id, &e);
	else
		reply = jsonrpc_result(
			q.id, json_object_new_int64(s.minuend - s.subtrahend));
	return q.notification && !e.err ? NULL : strdup(json_text(reply));
}

static void expect(const char *request, const char *reply)
{
	_cleanup_free_ char *got = answer(request);
	_cleanup_json_ json_object *want = parse(reply), *have = NULL;

	assert_non_null(got);
	have = parse(got);
	if (!json_object_equal(want, have))
		fail_msg("%s\n got %s\nwant %s", request, got, reply);
}

static void expect_code(const char *request, int code, const char *id)
{
	_cleanup_free_ char *got = answer(request);
	_cleanup_json_ json_object *have = NULL;
	json_object *error, *o;

	assert_non_null(got);
	have = parse(got);
	assert_true(json_object_object_get_ex(have, "error", &error));
	assert_true(json_object_object_get_ex(error, "code", &o));
	assert_int_equal(json_object_get_int(o), code);
	assert_true(json_object_object_get_ex(have, "id", &o));
	assert_string_equal(o ? json_object_get_string(o) : "null", id);
	assert_false(json_object_object_get_ex(have, "result", &o));
}

/* Those of the specification with parameters; test_jsonrpc_examples.c has all.
 */
static void test_examples_of_the_specification(void **state)
{
	expect("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", "
	       "\"params\": [42, 23], \"id\": 1}",
	       "{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": 1}");
	expect("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", "
	       "\"params\": [23, 42], \"id\": 2}",
	       "{\"jsonrpc\": \"2.0\", \"result\": -19, \"id\": 2}");
	expect("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": "
	       "{\"subtrahend\": 23, \"minuend\": 42}, \"id\": 3}",
	       "{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": 3}");
	expect("{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": "
	       "{\"minuend\": 42, \"subtrahend\": 23}, \"id\": 4}",
	       "{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": 4}");
	expect_code("{\"jsonrpc\": \"2.0\", \"method\": 1, \"params\": "
		    "\"bar\"}",
		    -32600, "null");
}

static void test_id_kinds(void **state)
{
	const char *ids[] = {"\"\"", "\"a\\u00e4\"",	    "0",
			     "-7",   "9223372036854775807", "1.5",
			     "null"};
	char request[200], reply[200];

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		snprintf(request, sizeof(request),
			 "{\"jsonrpc\":\"2.0\",\"method\":\"subtract\","
			 "\"params\":[3,1],\"id\":%s}",
			 ids[i]);
		snprintf(reply, sizeof(reply),
			 "{\"jsonrpc\":\"2.0\",\"result\":2,\"id\":%s}",
			 ids[i]);
		expect(request, reply);
	}
}

static void test_notification_has_no_id(void **state)
{
	char *got = answer("{\"jsonrpc\":\"2.0\",\"method\":\"subtract\","
			   "\"params\":[1,1]}");

	assert_null(got);
}

static void test_bad_requests(void **state)
{
	static const struct {
		const char *text, *id;
	} rows[] = {
		{"1", "null"},
		{"\"x\"", "null"},
		{"[]", "null"},
		{"{}", "null"},
		{"{\"foo\": \"boo\"}", "null"},
		{"{\"jsonrpc\":\"2.0\",\"id\":5}", "5"},
		{"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":null}", "5"},
		{"{\"jsonrpc\":\"1.0\",\"id\":5,\"method\":\"m\"}", "5"},
		{"{\"jsonrpc\":2.0,\"id\":5,\"method\":\"m\"}", "5"},
		{"{\"id\":5,\"method\":\"m\"}", "5"},
		{"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"m\"}", "null"},
		{"{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"m\"}", "null"},
		{"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"m\"}", "null"},
		{"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"m\",\"params\":3}",
		 "5"},
		{"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"m\",\"params\":"
		 "null}",
		 "5"},
		{"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"subtract\\u0000"
		 "x\"}",
		 "5"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_code(rows[i].text, -32600, rows[i].id);
}

static void test_bad_params(void **state)
{
	expect_code("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"m\","
		    "\"params\":[1,2,3]}",
		    -32602, "5");
	expect_code("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"m\","
		    "\"params\":[1]}",
		    -32602, "5");
	expect_code("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"m\","
		    "\"params\":{\"minuend\":1,\"subtrahend\":1,\"x\":1}}",
		    -32602, "5");
	expect_code("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"m\"}", -32602,
		    "5");
}

/* Every row of the error table survives the way over the wire. */
static void test_errors_round_trip(void **state)
{
	for (int i = 0; i < ERROR_CODE_COUNT; i++) {
		struct error before = ERROR_INIT, after = ERROR_INIT;
		json_object *reply, *error;

		error_set_code(&before, (enum error_code)i, "because \"%d\"",
			       i);
		reply = jsonrpc_error(NULL, &before);
		assert_true(json_object_object_get_ex(reply, "error", &error));
		assert_int_equal(jsonrpc_error_read(error, &after),
				 -before.err);
		assert_int_equal(after.code, i);
		assert_string_equal(after.message, before.message);
		json_object_put(reply);
	}
}

static void test_error_of_another_server(void **state)
{
	static const char *const texts[] = {
		"{\"code\":-32601,\"message\":\"nope\"}",
		"{\"code\":-32601}",
		"{}",
		"[]",
		"null",
		"{\"code\":\"x\",\"message\":{},\"data\":{\"code\":[]}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_json_ json_object *o = parse(texts[i]);
		struct error e = ERROR_INIT;

		assert_true(jsonrpc_error_read(o, &e) < 0);
		assert_true(e.message[0] != 0);
		assert_int_equal(e.code,
				 i < 2 ? ERROR_NO_METHOD : ERROR_INTERNAL);
	}
}

/* A message cut in the middle of a character must still be valid JSON. */
static void test_error_message_is_utf8(void **state)
{
	struct error e = ERROR_INIT;
	_cleanup_json_ json_object *reply = NULL, *again = NULL;

	error_set_code(&e, ERROR_INVALID, "cut: \xc3");
	reply = jsonrpc_error(NULL, &e);
	again = parse(json_text(reply));
	assert_non_null(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples_of_the_specification),
		cmocka_unit_test(test_id_kinds),
		cmocka_unit_test(test_notification_has_no_id),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_bad_params),
		cmocka_unit_test(test_errors_round_trip),
		cmocka_unit_test(test_error_of_another_server),
		cmocka_unit_test(test_error_message_is_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
