#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <math.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/dbus_value.h"

/* Messages need a connection to belong to; nothing is ever sent on it. */
struct fixture {
	sd_bus *sd;
	int peer;
	struct dbus_table *table;
	struct error e;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	f->peer = fds[1];
	f->table = dbus_table_new();
	assert_true(sd_bus_new(&f->sd) >= 0);
	assert_true(sd_bus_set_fd(f->sd, fds[0], fds[0]) >= 0);
	assert_true(sd_bus_start(f->sd) >= 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sd_bus_close_unref(f->sd);
	close(f->peer);
	dbus_table_free(f->table);
	free(f);
	return 0;
}

static sd_bus_message *call(struct fixture *f)
{
	sd_bus_message *m = NULL;

	assert_true(sd_bus_message_new_method_call(f->sd, &m, NULL, "/x", "x.y",
						   "Z") >= 0);
	return m;
}

static void seal(sd_bus_message *m)
{
	assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
}

/* Consumes m; the parameters as text, or NULL with f->e. */
static char *params(struct fixture *f, enum dbus_interface interface,
		    const char *member, sd_bus_message *m)
{
	json_object *o = NULL;
	char *text = NULL;

	seal(m);
	f->e = ERROR_INIT;
	if (dbus_params_read(m, dbus_method_find(f->table, interface, member),
			     "web", &o, &f->e) == 0)
		text = strdup(json_text(o));
	else
		assert_null(o);
	json_object_put(o);
	sd_bus_message_unref(m);
	return text;
}

#define assert_params(text, want)                 \
	do {                                      \
		char *text_ = (text);             \
                                                  \
		assert_non_null(text_);           \
		assert_string_equal(text_, want); \
		free(text_);                      \
	} while (0)

static void test_arguments(void **state)
{
	struct fixture *f = *state;
	sd_bus_message *m = call(f);

	assert_params(params(f, DBUS_VM, "Start", m), "{\"name\":\"web\"}");
	m = call(f);
	sd_bus_message_append(m, "ta{sv}", UINT64_C(1) << 40, 1, "async", "b",
			      1);
	assert_params(params(f, DBUS_VM, "Balloon", m),
		      "{\"name\":\"web\",\"target\":1099511627776,"
		      "\"async\":true}");
	m = call(f);
	sd_bus_message_append(m, "s", "{\"path\":\"/d\"}");
	assert_params(params(f, DBUS_VM, "AttachDisk", m),
		      "{\"name\":\"web\",\"disk\":{\"path\":\"/d\"}}");
	m = call(f);
	sd_bus_message_append(m, "x", INT64_C(-1));
	assert_params(params(f, DBUS_MANAGER, "ReplayEvents", m),
		      "{\"since\":-1}");
}

static void test_options(void **state)
{
	struct fixture *f = *state;
	sd_bus_message *m = call(f);

	sd_bus_message_append(m, "a{sv}", 7, "a", "y", 200, "b", "n", -3, "c",
			      "q", 65535, "d", "i", -7, "e", "u", UINT32_MAX,
			      "f", "t", UINT64_MAX, "g", "d", 0.5);
	assert_params(params(f, DBUS_VM, "Stop", m),
		      "{\"name\":\"web\",\"a\":200,\"b\":-3,\"c\":65535,"
		      "\"d\":-7,\"e\":4294967295,\"f\":18446744073709551615,"
		      "\"g\":0.5}");
	m = call(f);
	sd_bus_message_append(m, "a{sv}", 3, "labels", "a{ss}", 2, "a", "1",
			      "b", "2", "x", "(sas)", "t", 2, "u", "v", "y",
			      "v", "o", "/p");
	assert_params(params(f, DBUS_MANAGER, "ListVMs", m),
		      "{\"labels\":{\"a\":\"1\",\"b\":\"2\"},"
		      "\"x\":[\"t\",[\"u\",\"v\"]],\"y\":\"/p\"}");
	/* Text where there is a structure is JSON. */
	m = call(f);
	sd_bus_message_append(m, "a{sv}", 1, "labels", "s", "{\"a\":\"1\"}");
	assert_params(params(f, DBUS_MANAGER, "ListVMs", m),
		      "{\"labels\":{\"a\":\"1\"}}");
}

static void assert_refused(struct fixture *f, char *text, const char *words)
{
	assert_null(text);
	assert_int_not_equal(f->e.err, 0);
	if (!strstr(f->e.message, words))
		fail_msg("\"%s\" is not in: %s", words, f->e.message);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	sd_bus_message *m = call(f);

	sd_bus_message_append(m, "u", 1);
	assert_refused(f, params(f, DBUS_VM, "Start", m),
		       "Start takes arguments \"a{sv}\", not \"u\"");
	assert_refused(f, params(f, DBUS_VM, "Balloon", call(f)), "\"ta{sv}\"");
	m = call(f);
	sd_bus_message_append(m, "a{sv}", 2, "x", "b", 1, "x", "b", 1);
	assert_refused(f, params(f, DBUS_VM, "Start", m),
		       "\"x\" is given twice");
	m = call(f);
	sd_bus_message_append(m, "a{sv}", 1, "name", "s", "other");
	assert_refused(f, params(f, DBUS_VM, "Start", m),
		       "\"name\" is given twice");
	m = call(f);
	sd_bus_message_append(m, "a{sv}", 1, "x", "a{us}", 1, 1, "y");
	assert_refused(f, params(f, DBUS_VM, "Start", m), "keys");
	m = call(f);
	sd_bus_message_append(m, "a{sv}", 1, "x", "h", STDIN_FILENO);
	assert_refused(f, params(f, DBUS_VM, "Start", m), "type \"h\"");
	m = call(f);
	sd_bus_message_append(m, "a{sv}", 1, "x", "d", (double)INFINITY);
	assert_refused(f, params(f, DBUS_VM, "Start", m), "finite");
	m = call(f);
	sd_bus_message_append(m, "s", "{\"path\"");
	assert_refused(f, params(f, DBUS_VM, "AttachDisk", m), "disk: ");
}

static void test_bounds(void **state)
{
	struct fixture *f = *state;
	sd_bus_message *m = call(f);

	sd_bus_message_open_container(m, 'a', "{sv}");
	sd_bus_message_open_container(m, 'e', "sv");
	sd_bus_message_append(m, "s", "x");
	sd_bus_message_open_container(m, 'v', "ai");
	sd_bus_message_open_container(m, 'a', "i");
	for (int i = 0; i < DBUS_VALUES_MAX; i++)
		sd_bus_message_append(m, "i", i);
	for (int i = 0; i < 4; i++)
		sd_bus_message_close_container(m);
	assert_refused(f, params(f, DBUS_VM, "Start", m), "at most");
	m = call(f);
	sd_bus_message_open_container(m, 'a', "{sv}");
	sd_bus_message_open_container(m, 'e', "sv");
	sd_bus_message_append(m, "s", "x");
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		sd_bus_message_open_container(m, 'v', "v");
	sd_bus_message_append(m, "v", "s", "deep");
	for (int i = 0; i < JSON_DEPTH_MAX + 2; i++)
		sd_bus_message_close_container(m);
	assert_refused(f, params(f, DBUS_VM, "Start", m), "deep");
}

static void test_call(void **state)
{
	static const struct {
		const char *method, *params, *words;
	} cases[] = {
		{"vm.list", "", NULL},
		{"vm.list", "{\"limit\": 1}", NULL},
		{"vm.lst", "", "did you mean"},
		{"vm.list", "[1]", "not an object"},
		{"vm.list", "{", "params: "},
		{"vm.console", "{}", "OpenConsole"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		sd_bus_message *m = call(f);
		enum api_method_id method;
		json_object *o = NULL;
		int r;

		sd_bus_message_append(m, "ss", cases[i].method,
				      cases[i].params);
		seal(m);
		f->e = ERROR_INIT;
		r = dbus_call_read(m, &method, &o, &f->e);
		assert_int_equal(r == 0, !cases[i].words);
		if (cases[i].words)
			assert_non_null(strstr(f->e.message, cases[i].words));
		else
			assert_true(json_object_is_type(o, json_type_object));
		json_object_put(o);
		sd_bus_message_unref(m);
	}
}

static json_object *parse(const char *text)
{
	json_object *o = NULL;

	assert_int_equal(json_parse(text, strlen(text), &o, NULL), 0);
	return o;
}

static void test_properties(void **state)
{
	struct fixture *f = *state;
	json_object *o = parse("{\"name\":\"web\",\"vcpus\":2,\"memory\":"
			       "1073741824,\"labels\":{\"a\":\"b\"},"
			       "\"autostart\":true,\"revision\":7,"
			       "\"config\":{\"x\":1}}");
	sd_bus_message *m = call(f);
	const char *name, *text;
	uint32_t vcpus;
	uint64_t memory;
	int64_t revision;
	int autostart;

	assert_true(dbus_properties_append(m, DBUS_VM, o) >= 0);
	json_object_put(o);
	seal(m);
	/* In the table's order, and only those there are. */
	assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
	assert_true(sd_bus_message_read(m, "{sv}", &name, "s", &text) > 0);
	assert_string_equal(name, "Name");
	assert_string_equal(text, "web");
	assert_true(sd_bus_message_read(m, "{sv}", &name, "u", &vcpus) > 0);
	assert_int_equal(vcpus, 2);
	assert_true(sd_bus_message_read(m, "{sv}", &name, "t", &memory) > 0);
	assert_int_equal(memory, 1 << 30);
	assert_true(sd_bus_message_read(m, "{sv}", &name, "x", &revision) > 0);
	assert_int_equal(revision, 7);
	assert_true(sd_bus_message_skip(m, "{sv}") > 0);
	assert_true(sd_bus_message_read(m, "{sv}", &name, "b", &autostart) > 0);
	assert_int_equal(autostart, 1);
	assert_true(sd_bus_message_read(m, "{sv}", &name, "s", &text) > 0);
	assert_string_equal(text, "{\"x\":1}");
	assert_true(sd_bus_message_at_end(m, 0) > 0);
	sd_bus_message_unref(m);
}

static void test_results(void **state)
{
	struct fixture *f = *state;
	json_object *o = parse("{\"vms\":[{\"uuid\":\"7c3e9a0e-1b2c-4d5e-8f90-"
			       "a1b2c3d4e5f6\",\"name\":\"web\",\"state\":"
			       "\"stopped\"}],\"cursor\":\"web\"}");
	sd_bus_message *m = call(f);
	const char *path, *name, *vm_state, *cursor;

	assert_true(dbus_result_append(m, DBUS_RESULT_VMS, o, -1) >= 0);
	json_object_put(o);
	seal(m);
	assert_string_equal(sd_bus_message_get_signature(m, 1),
			    dbus_result_signature(DBUS_RESULT_VMS));
	assert_true(sd_bus_message_read(m, "a(oss)s", 1, &path, &name,
					&vm_state, &cursor) > 0);
	assert_string_equal(path, "/org/armvmd1/vm/7c3e9a0e_1b2c_4d5e_8f90_"
				  "a1b2c3d4e5f6");
	assert_string_equal(cursor, "web");
	sd_bus_message_unref(m);
	m = call(f);
	assert_true(dbus_result_append(m, DBUS_RESULT_JSON, NULL, -1) >= 0);
	seal(m);
	assert_true(sd_bus_message_read(m, "s", &name) > 0);
	assert_string_equal(name, "null");
	sd_bus_message_unref(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_arguments), TEST(test_options), TEST(test_refused),
		TEST(test_bounds),    TEST(test_call),	  TEST(test_properties),
		TEST(test_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
