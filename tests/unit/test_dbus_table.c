#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <systemd/sd-bus.h>

#include "daemon/dbus_table.h"
#include "daemon/machine.h"

#define UUID "7c3e9a0e-1b2c-4d5e-8f90-a1b2c3d4e5f6"

static int setup(void **state)
{
	*state = dbus_table_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	dbus_table_free(*state);
	return 0;
}

static void test_names(void **state)
{
	static const struct {
		enum dbus_interface interface;
		const char *member;
		enum api_method_id method;
		const char *in;
		bool options;
		enum dbus_result result;
	} expected[] = {
		{DBUS_VM, "Start", API_VM_START, "", true, DBUS_RESULT_JSON},
		{DBUS_VM, "Get", API_VM_GET, "", false, DBUS_RESULT_JSON},
		{DBUS_VM, "Rename", API_VM_RENAME, "s", true, DBUS_RESULT_JSON},
		{DBUS_VM, "Balloon", API_VM_BALLOON, "t", true,
		 DBUS_RESULT_JSON},
		{DBUS_VM, "AttachDisk", API_DISK_ADD, "s", true,
		 DBUS_RESULT_JSON},
		{DBUS_VM, "VarList", API_VAR_LIST, "", false, DBUS_RESULT_JSON},
		{DBUS_VM, "OpenConsole", API_VM_CONSOLE, "", true,
		 DBUS_RESULT_FD},
		{DBUS_MANAGER, "GetVM", API_VM_GET, "s", false, DBUS_RESULT_VM},
		{DBUS_MANAGER, "Define", API_VM_DEFINE, "s", true,
		 DBUS_RESULT_VM},
		{DBUS_MANAGER, "ListVMs", API_VM_LIST, "", true,
		 DBUS_RESULT_VMS},
		{DBUS_MANAGER, "JobGet", API_JOB_GET, "x", false,
		 DBUS_RESULT_JSON},
	};

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct dbus_method *m = dbus_method_find(
			*state, expected[i].interface, expected[i].member);

		assert_non_null(m);
		assert_int_equal(m->method, expected[i].method);
		assert_string_equal(m->in, expected[i].in);
		assert_int_equal(m->options, expected[i].options);
		assert_int_equal(m->result, expected[i].result);
	}
	assert_null(dbus_method_find(*state, DBUS_MANAGER, "Start"));
	assert_null(dbus_method_find(*state, DBUS_VM, "Define"));
}

/* Whatever rows the table of methods gets. */
static void test_every_method_is_there(void **state)
{
	unsigned found[API_METHOD_COUNT] = {0};
	char text[64], *xml = NULL, *at;
	size_t size;

	for (int i = 0; i < DBUS_INTERFACE_COUNT; i++) {
		FILE *out = open_memstream(&xml, &size);

		dbus_introspect(*state, (enum dbus_interface)i, out);
		fclose(out);
		for (at = xml; (at = strstr(at, "<method name=\"")); at++) {
			const struct dbus_method *m;

			assert_int_equal(
				sscanf(at, "<method name=\"%63[^\"]", text), 1);
			assert_true(sd_bus_member_name_is_valid(text));
			if (streq(text, "Call"))
				continue;
			m = dbus_method_find(*state, (enum dbus_interface)i,
					     text);
			assert_non_null(m);
			found[m->method]++;
		}
		free(xml);
		xml = NULL;
	}
	for (int i = 0; i < API_METHOD_COUNT; i++)
		assert_int_equal(found[i], i == API_VM_GET ? 2 : 1);
}

static void test_paths(void **state)
{
	static const char *const bad[] = {
		"/org/armvmd1",
		"/org/armvmd1/vm",
		"/org/armvmd1/vm/",
		"/org/armvmd1/vm/web",
		"/org/armvmd1/vm/7c3e9a0e_1b2c_4d5e_8f90_a1b2c3d4e5f",
		"/org/armvmd1/vm/7c3e9a0e_1b2c_4d5e_8f90_a1b2c3d4e5f6f",
		"/org/armvmd1/vm/7c3e9a0e_1b2c_4d5e_8f90_a1b2c3d4e5f6/x",
		"/org/armvmd1/vm/7c3e9a0e-1b2c-4d5e-8f90-a1b2c3d4e5f6",
		"/org/armvmd1/vm/7c3e9a0e_1b2c_4d5e_8f90_a1b2c3d4e5fg",
	};
	char path[DBUS_PATH_MAX], uuid[40];

	dbus_vm_path(UUID, path);
	assert_string_equal(path, "/org/armvmd1/vm/"
				  "7c3e9a0e_1b2c_4d5e_8f90_a1b2c3d4e5f6");
	assert_true(sd_bus_object_path_is_valid(path));
	assert_int_equal(dbus_vm_uuid(path, uuid, sizeof(uuid)), 0);
	assert_string_equal(uuid, UUID);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(dbus_vm_uuid(bad[i], uuid, sizeof(uuid)),
				 -EINVAL);
}

static void test_errors(void **state)
{
	char name[100];

	dbus_error_name(ERROR_NOT_FOUND, name, sizeof(name));
	assert_string_equal(name, "org.armvmd1.Error.NotFound");
	for (int i = 0; i < ERROR_CODE_COUNT; i++) {
		dbus_error_name((enum error_code)i, name, sizeof(name));
		assert_true(sd_bus_interface_name_is_valid(name));
	}
}

static void test_signatures(void **state)
{
	for (int i = 0; i < DBUS_INTERFACE_COUNT; i++)
		for (const struct dbus_property *p =
			     dbus_properties((enum dbus_interface)i);
		     p->name; p++)
			assert_true(sd_bus_member_name_is_valid(p->name) &&
				    strchr("sutxba", p->signature[0]));
}

/* hostname_is_valid() of systemd, as far as it goes. */
static bool is_hostname(const char *name)
{
	char before = '.';

	for (const char *p = name; *p; before = *p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW"
			    "XYZ0123456789-.",
			    *p) ||
		    (*p == '.' && (before == '.' || before == '-')) ||
		    (*p == '-' && before == '.'))
			return false;
	return *name && before != '.' && before != '-' && strlen(name) <= 64;
}

static void test_machine_names(void **state)
{
	static const char *const names[][2] = {
		{"web", "web"},
		{"web.example", "web.example"},
		{"a_b", "a-b"},
		{"a.-b", "a--b"},
		{"a-.b", "a--b"},
		{"a..b", "a--b"},
		{"a.", "a"},
		{"a_", "a"},
		{"a-_.", "a"},
		{"0", "0"},
		{"web.eu-1", "web.eu-1"},
	};
	char name[65], long_name[65];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		machine_name(names[i][0], name);
		assert_string_equal(name, names[i][1]);
		assert_true(is_hostname(name));
	}
	memset(long_name, 'x', 64);
	long_name[64] = '\0';
	machine_name(long_name, name);
	assert_string_equal(name, long_name);
	long_name[63] = '.';
	machine_name(long_name, name);
	assert_true(is_hostname(name));
	assert_int_equal(strlen(name), 63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_method_is_there,
						setup, teardown),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_machine_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
