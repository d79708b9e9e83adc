#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "cli/table.h"

static const char *name(json_object *row, char *buf, size_t size)
{
	return field_text(row, "name");
}

static const char *size_of(json_object *row, char *buf, size_t size)
{
	snprintf(buf, size, "%d", (int)field_u64(row, "size"));
	return buf;
}

static const char *note(json_object *row, char *buf, size_t size)
{
	return field_text(row, "note");
}

static const struct output_column columns[] = {
	{"NAME", name}, {"SIZE", size_of, .right = true}, {"NOTE", note}};

static void check(const char *rows, const char *want)
{
	_cleanup_json_ json_object *list = NULL;
	_cleanup_free_ char *text = NULL;
	struct table t;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(json_parse(rows, strlen(rows), &list, NULL), 0);
	assert_int_equal(table_init(&t, columns, ARRAY_SIZE(columns)), 0);
	assert_int_equal(table_add(&t, list), 0);
	table_print(&t, out);
	table_done(&t);
	fclose(out);
	assert_string_equal(text, want);
}

static void test_widths(void **state)
{
	check("[{\"name\": \"a\", \"size\": 5, \"note\": \"x y\"},"
	      "{\"name\": \"longer\", \"size\": 12345, \"note\": \"\"}]",
	      "NAME     SIZE  NOTE\n"
	      "a           5  x y\n"
	      "longer  12345\n");
}

static void test_no_rows(void **state)
{
	check("[]", "NAME  SIZE  NOTE\n");
}

/* U+00E4 is one column wide; ESC, a newline and U+009B (CSI) must not reach a
 * terminal. */
static void test_what_is_in_cells(void **state)
{
	check("[{\"name\": \"\\u00e4\", \"size\": 1, \"note\": \"|\"},"
	      "{\"name\": \"\\u001b[2J\\n\\u009b\", \"size\": 1}]",
	      "NAME     SIZE  NOTE\n"
	      "\xc3\xa4           1  |\n"
	      "?[2J???     1\n");
}

/* More than one run of spaces. */
static void test_a_wide_column(void **state)
{
	char rows[200], want[300], word[81];

	memset(word, 'w', 80);
	word[80] = '\0';
	snprintf(rows, sizeof(rows), "[{\"name\": \"%s\", \"size\": 1}]", word);
	snprintf(want, sizeof(want), "%-80s  SIZE  NOTE\n%s     1\n", "NAME",
		 word);
	check(rows, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_widths),
		cmocka_unit_test(test_no_rows),
		cmocka_unit_test(test_what_is_in_cells),
		cmocka_unit_test(test_a_wide_column),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
