#include <poll.h>

#include "tests/unit/api_fixture.h"

#define GET(id, name)                                            \
	"{\"jsonrpc\":\"2.0\",\"method\":\"vm.get\",\"params\":" \
	"{\"name\":\"" name "\"},\"id\":" id "}"
#define GOT(id, name) \
	"{\"jsonrpc\":\"2.0\",\"result\":{\"name\":\"" name "\"},\"id\":" id "}"
#define CALL(id, method)                                            \
	"{\"jsonrpc\":\"2.0\",\"method\":\"" method "\",\"id\":" id \
	",\"params\":[\"web\"]}"

static void expect_batch_errors(struct raw *r, size_t count)
{
	_cleanup_json_ json_object *have = raw_line(r);

	assert_true(json_object_is_type(have, json_type_array));
	assert_int_equal(json_object_array_length(have), count);
	for (size_t i = 0; i < count; i++)
		check_error(json_object_array_get_idx(have, i), -32600, "null");
}

static void test_batches(void **state)
{
	struct fixture f;
	struct raw r;
	json_object *have;

	fixture_start(&f);
	raw_connect(&f, &r);
	raw_say(&r, "[1]");
	expect_batch_errors(&r, 1);
	raw_say(&r, "[1,2,3]");
	expect_batch_errors(&r, 3);
	raw_say(&r, "[" GET("\"1\"", "web") ","
					    "{\"jsonrpc\":\"2.0\",\"method\":"
					    "\"vm.get\",\"params\":"
					    "[\"quiet\"]},{\"foo\":\"boo\"},"
					    "{\"jsonrpc\":\"2.0\",\"method\":"
					    "\"foo.get\",\"id\":\"5\"}," GET(
						    "9", "missing") "]");
	have = raw_line(&r);
	assert_int_equal(json_object_array_length(have), 4);
	check_error(json_object_array_get_idx(have, 1), -32600, "null");
	check_error(json_object_array_get_idx(have, 2), -32601, "5");
	check_error(json_object_array_get_idx(have, 3), -32001, "9");
	json_object_put(have);
	raw_say(&r, "[{\"jsonrpc\":\"2.0\",\"method\":\"vm.get\",\"params\":"
		    "[\"a\"]},{\"jsonrpc\":\"2.0\",\"method\":\"no\"}]");
	raw_expect_silence(&r);
	raw_close(&r);
	fixture_stop(&f);
}

static void test_batch_waits_for_its_slowest_call(void **state)
{
	struct fixture f;
	struct raw r;

	fixture_start(&f);
	raw_connect(&f, &r);
	raw_say(&r, "[" CALL("1", "vm.start") "," GET("2", "web") "]");
	raw_say(&r, GET("3", "db"));
	raw_expect(&r, GOT("3", "db"));
	raw_expect_silence(&r);
	assert_int_equal(f.n_held, 1);
	api_call_reply(f.held[0], NULL, -1);
	raw_expect(&r, "[" GOT("2", "web") ",{\"jsonrpc\":\"2.0\",\"result\":"
					   "null,\"id\":1}]");
	raw_close(&r);
	fixture_stop(&f);
}

static void test_replies_come_as_they_are_ready(void **state)
{
	struct fixture f;
	struct raw r;

	fixture_start(&f);
	raw_connect(&f, &r);
	raw_say(&r,
		CALL("1", "vm.start") "\n" GET("2", "a") "\n" GET("3", "b"));
	raw_expect(&r, GOT("2", "a"));
	raw_expect(&r, GOT("3", "b"));
	api_call_reply(f.held[0], json_object_new_boolean(true), -1);
	raw_expect(&r, "{\"jsonrpc\":\"2.0\",\"result\":true,\"id\":1}");
	raw_close(&r);
	fixture_stop(&f);
}

static void test_bad_params_and_missing_handlers(void **state)
{
	struct fixture f;
	struct raw r;

	fixture_start(&f);
	raw_connect(&f, &r);
	raw_say(&r, "{\"jsonrpc\":\"2.0\",\"method\":\"vm.get\",\"id\":1}");
	raw_expect_error(&r, -32602, "1");
	raw_say(&r, "{\"jsonrpc\":\"2.0\",\"method\":\"vm.get\",\"id\":2,"
		    "\"params\":{\"name\":\"web\",\"nmae\":1}}");
	raw_expect_error(&r, -32602, "2");
	raw_say(&r, "{\"jsonrpc\":\"2.0\",\"method\":\"host.info\",\"id\":3}");
	raw_expect_error(&r, -32008, "3");
	raw_close(&r);
	fixture_stop(&f);
}

#define BYTES(text) text "\n", sizeof(text)

static void test_garbage_gets_parse_errors(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} rows[] = {
		{BYTES("\xff\xfe")},
		{BYTES("{\"a\":\"\xc3\x28\"}")},
		{BYTES("{\"a\":\0}")},
		{BYTES("nul")},
		{BYTES("{} {}")},
		{BYTES("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[")},
		{BYTES("\r")},
	};
	struct fixture f;
	struct raw r;

	fixture_start(&f);
	raw_connect(&f, &r);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		raw_send(&r, rows[i].bytes, rows[i].size);
		raw_expect_error(&r, -32700, "null");
	}
	raw_say(&r, "");
	raw_expect_silence(&r);
	raw_say(&r, GET("1", "web"));
	raw_expect(&r, GOT("1", "web"));
	raw_close(&r);
	fixture_stop(&f);
}

/* Lines of random bytes and of mangled requests: each gets at most one reply,
 * and the server still answers. */
static void test_random_lines(void **state)
{
	static const char model[] = "[" GET("1", "web") "," CALL(
		"2", "vm.console") "]";
	char line[sizeof(model)];
	unsigned seed = 1;
	struct fixture f;
	struct raw r;

	fixture_start(&f);
	raw_connect(&f, &r);
	for (int i = 0; i < 3000; i++) {
		memcpy(line, model, sizeof(line));
		for (int k = rand_r(&seed) % 4; k >= 0; k--)
			line[(size_t)rand_r(&seed) % (sizeof(line) - 1)] =
				(char)(i % 2 ? rand_r(&seed)
					     : "\"{}[]:,0n\\"[rand_r(&seed) %
							      10]);
		raw_send(&r, line, sizeof(line) - 1);
		raw_send(&r, "\n", 1);
		raw_receive(&r);
		buf_consume(&r.in, r.in.size);
		r.fd = fd_close(r.fd);
	}
	fixture_turn(&f);
	raw_receive(&r);
	buf_consume(&r.in, r.in.size);
	raw_say(&r, GET("77", "end"));
	raw_expect(&r, GOT("77", "end"));
	raw_close(&r);
	fixture_stop(&f);
}

static void test_line_in_pieces(void **state)
{
	const char *line = GET("1", "web") "\n" GET("2", "db") "\n";
	struct fixture f;
	struct raw r;

	fixture_start(&f);
	raw_connect(&f, &r);
	for (const char *p = line; *p; p++)
		assert_int_equal(raw_send(&r, p, 1), 1);
	raw_expect(&r, GOT("1", "web"));
	raw_expect(&r, GOT("2", "db"));
	raw_close(&r);
	fixture_stop(&f);
}

/* As `printf ... | nc -N -U` does: no last newline, then half-closed. */
static void test_half_closed_client_gets_all_replies(void **state)
{
	const char *text = CALL("1", "vm.start") "\n" GET("2", "a") "\n" GET(
		"3", "b");
	struct fixture f;
	struct raw r;

	fixture_start(&f);
	raw_connect(&f, &r);
	assert_int_equal(raw_send(&r, text, strlen(text)), strlen(text));
	shutdown(r.sock, SHUT_WR);
	raw_expect(&r, GOT("2", "a"));
	raw_expect(&r, GOT("3", "b"));
	assert_false(raw_closed(&r));
	api_call_reply(f.held[0], NULL, -1);
	raw_expect(&r, "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":1}");
	assert_true(raw_closed(&r));
	raw_close(&r);
	fixture_stop(&f);
}

static void test_call_outlives_its_client_and_server(void **state)
{
	struct error e = ERROR_INIT;
	struct fixture f;
	struct raw a, b;

	error_set(&e, -EIO, "too late");
	fixture_start(&f);
	raw_connect(&f, &a);
	raw_connect(&f, &b);
	raw_say(&a, CALL("1", "vm.start"));
	raw_say(&b, "[" CALL("1", "vm.start") "," CALL("2", "vm.start") "]");
	assert_int_equal(f.n_held, 3);
	raw_close(&a);
	api_call_reply(f.held[0], json_object_new_object(), dup(b.sock));
	f.server = api_server_free(f.server);
	api_call_fail(f.held[1], &e);
	api_call_reply(f.held[2], NULL, -1);
	assert_true(raw_closed(&b));
	raw_close(&b);
	fixture_stop(&f);
}

static void test_console_rides_with_its_reply(void **state)
{
	struct fixture f;
	struct raw r;
	char text[8];

	fixture_start(&f);
	raw_connect(&f, &r);
	raw_say(&r, GET("1", "a") "\n" CALL("2", "vm.console"));
	raw_expect(&r, GOT("1", "a"));
	raw_expect(&r, "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":2}");
	assert_true(r.fd >= 0);
	assert_int_equal(read(r.fd, text, sizeof(text)), 6);
	assert_memory_equal(text, "login:", 6);
	raw_say(&r, "[" CALL("3", "vm.console") "]");
	json_object *have = raw_line(&r);
	check_error(json_object_array_get_idx(have, 0), -32602, "3");
	json_object_put(have);
	raw_close(&r);
	fixture_stop(&f);
}

static void notify(struct fixture *f, const char *text)
{
	json_object *event = parse_json(text);

	api_server_notify(f->server, event);
	json_object_put(event);
}

static void test_events_reach_subscribers_only(void **state)
{
	struct fixture f;
	struct raw a, b;

	fixture_start(&f);
	raw_connect(&f, &a);
	raw_connect(&f, &b);
	raw_say(&a, "{\"jsonrpc\":\"2.0\",\"method\":\"event.subscribe\","
		    "\"params\":{\"since\":-1},\"id\":1}");
	raw_expect(&a, "{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":1}");
	notify(&f, "{\"seq\":7}");
	raw_expect(&a, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":"
		       "{\"seq\":7}}");
	raw_expect_silence(&b);
	raw_close(&a);
	notify(&f, "{\"seq\":8}");
	raw_expect_silence(&b);
	raw_close(&b);
	fixture_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_batch_waits_for_its_slowest_call),
		cmocka_unit_test(test_replies_come_as_they_are_ready),
		cmocka_unit_test(test_bad_params_and_missing_handlers),
		cmocka_unit_test(test_garbage_gets_parse_errors),
		cmocka_unit_test(test_random_lines),
		cmocka_unit_test(test_line_in_pieces),
		cmocka_unit_test(test_half_closed_client_gets_all_replies),
		cmocka_unit_test(test_call_outlives_its_client_and_server),
		cmocka_unit_test(test_console_rides_with_its_reply),
		cmocka_unit_test(test_events_reach_subscribers_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
