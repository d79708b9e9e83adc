#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/model/vm_state.h"

static void test_names(void **state)
{
	enum vm_state found = VM_CRASHED;

	for (int i = 0; i < VM_STATE_COUNT; i++) {
		assert_int_equal(vm_state_by_name(vm_state_name(i), &found), 0);
		assert_int_equal(found, i);
	}
	assert_int_equal(vm_state_by_name("idle", &found), -EINVAL);
	assert_int_equal(vm_state_by_name("", &found), -EINVAL);
	assert_int_equal(found, VM_STATE_COUNT - 1);
	assert_false(vm_state_active(VM_STOPPED));
	assert_false(vm_state_active(VM_CRASHED));
	assert_true(vm_state_active(VM_PAUSED));
}

/* One letter per state in the order of the table: '+' is allowed. */
static void test_requests(void **state)
{
	static const char *const expected[VM_REQUEST_COUNT] = {
		[VM_REQUEST_START] = "+-----+",
		[VM_REQUEST_SHUTDOWN] = "--+-+--",
		[VM_REQUEST_STOP] = "-++++--",
		[VM_REQUEST_RESET] = "--+-+--",
		[VM_REQUEST_REBOOT] = "--+----",
		[VM_REQUEST_PAUSE] = "--+-+--",
		[VM_REQUEST_RESUME] = "---+---",
		[VM_REQUEST_CONSOLE] = "-++++--",
		[VM_REQUEST_GUEST] = "--+-+--",
		[VM_REQUEST_BALLOON] = "--+++--",
		[VM_REQUEST_HOTPLUG] = "--++---",
		[VM_REQUEST_SNAPSHOT] = "--++---",
		[VM_REQUEST_RESTORE] = "+-----+",
		[VM_REQUEST_STATS] = "--+++--",
		[VM_REQUEST_DELETE] = "+-----+",
		[VM_REQUEST_RENAME] = "+-----+",
	};

	for (int request = 0; request < VM_REQUEST_COUNT; request++)
		for (int s = 0; s < VM_STATE_COUNT; s++) {
			int r = vm_request_check("web", s, request, NULL);

			assert_int_equal(
				r, expected[request][s] == '+' ? 0 : -EPROTO);
		}
}

/* No state is a dead end, and what runs can be stopped. */
static void test_every_state_has_a_way_on(void **state)
{
	for (int s = 0; s < VM_STATE_COUNT; s++) {
		bool way = s == VM_STOPPING; /* ends by itself */

		for (int r = 0; r < VM_REQUEST_COUNT; r++)
			way |= r != VM_REQUEST_CONSOLE &&
			       vm_request_check("x", s, r, NULL) == 0;
		assert_true(way);
	}
}

static void test_messages(void **state)
{
	struct error e = ERROR_INIT;

	assert_int_equal(
		vm_request_check("web", VM_RUNNING, VM_REQUEST_START, &e),
		-EPROTO);
	assert_int_equal(e.code, ERROR_STATE);
	assert_string_equal(e.message, "web is running; start is possible "
				       "when it is stopped or crashed");
	assert_int_equal(
		vm_request_check("web", VM_STOPPED, VM_REQUEST_STOP, &e),
		-EPROTO);
	assert_string_equal(e.message,
			    "web is stopped; stop is possible when it is "
			    "starting, running, paused or shutting-down");
	assert_int_equal(
		vm_request_check("web", VM_STOPPING, VM_REQUEST_RESUME, &e),
		-EPROTO);
	assert_string_equal(e.message, "web is stopping; resume is possible "
				       "when it is paused");
	assert_string_equal(vm_request_name(VM_REQUEST_DELETE), "delete");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_every_state_has_a_way_on),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
