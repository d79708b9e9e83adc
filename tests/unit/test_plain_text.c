#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/plain_text.h"

static const struct {
	const char *text, *plain;
} cases[] = {
	{"a\tb\r\nc\n", "a\tb\nc\n"},
	{"\033[31mred\033[0m", "red"},
	{"\033]0;title\007text", "text"},	  /* window title */
	{"\033]52;c;cm0gLXJm\033\\text", "text"}, /* clipboard */
	{"\033P$q\"p\033\\x", "x"},
	{"\033[?25l\033[2J\033[1;1Hhome", "home"},
	{"\033(Bplain\033=", "plain"},
	{"\033c after", " after"}, /* reset */
	{"bell\a, back\b, del\177.", "bell, back, del."},
	{"\302\23331mC1\302\2350;t\007x", "C1x"},
	{"caf\303\251 \302\265s \302\240.", "caf\303\251 \302\265s \302\240."},
	/* What has no end hides no more than the line. */
	{"\033]0;no end\nnext", "\nnext"},
	{"\033[12\nnext", "\nnext"},
	{"\033\033[31mx", "x"},
	{"\033", ""},
};

static void test_whole(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf out = {0};
		struct plain_text p = {0};

		assert_int_equal(plain_text_filter(&p, cases[i].text,
						   strlen(cases[i].text), &out),
				 0);
		assert_string_equal(out.data ? out.data : "", cases[i].plain);
	}
}

static void test_in_pieces(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf out = {0};
		struct plain_text p = {0};

		for (const char *c = cases[i].text; *c; c++)
			assert_int_equal(plain_text_filter(&p, c, 1, &out), 0);
		assert_string_equal(out.data ? out.data : "", cases[i].plain);
	}
}

/* Whatever comes, nothing but text, newline and tab goes out. */
static void test_anything(void **state)
{
	uint32_t seed = 1;

	for (int round = 0; round < 2000; round++) {
		_cleanup_buf_ struct buf out = {0};
		struct plain_text p = {0};
		char noise[64];

		for (size_t i = 0; i < sizeof(noise); i++) {
			seed = seed * 1664525 + 1013904223;
			noise[i] = "\033\302\233[];m\007\n\\a\200\237"[(seed >>
									16) %
								       14];
		}
		assert_int_equal(
			plain_text_filter(&p, noise, sizeof(noise), &out), 0);
		for (size_t i = 0; i < out.size; i++) {
			unsigned char c = (unsigned char)out.data[i];

			assert_true(c >= 0x20 || c == '\n' || c == '\t');
			assert_false(c == 0xc2 && i + 1 < out.size &&
				     (unsigned char)out.data[i + 1] >= 0x80 &&
				     (unsigned char)out.data[i + 1] <= 0x9f);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_in_pieces),
		cmocka_unit_test(test_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
