#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/error.h"

static void test_set(void **state)
{
	struct error e = ERROR_INIT;

	assert_int_equal(error_set(&e, -ENOENT, "VM %s does not exist", "web"),
			 -ENOENT);
	assert_int_equal(e.err, ENOENT);
	assert_int_equal(e.code, ERROR_NOT_FOUND);
	assert_string_equal(e.message, "VM web does not exist");
	assert_int_equal(error_set(NULL, -EBUSY, "ignored"), -EBUSY);
	assert_int_equal(error_set_code(&e, ERROR_BAD_IMAGE, "bad"), -EBADMSG);
	assert_int_equal(e.code, ERROR_BAD_IMAGE);
}

static void test_errno_to_code(void **state)
{
	static const struct {
		int err;
		enum error_code code;
	} cases[] = {
		{EPERM, ERROR_DENIED},	       {EACCES, ERROR_DENIED},
		{EDQUOT, ERROR_NO_SPACE},      {ENODEV, ERROR_NOT_SUPPORTED},
		{EXDEV, ERROR_INTERNAL},       {EPROTO, ERROR_STATE},
		{ECANCELED, ERROR_CANCELLED},  {EILSEQ, ERROR_PARSE},
		{ENAMETOOLONG, ERROR_INVALID}, {EMFILE, ERROR_RESOURCE},
	};
	struct error e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		error_set(&e, -cases[i].err, "x");
		assert_int_equal(e.code, cases[i].code);
	}
}

/* Names, JSON-RPC codes and errnos identify a row each. */
static void test_table_is_unambiguous(void **state)
{
	for (int i = 0; i < ERROR_CODE_COUNT; i++) {
		assert_int_equal(error_code_by_name(error_code_name(i)), i);
		assert_int_equal(error_code_by_rpc(error_code_rpc(i)), i);
		assert_int_not_equal(error_code_exit(i), 0);
		assert_true(error_code_errno(i) > 0);
		assert_in_range(error_code_http(i), 400, 599);
	}
	assert_int_equal(error_code_by_name("no such"), ERROR_INTERNAL);
	assert_int_equal(error_code_by_rpc(17), ERROR_INTERNAL);
}

static void test_prefix(void **state)
{
	struct error e = ERROR_INIT;

	error_set(&e, -ENOENT, "no such file");
	assert_int_equal(error_prefix(&e, -EIO, "disk %d", 1), -ENOENT);
	assert_string_equal(e.message, "disk 1: no such file");
	assert_int_equal(e.code, ERROR_NOT_FOUND);
	assert_int_equal(error_prefix(NULL, -EIO, "x"), -EIO);
	e = ERROR_INIT;
	assert_int_equal(error_prefix(&e, -EBUSY, "web"), -EBUSY);
	assert_int_equal(e.code, ERROR_BUSY);
	assert_string_equal(e.message, "web: Device or resource busy");
}

static void test_long_messages_are_cut(void **state)
{
	struct error e = ERROR_INIT;
	char text[2 * ERROR_MESSAGE_MAX];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&e, -EINVAL, "%s", text);
	assert_int_equal(strlen(e.message), ERROR_MESSAGE_MAX - 1);
	error_prefix(&e, -EINVAL, "%s", "why");
	assert_int_equal(strlen(e.message), ERROR_MESSAGE_MAX - 1);
	assert_memory_equal(e.message, "why: xx", 7);
	error_prefix(&e, -EINVAL, "%s", text);
	assert_int_equal(strlen(e.message), ERROR_MESSAGE_MAX - 1);
	/* An argument may be the message itself. */
	error_set(&e, -EINVAL, "short");
	error_set(&e, -EINVAL, "a %s one", e.message);
	assert_string_equal(e.message, "a short one");
}

static void test_messages_are_clean(void **state)
{
	struct error e = ERROR_INIT;

	error_set(&e, -EINVAL, "%s", "a\nb\x1b[31m\x7f");
	assert_string_equal(e.message, "a?b?[31m?");
	error_set(&e, -EINVAL, "%s", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac");
	assert_string_equal(e.message, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac");
	/* Truncated, overlong, surrogate, beyond U+10FFFF, lone bytes. */
	error_set(&e, -EINVAL, "%s", "\xe2\x82");
	assert_string_equal(e.message, "??");
	error_set(&e, -EINVAL, "%s", "\xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80");
	assert_string_equal(e.message, "?? ??? ????");
	error_set(&e, -EINVAL, "%.1s", "\xc3\xbc");
	assert_string_equal(e.message, "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_errno_to_code),
		cmocka_unit_test(test_table_is_unambiguous),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_long_messages_are_cut),
		cmocka_unit_test(test_messages_are_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
