#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/base/cpu_list.h"

static void test_lists(void **state)
{
	struct cpu_list list;

	assert_int_equal(cpu_list_parse("5", &list), 0);
	for (unsigned i = 0; i < CPU_LIST_MAX; i++)
		assert_int_equal(cpu_list_has(&list, i), i == 5);
	assert_int_equal(cpu_list_parse("0-2,7,9-9,1023", &list), 0);
	for (unsigned i = 0; i < CPU_LIST_MAX; i++)
		assert_int_equal(cpu_list_has(&list, i),
				 i <= 2 || i == 7 || i == 9 || i == 1023);
	assert_false(cpu_list_has(&list, CPU_LIST_MAX));
}

static void test_no_lists(void **state)
{
	static const char *const bad[] = {"",
					  ",",
					  "a",
					  "1,",
					  "-1",
					  "3-2",
					  "1-",
					  "1-2-3",
					  " 1",
					  "1 ",
					  "1,,2",
					  "1024",
					  "0x10",
					  "+1",
					  "0-1024",
					  "1.5",
					  "99999999999999999999"};
	struct cpu_list list;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (cpu_list_parse(bad[i], &list) != -EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_no_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
