#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "api/client.h"
#include "tests/unit/api_fixture.h"

/* The blocking client runs in a thread of its own; the test's thread is the
 * server. Asserts are for the test's thread: the client's outcome is data. */
struct client_run {
	const char *path, *method, *name;
	bool want_event;
	int result, fd;
	struct error error;
	json_object *reply, *event;
	atomic_bool done;
};

static int client_calls(struct client_run *c)
{
	_cleanup_(api_client_closep) struct api_client *client = NULL;
	json_object *params = json_object_new_object();
	int r = api_client_open(c->path, &client, &c->error);

	if (c->name)
		json_object_object_add(params, "name",
				       json_object_new_string(c->name));
	else if (c->want_event)
		json_object_object_add(params, "since",
				       json_object_new_int(-1));
	if (r < 0)
		json_object_put(params);
	else
		r = api_client_call(client, c->method, params, &c->reply,
				    &c->fd, &c->error);
	if (r == 0 && c->want_event)
		r = api_client_event(client, 5000, &c->event, &c->error);
	return r;
}

static void *client_main(void *cookie)
{
	struct client_run *c = cookie;

	c->result = client_calls(c);
	atomic_store(&c->done, true);
	return NULL;
}

/* Turn the loop until the client is done; `each` may help it along. */
static void run_client(struct fixture *f, struct client_run *c,
		       void (*each)(struct fixture *f))
{
	pthread_t thread;

	c->path = f->path;
	c->fd = -1;
	assert_int_equal(pthread_create(&thread, NULL, client_main, c), 0);
	while (!atomic_load(&c->done)) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		if (each)
			each(f);
		usleep(500);
	}
	pthread_join(thread, NULL);
	fixture_turn(f);
}

static void client_run_done(struct client_run *c)
{
	json_object_put(c->reply);
	json_object_put(c->event);
	fd_close(c->fd);
}

static void test_call(void **state)
{
	struct client_run c = {.method = "vm.get", .name = "web"};
	struct fixture f;

	fixture_start(&f);
	run_client(&f, &c, NULL);
	assert_int_equal(c.result, 0);
	assert_string_equal(json_text(c.reply), "{\"name\":\"web\"}");
	assert_int_equal(c.fd, -1);
	client_run_done(&c);
	fixture_stop(&f);
}

static void test_error_of_the_daemon(void **state)
{
	struct client_run c = {.method = "vm.get", .name = "missing"};
	struct fixture f;

	fixture_start(&f);
	run_client(&f, &c, NULL);
	assert_int_equal(c.result, -ENOENT);
	assert_int_equal(c.error.code, ERROR_NOT_FOUND);
	assert_string_equal(c.error.message, "no VM named \"missing\"");
	client_run_done(&c);
	fixture_stop(&f);
}

static void test_large_reply(void **state)
{
	struct client_run c = {.method = "vm.list"};
	struct fixture f;

	fixture_start(&f);
	run_client(&f, &c, NULL);
	assert_int_equal(c.result, 0);
	assert_int_equal(json_object_get_string_len(c.reply), LARGE_SIZE);
	client_run_done(&c);
	fixture_stop(&f);
}

static void test_console_descriptor(void **state)
{
	struct client_run c = {.method = "vm.console", .name = "web"};
	struct fixture f;
	char text[8];

	fixture_start(&f);
	run_client(&f, &c, NULL);
	assert_int_equal(c.result, 0);
	assert_int_equal(read(c.fd, text, sizeof(text)), 6);
	client_run_done(&c);
	fixture_stop(&f);
}

static void send_event(struct fixture *f)
{
	_cleanup_json_ json_object *event = parse_json("{\"seq\":3}");

	api_server_notify(f->server, event);
}

static void test_event(void **state)
{
	struct client_run c = {.method = "event.subscribe", .want_event = true};
	struct fixture f;

	fixture_start(&f);
	run_client(&f, &c, send_event);
	assert_int_equal(c.result, 0);
	assert_string_equal(json_text(c.event), "{\"seq\":3}");
	client_run_done(&c);
	fixture_stop(&f);
}

static void test_no_daemon(void **state)
{
	struct error e = ERROR_INIT;
	struct api_client *client = NULL;
	struct fixture f;

	assert_true(api_client_open("/nonexistent/s", &client, &e) < 0);
	assert_int_equal(e.code, ERROR_NO_DAEMON);
	assert_non_null(strstr(e.message, "no answer on /nonexistent/s"));
	fixture_start(&f);
	f.server = api_server_free(f.server);
	fixture_turn(&f);
	assert_true(api_client_open(f.path, &client, &e) < 0);
	assert_int_equal(e.code, ERROR_NO_DAEMON);
	fixture_stop(&f);
}

static void test_socket_path_too_long(void **state)
{
	struct error e = ERROR_INIT;
	struct api_client *client = NULL;
	char path[200];

	memset(path, '/', sizeof(path));
	path[199] = 0;
	assert_int_equal(api_client_open(path, &client, &e), -EINVAL);
}

static void test_wait_gives_up_in_time(void **state)
{
	json_object *reply = NULL, *event = NULL;
	struct api_client *client = NULL;
	struct error e = ERROR_INIT;
	struct fixture f;
	int64_t id;

	fixture_start(&f);
	assert_int_equal(api_client_open(f.path, &client, &e), 0);
	assert_int_equal(api_client_send(client, "vm.list", NULL, &id, &e), 0);
	assert_int_equal(api_client_wait(client, id, 10, &reply, NULL, &e),
			 -EAGAIN);
	assert_int_equal(api_client_event(client, 10, &event, &e), -EAGAIN);
	assert_int_equal(e.err, 0);
	api_client_close(client);
	fixture_stop(&f);
}

/* Peers that are not armvmd: each answer is an error, none hangs. */
static void test_nonsense_for_an_answer(void **state)
{
	static const struct {
		const char *text;
		enum error_code code;
	} rows[] = {
		{"", ERROR_NO_DAEMON},
		{"{\"jsonrpc\":\"2.0\"", ERROR_NO_DAEMON},
		{"HTTP/1.1 400 Bad Request\r\n", ERROR_INTERNAL},
		{"[]\n", ERROR_INTERNAL},
		{"{\"id\":1}\n", ERROR_INTERNAL},
		{"{\"id\":1,\"error\":7}\n", ERROR_INTERNAL},
		{"{\"method\":7}\n", ERROR_INTERNAL},
		{"{\"id\":2,\"result\":7}\n", ERROR_NO_DAEMON},
		{"{\"method\":\"event.lost\"}\n", ERROR_RESOURCE},
		{"{\"id\":null,\"error\":{\"code\":-32700,\"message\":\"m\"}}"
		 "\n",
		 ERROR_PARSE},
	};
	char dir[] = "/tmp/armvm-api.XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_close_ int sock = fixture_bind(path), peer = -1;
		struct api_client *client = NULL;
		json_object *reply = NULL;
		struct error e = ERROR_INIT;
		int64_t id;

		assert_int_equal(api_client_open(path, &client, &e), 0);
		peer = accept(sock, NULL, NULL);
		assert_int_equal(
			api_client_send(client, "vm.list", NULL, &id, &e), 0);
		assert_int_equal(
			fd_write_full(peer, rows[i].text, strlen(rows[i].text)),
			0);
		shutdown(peer, SHUT_WR);
		assert_true(api_client_wait(client, id, 5000, &reply, NULL,
					    &e) < 0);
		if (e.code != rows[i].code)
			fail_msg("%s: %s", rows[i].text, e.message);
		api_client_close(client);
		unlink(path);
	}
	rmdir(dir);
}

/* Out of descriptors the server rests instead of spinning, and goes on. */
static void test_server_out_of_descriptors(void **state)
{
	struct rlimit before, low;
	struct fixture f;
	struct raw r = {.fd = -1};
	int next;

	fixture_start(&f);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	next = dup(0);
	low = (struct rlimit){(rlim_t)next + 1, before.rlim_max};
	close(next);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	raw_connect(&f, &r);
	fixture_turn(&f);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	raw_say(&r, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vm.get\","
		    "\"params\":[\"web\"]}");
	usleep(210000);
	raw_expect(&r, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"name\":"
		       "\"web\"}}");
	raw_close(&r);
	fixture_stop(&f);
}

static void test_discover_names_every_method(void **state)
{
	struct client_run c = {.method = "rpc.discover"};
	json_object *methods, *name, *schema;
	struct fixture f;

	fixture_start(&f);
	run_client(&f, &c, NULL);
	assert_int_equal(c.result, 0);
	assert_true(json_object_object_get_ex(c.reply, "methods", &methods));
	assert_int_equal(json_object_array_length(methods), API_METHOD_COUNT);
	for (size_t i = 0; i < API_METHOD_COUNT; i++) {
		json_object *m = json_object_array_get_idx(methods, i);

		assert_true(json_object_object_get_ex(m, "name", &name));
		assert_string_equal(json_object_get_string(name),
				    api_methods[i].name);
	}
	methods = json_object_array_get_idx(methods, API_VM_DEFINE);
	assert_true(json_object_object_get_ex(methods, "params", &schema));
	assert_non_null(strstr(json_text(schema), "\"vcpus\""));
	client_run_done(&c);
	fixture_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_error_of_the_daemon),
		cmocka_unit_test(test_large_reply),
		cmocka_unit_test(test_console_descriptor),
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_no_daemon),
		cmocka_unit_test(test_socket_path_too_long),
		cmocka_unit_test(test_wait_gives_up_in_time),
		cmocka_unit_test(test_nonsense_for_an_answer),
		cmocka_unit_test(test_server_out_of_descriptors),
		cmocka_unit_test(test_discover_names_every_method),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
