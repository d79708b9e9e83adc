#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/utf8.h"

static void test_lengths(void **state)
{
	static const struct {
		const char *text;
		size_t length;
	} cases[] = {
		{"a", 1},
		{"\xc3\xa9x", 2},
		{"\xe2\x82\xac", 3},
		{"\xf0\x9f\x98\x80", 4},
		{"\xf4\x8f\xbf\xbf", 4},
		{"\x80", 0},		 /* a continuation */
		{"\xc0\xaf", 0},	 /* overlong */
		{"\xe0\x9f\xbf", 0},	 /* overlong */
		{"\xed\xa0\x80", 0},	 /* a surrogate */
		{"\xf4\x90\x80\x80", 0}, /* beyond Unicode */
		{"\xf5\x80\x80\x80", 0},
		{"\xe2\x82", 0}, /* cut off */
		{"\xe2x\xac", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(
			utf8_length(cases[i].text, strlen(cases[i].text)),
			cases[i].length);
	assert_int_equal(utf8_length("", 0), 0);
	assert_int_equal(utf8_length("", 1), 1); /* NUL is a character */
}

static void test_unfinished(void **state)
{
	assert_true(utf8_unfinished("\xe2\x82", 2));
	assert_true(utf8_unfinished("\xf0", 1));
	assert_false(utf8_unfinished("\xe2\x82\xac", 3));
	assert_false(utf8_unfinished("a", 1));
	assert_false(utf8_unfinished("\x80", 1));
	assert_false(utf8_unfinished("\xed\xa0", 2));
}

static void test_append(void **state)
{
	_cleanup_buf_ struct buf b = {0};

	assert_int_equal(utf8_append(&b, "a\xff\xc3\xa9\xe2\x82", 6), 0);
	assert_string_equal(b.data, "a\xef\xbf\xbd\xc3\xa9"
				    "\xef\xbf\xbd\xef\xbf\xbd");
	assert_int_equal(utf8_append(&b, "", 0), 0);
	b.size = 0;
	assert_int_equal(utf8_append(&b, "x\0y", 3), 0);
	assert_int_equal(b.size, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_unfinished),
		cmocka_unit_test(test_append),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
