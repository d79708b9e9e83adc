#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/agent_info.h"

#define ANSWERS_MAX 16

/* The guest's end of the port, and what came of the requests. */
struct fixture {
	uv_loop_t loop;
	struct agent *agent;
	size_t room;
	char input[4096]; /* to the guest, one line or more */
	size_t n_input;
	struct error errors[ANSWERS_MAX];
	char results[ANSWERS_MAX][256];
	size_t n_answers;
	json_object *info;
};

static size_t can_receive(void *cookie)
{
	struct fixture *f = cookie;

	return f->room;
}

static void receive(void *cookie, const uint8_t *data, size_t size)
{
	struct fixture *f = cookie;

	assert_true(f->n_input + size < sizeof(f->input));
	memcpy(f->input + f->n_input, data, size);
	f->n_input += size;
	f->input[f->n_input] = '\0';
}

static const struct chardev_guest guest = {can_receive, receive};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->room = 2048;
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(agent_new(&f->loop, "web", &f->agent, NULL), 0);
	chardev_set_guest(agent_chardev(f->agent), &guest, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	agent_free(f->agent);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	json_object_put(f->info);
	free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	for (int i = 0; i < 3; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void say_bytes(struct fixture *f, const char *text, size_t size)
{
	chardev_write(agent_chardev(f->agent), (const uint8_t *)text, size);
	turn(f);
}

static void say(struct fixture *f, const char *text)
{
	say_bytes(f, text, strlen(text));
}

/* What the guest was sent since last asked holds this. */
static void heard(struct fixture *f, const char *text)
{
	if (!memmem(f->input, f->n_input, text, strlen(text)))
		fail_msg("no %s in: %s", text, f->input);
	f->n_input = 0;
	f->input[0] = '\0';
}

static void answer_sync(struct fixture *f)
{
	const char *id;
	char text[64];

	assert_int_equal((uint8_t)f->input[0], 0xff);
	id = strstr(f->input, "\"id\"");
	assert_non_null(id);
	snprintf(text, sizeof(text), "\xff{\"return\": %d}\n",
		 atoi(id + strcspn(id, "0123456789")));
	heard(f, "guest-sync-delimited");
	say(f, text);
}

static void come_up(struct fixture *f)
{
	chardev_guest_open(agent_chardev(f->agent), true);
	turn(f);
	answer_sync(f);
	assert_false(agent_answers(f->agent));
	heard(f, "\"guest-ping\"");
	say(f, "{\"return\": {}}\n");
	assert_true(agent_answers(f->agent));
}

static void on_done(void *cookie, json_object *result, const struct error *e)
{
	struct fixture *f = cookie;

	assert_true(f->n_answers < ANSWERS_MAX);
	if (e)
		f->errors[f->n_answers] = *e;
	snprintf(f->results[f->n_answers], sizeof(f->results[0]), "%s",
		 result ? json_text(result) : "");
	f->n_answers++;
}

static void ask(struct fixture *f, const char *command, uint64_t timeout_ms)
{
	agent_request(f->agent, command, NULL, timeout_ms, on_done, f);
}

static void test_nobody_there(void **state)
{
	struct fixture *f = *state;

	ask(f, "guest-info", 100);
	assert_int_equal(f->n_answers, 1);
	assert_int_equal(f->errors[0].err, EOPNOTSUPP);
	assert_int_equal(f->n_input, 0);
	assert_false(agent_answers(f->agent));
}

static void test_request(void **state)
{
	struct fixture *f = *state;

	come_up(f);
	ask(f, "guest-info", 1000);
	ask(f, "guest-get-time", 1000);
	heard(f, "guest-info");
	say(f, "{\"return\": {\"version\"");
	assert_int_equal(f->n_answers, 0);
	say(f, ": \"7\"}}\n");
	assert_int_equal(f->n_answers, 1);
	assert_string_equal(f->results[0], "{\"version\":\"7\"}");
	/* One at a time. */
	heard(f, "guest-get-time");
	say(f, "{\"return\": 5}\n");
	assert_string_equal(f->results[1], "5");
}

static void test_refusal(void **state)
{
	struct fixture *f = *state;

	come_up(f);
	ask(f, "guest-x", 1000);
	say(f, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": "
	       "\"no\"}}\n");
	assert_int_equal(f->errors[0].err, EOPNOTSUPP);
	ask(f, "guest-x", 1000);
	say(f,
	    "{\"error\": {\"class\": \"GenericError\", \"desc\": \"busy\"}}\n");
	assert_int_equal(f->errors[1].err, EIO);
	assert_non_null(strstr(f->errors[1].message, "busy"));
	assert_true(agent_answers(f->agent));
}

static void wait_answers(struct fixture *f, size_t n)
{
	while (f->n_answers < n)
		uv_run(&f->loop, UV_RUN_ONCE);
}

/* An answer that comes too late is not taken for the next one's. */
static void test_late_answer(void **state)
{
	struct fixture *f = *state;

	come_up(f);
	ask(f, "guest-a", 10);
	heard(f, "guest-a");
	wait_answers(f, 1);
	assert_int_equal(f->errors[0].err, ETIMEDOUT);
	assert_false(agent_answers(f->agent));
	ask(f, "guest-b", 1000);
	say(f, "{\"return\": \"of a\"}\n");
	answer_sync(f);
	heard(f, "guest-b");
	say(f, "{\"return\": \"of b\"}\n");
	assert_int_equal(f->n_answers, 2);
	assert_string_equal(f->results[1], "\"of b\"");
}

static void test_agent_ends(void **state)
{
	struct fixture *f = *state;

	come_up(f);
	ask(f, "guest-a", 1000);
	ask(f, "guest-b", 1000);
	chardev_guest_open(agent_chardev(f->agent), false);
	turn(f);
	assert_int_equal(f->n_answers, 2);
	assert_int_equal(f->errors[1].err, EOPNOTSUPP);
	assert_false(agent_answers(f->agent));
	f->n_input = 0;
	come_up(f);
}

static void test_bounds(void **state)
{
	struct fixture *f = *state;
	static char large[AGENT_REPLY_MAX + 100];

	come_up(f);
	for (int i = 0; i < AGENT_REQUESTS_MAX; i++)
		ask(f, "guest-a", 1000);
	assert_int_equal(f->n_answers, 0);
	ask(f, "guest-a", 1000);
	assert_int_equal(f->errors[0].err, EBUSY);
	/* An endless answer ends its request; the next is synced anew. */
	heard(f, "guest-a");
	memset(large, '[', sizeof(large));
	for (int i = 0; i < 40; i++)
		say_bytes(f, large, 8192);
	say(f, "\n");
	assert_int_equal(f->n_answers, 2);
	assert_int_equal(f->errors[1].err, EIO);
	answer_sync(f);
	heard(f, "guest-a");
}

/* A guest that takes no input. */
static void test_no_room(void **state)
{
	struct fixture *f = *state;

	come_up(f);
	f->room = 3;
	ask(f, "guest-a", 1000);
	assert_int_equal(f->n_answers, 1);
	assert_int_equal(f->errors[0].err, EIO);
}

static void test_nonsense(void **state)
{
	static const char *const lines[] = {
		"\n",
		"null\n",
		"[]\n",
		"\"return\"\n",
		"{}\n",
		"{\"return\"\n",
		"{\"error\": 3}\n",
		"\xff\xff\xff\n",
		"\xc3\x28\n",
		"{\"event\": {\"return\": 1}}\n",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
	};
	struct fixture *f = *state;

	/* Unasked, before and after the sync, and while one is awaited. */
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		say(f, lines[i]);
	come_up(f);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		say(f, lines[i]);
	ask(f, "guest-a", 1000);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		say(f, lines[i]);
	assert_int_equal(f->n_answers, 0);
	say(f, "{\"return\": true}\n");
	assert_string_equal(f->results[0], "true");
}

static void on_info(void *cookie, json_object *info)
{
	struct fixture *f = cookie;

	f->info = info;
}

static void test_info(void **state)
{
	struct fixture *f = *state;

	come_up(f);
	agent_info(f->agent, on_info, f);
	heard(f, "guest-info");
	say(f, "{\"return\": {\"version\": \"7.2\\n\", \"x\": [1]}}\n");
	heard(f, "guest-get-host-name");
	say(f, "{\"return\": {\"host-name\": \"web\"}}\n");
	heard(f, "guest-network-get-interfaces");
	say(f, "{\"return\": [{\"name\": \"eth0\", \"hardware-address\": "
	       "\"52:54:00:1:2:3\", \"ip-addresses\": [{\"ip-address\": "
	       "\"10.0.0.2\", \"prefix\": 24}, {\"ip-address\": 7, \"prefix\": "
	       "-1}]}, 7]}\n");
	assert_non_null(f->info);
	assert_string_equal(
		json_text(f->info),
		"{\"agent\":true,\"version\":\"\",\"hostname\":\"web\","
		"\"interfaces\":[{\"name\":\"eth0\",\"mac\":\"52:54:00:1:2:3\","
		"\"addresses\":[{\"address\":\"10.0.0.2\",\"prefix\":24},"
		"{\"address\":\"\",\"prefix\":0}]},"
		"{\"name\":\"\",\"mac\":\"\",\"addresses\":[]}]}");
}

static void test_info_without_agent(void **state)
{
	struct fixture *f = *state;
	struct guest_info info = {0};

	agent_info(f->agent, on_info, f);
	assert_non_null(f->info);
	assert_int_equal(
		json_decode(f->info, guest_info_fields, &info, "", NULL), 0);
	assert_false(info.agent);
	assert_non_null(strstr(info.reason, "qemu-guest-agent"));
	json_release(guest_info_fields, &info);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nobody_there), TEST(test_request),
		TEST(test_refusal),	 TEST(test_late_answer),
		TEST(test_agent_ends),	 TEST(test_bounds),
		TEST(test_no_room),	 TEST(test_nonsense),
		TEST(test_info),	 TEST(test_info_without_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
