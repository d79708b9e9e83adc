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

static void test_batch_size_is_bounded(void **state)
{
	_cleanup_buf_ struct buf line = {0};
	struct fixture f;
	struct raw r;

	assert_int_equal(buf_append(&line, "[1", 2), 0);
	for (int i = 1; i < 257; i++)
		assert_int_equal(buf_append(&line, ",1", 2), 0);
	assert_int_equal(buf_append(&line, "]", 1), 0);
	fixture_start(&f);
	raw_connect(&f, &r);
	raw_say(&r, line.data);
	raw_expect_error(&r, -32600, "null");
	raw_close(&r);
	fixture_stop(&f);
}

static void test_long_line_is_refused_once(void **state)
{
	size_t size = MIB(3);
	char *line = malloc(size);
	struct fixture f;
	struct raw r;

	memset(line, ' ', size);
	fixture_start(&f);
	raw_connect(&f, &r);
	assert_int_equal(raw_send(&r, line, size), size);
	raw_expect_error(&r, -32600, "null");
	raw_expect_silence(&r);
	raw_say(&r, GET("1", "tail"));
	raw_expect_silence(&r);
	raw_say(&r, GET("2", "web"));
	raw_expect(&r, GOT("2", "web"));
	raw_close(&r);
	fixture_stop(&f);
	free(line);
}

static void test_slow_subscriber_is_told_and_dropped(void **state)
{
	char *text = malloc(LARGE_SIZE);
	json_object *event, *line;
	struct fixture f;
	struct raw r;
	bool told = false;

	memset(text, 'x', LARGE_SIZE);
	event = json_object_new_string_len(text, LARGE_SIZE);
	fixture_start(&f);
	raw_connect(&f, &r);
	raw_say(&r, "{\"jsonrpc\":\"2.0\",\"method\":\"event.subscribe\","
		    "\"params\":{\"since\":-1},\"id\":1}");
	for (int i = 0; i < 200; i++)
		api_server_notify(f.server, event);
	json_object_put(event);
	while ((line = raw_line(&r))) {
		told = strstr(json_text(line), "event.lost");
		json_object_put(line);
	}
	assert_true(told);
	assert_true(raw_closed(&r));
	raw_close(&r);
	fixture_stop(&f);
	free(text);
}

/* A client that does not read is not read from, and loses nothing. */
static void test_client_that_does_not_read(void **state)
{
	struct fixture f;
	struct raw r;
	unsigned before;

	fixture_start(&f);
	raw_connect(&f, &r);
	for (int i = 0; i < 50; i++)
		raw_say(&r, "{\"jsonrpc\":\"2.0\",\"method\":\"vm.list\","
			    "\"id\":1}");
	before = f.n_large;
	assert_in_range(before, 1, 20);
	for (int i = 0; i < 50; i++)
		json_object_put(raw_line(&r));
	assert_int_equal(f.n_large, 50);
	raw_expect_silence(&r);
	raw_close(&r);
	fixture_stop(&f);
}

static void test_calls_under_way_are_bounded(void **state)
{
	struct fixture f;
	struct raw r;

	fixture_start(&f);
	raw_connect(&f, &r);
	for (int i = 0; i < 100; i++)
		raw_say(&r, CALL("1", "vm.start"));
	assert_int_equal(f.n_held, 32);
	for (size_t i = 0; i < 100; i++) {
		if (i == f.n_held)
			fixture_turn(&f);
		assert_true(i < f.n_held);
		api_call_reply(f.held[i], NULL, -1);
	}
	assert_int_equal(f.n_held, 100);
	raw_close(&r);
	fixture_stop(&f);
}

/* What changes something waits in order, what reads does not; and it runs
 * after its client has gone. */
static void test_changes_wait_for_the_database(void **state)
{
	struct fixture f;
	struct raw r, gone;

	fixture_start(&f);
	raw_connect(&f, &r);
	raw_connect(&f, &gone);
	f.locked = true;
	raw_say(&r, CALL("1", "vm.start"));
	raw_say(&gone, CALL("2", "vm.start"));
	raw_say(&r, GET("3", "web"));
	raw_expect(&r, GOT("3", "web"));
	assert_int_equal(f.n_held, 0);
	raw_close(&gone);
	f.locked = false;
	raw_say(&r, CALL("4", "vm.start"));
	assert_int_equal(f.n_held, 0);
	api_server_resume(f.server);
	assert_int_equal(f.n_held, 3);
	for (size_t i = 0; i < f.n_held; i++)
		api_call_reply(f.held[i], json_object_new_int((int)i), -1);
	raw_expect(&r, "{\"jsonrpc\":\"2.0\",\"result\":0,\"id\":1}");
	raw_expect(&r, "{\"jsonrpc\":\"2.0\",\"result\":2,\"id\":4}");
	/* The server's end is one for them, too. */
	f.locked = true;
	raw_say(&r, CALL("5", "vm.start"));
	fixture_stop(&f);
	assert_int_equal(f.n_held, 3);
	fd_close(r.sock);
	buf_done(&r.in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batch_size_is_bounded),
		cmocka_unit_test(test_long_line_is_refused_once),
		cmocka_unit_test(test_slow_subscriber_is_told_and_dropped),
		cmocka_unit_test(test_client_that_does_not_read),
		cmocka_unit_test(test_calls_under_way_are_bounded),
		cmocka_unit_test(test_changes_wait_for_the_database),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
