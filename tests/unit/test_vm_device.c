#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/model/vm_device.h"

static void test_states_by_name(void **state)
{
	enum vm_device_state found = VM_DEVICE_FIXED;

	for (int i = 0; i < VM_DEVICE_STATE_COUNT; i++) {
		assert_int_equal(vm_device_state_by_name(
					 vm_device_state_name(i), &found),
				 0);
		assert_int_equal(found, i);
	}
	assert_int_equal(vm_device_state_by_name("", &found), -EINVAL);
	assert_int_equal(vm_device_state_by_name("Active", &found), -EINVAL);
	assert_int_equal(found, VM_DEVICE_FIXED);
}

static void test_kinds_by_name(void **state)
{
	enum vm_device_kind found = VM_DEVICE_DISK;

	assert_int_equal(vm_device_kind_by_name("nic", &found), 0);
	assert_int_equal(found, VM_DEVICE_NIC);
	assert_string_equal(vm_device_kind_name(VM_DEVICE_DISK), "disk");
	assert_int_equal(vm_device_kind_by_name("disks", &found), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states_by_name),
		cmocka_unit_test(test_kinds_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
