/*
 * The examples of the JSON-RPC 2.0 specification, section 7, word for word,
 * over a socket: a server with the specification's methods in place of our own.
 * A line ends a message here, so what the specification prints on several lines
 * stands on one.
 */
#include "tests/unit/api_fixture.h"

struct numbers {
	int64_t a, b, c, d, e;
};

#define NUMBER(text, member)                                                  \
	{                                                                     \
		.name = text, .kind = JSON_I64,                               \
		.offset = offsetof(struct numbers, member), .min = INT64_MIN, \
		.max = INT64_MAX,                                             \
	}

static const struct json_field subtract_params[] = {
	NUMBER("minuend", a), NUMBER("subtrahend", b), JSON_END};
static const struct json_field number_params[] = {
	NUMBER("a", a), NUMBER("b", b), NUMBER("c", c),
	NUMBER("d", d), NUMBER("e", e), JSON_END};
static const struct json_field no_params[] = {JSON_END};

/* In place of api/methods.c: whatever number a method has. */
enum { SUBTRACT, SUM, UPDATE, NOTIFY_HELLO, NOTIFY_SUM, GET_DATA, METHODS };

#define METHOD(id, text, fields)                       \
	[id] = {                                       \
		.name = text,                          \
		.params = fields,                      \
		.params_size = sizeof(struct numbers), \
		.result = "",                          \
		.doc = "",                             \
		.role = API_ROLE_VIEWER,               \
		.route = "",                           \
	}

const struct api_method api_methods[API_METHOD_COUNT] = {
	METHOD(SUBTRACT, "subtract", subtract_params),
	METHOD(SUM, "sum", number_params),
	METHOD(UPDATE, "update", number_params),
	METHOD(NOTIFY_HELLO, "notify_hello", number_params),
	METHOD(NOTIFY_SUM, "notify_sum", number_params),
	METHOD(GET_DATA, "get_data", no_params),
};
const struct json_field api_option_fields[] = {JSON_END};
const char *const api_fallback_names[] = {NULL};

enum api_method_id api_method_by_name(const char *name, struct error *e)
{
	for (int i = 0; i < METHODS; i++)
		if (streq(api_methods[i].name, name))
			return (enum api_method_id)i;
	error_set_code(e, ERROR_NO_METHOD, "no method named \"%s\"", name);
	return API_METHOD_COUNT;
}

const char *api_role_name(enum api_role role)
{
	return "";
}

int api_identity_check(const struct api_identity *who, enum api_role need,
		       struct error *e)
{
	return 0;
}

static unsigned notified;

static void on_subtract(void *cookie, struct api_call *c)
{
	const struct numbers *n = api_call_params(c);

	api_call_reply(c, json_object_new_int64(n->a - n->b), -1);
}

static void on_sum(void *cookie, struct api_call *c)
{
	const struct numbers *n = api_call_params(c);

	api_call_reply(
		c, json_object_new_int64(n->a + n->b + n->c + n->d + n->e), -1);
}

static void on_notify(void *cookie, struct api_call *c)
{
	notified++;
	api_call_reply(c, NULL, -1);
}

static void on_get_data(void *cookie, struct api_call *c)
{
	json_object *data = json_object_new_array();

	json_object_array_add(data, json_object_new_string("hello"));
	json_object_array_add(data, json_object_new_int(5));
	api_call_reply(c, data, -1);
}

static const struct api_handlers example_handlers = {
	.handle = {[SUBTRACT] = on_subtract,
		   [SUM] = on_sum,
		   [UPDATE] = on_notify,
		   [NOTIFY_HELLO] = on_notify,
		   [NOTIFY_SUM] = on_notify,
		   [GET_DATA] = on_get_data},
};

/* What we say besides is in "data", which the specification leaves to us. */
static void drop_data(json_object *reply)
{
	json_object *error = NULL;

	json_object_object_get_ex(reply, "error", &error);
	if (error)
		json_object_object_del(error, "data");
}

static void expect(struct raw *r, const char *want_text)
{
	_cleanup_json_ json_object *want = parse_json(want_text);
	_cleanup_json_ json_object *have = raw_line(r);

	if (json_object_is_type(have, json_type_array))
		for (size_t i = 0; i < json_object_array_length(have); i++)
			drop_data(json_object_array_get_idx(have, i));
	else
		drop_data(have);
	if (!json_object_equal(want, have))
		fail_msg("got %s\nwant %s", have ? json_text(have) : "nothing",
			 want_text);
}

/* What the specification prints behind "-->" and "<--"; NULL: nothing comes. */
static const struct {
	const char *sent, *received;
} examples[] = {
	/* rpc call with positional parameters */
	{"{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [42, "
	 "23], \"id\": 1}",
	 "{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": 1}"},
	{"{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": [23, "
	 "42], \"id\": 2}",
	 "{\"jsonrpc\": \"2.0\", \"result\": -19, \"id\": 2}"},
	/* rpc call with named parameters */
	{"{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": "
	 "{\"subtrahend\": 23, \"minuend\": 42}, \"id\": 3}",
	 "{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": 3}"},
	{"{\"jsonrpc\": \"2.0\", \"method\": \"subtract\", \"params\": "
	 "{\"minuend\": 42, \"subtrahend\": 23}, \"id\": 4}",
	 "{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": 4}"},
	/* a Notification */
	{"{\"jsonrpc\": \"2.0\", \"method\": \"update\", \"params\": "
	 "[1,2,3,4,5]}",
	 NULL},
	{"{\"jsonrpc\": \"2.0\", \"method\": \"foobar\"}", NULL},
	/* rpc call of non-existent method */
	{"{\"jsonrpc\": \"2.0\", \"method\": \"foobar\", \"id\": \"1\"}",
	 "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32601, \"message\": "
	 "\"Method not found\"}, \"id\": \"1\"}"},
	/* rpc call with invalid JSON */
	{"{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", "
	 "\"baz]",
	 "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32700, \"message\": "
	 "\"Parse error\"}, \"id\": null}"},
	/* rpc call with invalid Request object */
	{"{\"jsonrpc\": \"2.0\", \"method\": 1, \"params\": \"bar\"}",
	 "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32600, \"message\": "
	 "\"Invalid Request\"}, \"id\": null}"},
	/* rpc call Batch, invalid JSON */
	{"[ {\"jsonrpc\": \"2.0\", \"method\": \"sum\", \"params\": [1,2,4], "
	 "\"id\": \"1\"}, {\"jsonrpc\": \"2.0\", \"method\" ]",
	 "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32700, \"message\": "
	 "\"Parse error\"}, \"id\": null}"},
	/* rpc call with an empty Array */
	{"[]", "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32600, "
	       "\"message\": \"Invalid Request\"}, \"id\": null}"},
	/* rpc call with an invalid Batch (but not empty) */
	{"[1]", "[ {\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32600, "
		"\"message\": \"Invalid Request\"}, \"id\": null} ]"},
	/* rpc call with invalid Batch */
	{"[1,2,3]", "[ {\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32600, "
		    "\"message\": \"Invalid Request\"}, \"id\": null}, "
		    "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32600, "
		    "\"message\": \"Invalid Request\"}, \"id\": null}, "
		    "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32600, "
		    "\"message\": \"Invalid Request\"}, \"id\": null} ]"},
	/* rpc call Batch */
	{"[ {\"jsonrpc\": \"2.0\", \"method\": \"sum\", \"params\": [1,2,4], "
	 "\"id\": \"1\"}, {\"jsonrpc\": \"2.0\", \"method\": "
	 "\"notify_hello\", \"params\": [7]}, {\"jsonrpc\": \"2.0\", "
	 "\"method\": \"subtract\", \"params\": [42,23], \"id\": \"2\"}, "
	 "{\"foo\": \"boo\"}, {\"jsonrpc\": \"2.0\", \"method\": "
	 "\"foo.get\", \"params\": {\"name\": \"myself\"}, \"id\": \"5\"}, "
	 "{\"jsonrpc\": \"2.0\", \"method\": \"get_data\", \"id\": \"9\"} ]",
	 "[ {\"jsonrpc\": \"2.0\", \"result\": 7, \"id\": \"1\"}, "
	 "{\"jsonrpc\": \"2.0\", \"result\": 19, \"id\": \"2\"}, "
	 "{\"jsonrpc\": \"2.0\", \"error\": {\"code\": -32600, \"message\": "
	 "\"Invalid Request\"}, \"id\": null}, {\"jsonrpc\": \"2.0\", "
	 "\"error\": {\"code\": -32601, \"message\": \"Method not found\"}, "
	 "\"id\": \"5\"}, {\"jsonrpc\": \"2.0\", \"result\": [\"hello\", 5], "
	 "\"id\": \"9\"} ]"},
	/* rpc call Batch (all notifications) */
	{"[ {\"jsonrpc\": \"2.0\", \"method\": \"notify_sum\", \"params\": "
	 "[1,2,4]}, {\"jsonrpc\": \"2.0\", \"method\": \"notify_hello\", "
	 "\"params\": [7]} ]",
	 NULL},
};

static void test_examples(void **state)
{
	struct fixture f;
	struct raw r;

	fixture_start_with(&f, &example_handlers);
	raw_connect(&f, &r);
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		raw_say(&r, examples[i].sent);
		if (examples[i].received)
			expect(&r, examples[i].received);
		else
			raw_expect_silence(&r);
	}
	/* Those that were notified of it: update, and three in batches. */
	assert_int_equal(notified, 4);
	raw_close(&r);
	fixture_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
