#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/interface.h"

static void test_one_that_is_there(void **state)
{
	assert_true(interface_index("lo") > 0);
	assert_int_equal(interface_index("lo"), if_nametoindex("lo"));
}

static void test_none_of_that_name(void **state)
{
	char answer[INTERFACE_ANSWER_MAX]
		__attribute__((aligned(__alignof__(long))));

	assert_int_equal(interface_index("armvm-none"), 0);
	assert_int_equal(interface_index(""), 0);
	/* Longer than a name may be: not the one it begins with. */
	assert_int_equal(interface_index("lo-and-much-behind-it"), 0);
	assert_int_equal(interface_ask("armvm-none", answer, sizeof(answer)),
			 -ENODEV);
}

static void test_more_than_there_is_room_for(void **state)
{
	char answer[64] __attribute__((aligned(__alignof__(long))));

	assert_true(interface_ask("lo", answer, sizeof(answer)) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_that_is_there),
		cmocka_unit_test(test_none_of_that_name),
		cmocka_unit_test(test_more_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
