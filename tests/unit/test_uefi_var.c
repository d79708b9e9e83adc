#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/uefi/uefi_var.h"

#define GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"

static void test_names(void **state)
{
	static const struct {
		const char *wide; /* CHAR16, little-endian */
		size_t size;
		const char *text;
	} names[] = {
		{"A\0\0\0", 4, "A"},
		{"\xe9\0\xac\x20\0\0", 6, "\xc3\xa9\xe2\x82\xac"},
		{"\x3d\xd8\x00\xde\0\0", 6, "\xf0\x9f\x98\x80"}, /* a pair */
		{"\x3d\xd8\x41\x00\0\0", 6,
		 "\xef\xbf\xbd"
		 "A"}, /* half a pair */
		{"\x00\xde\0\0", 4, "\xef\xbf\xbd"},
		{"A\0B\0", 4, "AB"}, /* no terminator */
		{"A\0\0\0B\0", 6, "A"},
		{"", 0, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *text = uefi_name_to_utf8(
			(const uint8_t *)names[i].wide, names[i].size);

		assert_string_equal(text, names[i].text);
	}
	for (size_t i = 0; i < 3; i++) {
		_cleanup_free_ uint8_t *wide = NULL;
		size_t size = 0;

		assert_int_equal(
			uefi_name_from_utf8(names[i].text, &wide, &size), 0);
		assert_int_equal(size, names[i].size);
		assert_memory_equal(wide, names[i].wide, size);
	}
}

static void test_not_utf8(void **state)
{
	static const char *const wrong[] = {
		"\x80",
		"\xc3",
		"\xc0\x80",
		"\xe0\x80\x80",
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80",
		"\xe2\x82",
	};
	uint8_t *wide = NULL;
	size_t size;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(uefi_name_from_utf8(wrong[i], &wide, &size),
				 -EILSEQ);
	assert_null(wide);
}

static void test_guids_and_attributes(void **state)
{
	static const char *const wrong[] = {
		"",
		"8be4df61-93ca-11d2-aa0d-00e098032b8",
		"8be4df61-93ca-11d2-aa0d-00e098032b8cc",
		"8be4df61-93ca-11d2-aa0d-00e098032b8g",
		"8be4df61x93ca-11d2-aa0d-00e098032b8c",
	};
	uint8_t guid[16];
	char text[UEFI_GUID_TEXT_SIZE], buf[32];

	assert_int_equal(
		uefi_guid_parse("8BE4DF61-93CA-11D2-AA0D-00E098032B8C", guid),
		0);
	assert_int_equal(guid[0], 0x61);
	uefi_guid_format(guid, text);
	assert_string_equal(text, GLOBAL);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(uefi_guid_parse(wrong[i], guid), -EINVAL);
	assert_string_equal(uefi_attributes_text(0x27, buf, 32), "NV,BS,RT,AT");
	assert_string_equal(uefi_attributes_text(0, buf, 32), "");
	assert_string_equal(uefi_attributes_text(0xffffffff, buf, 32),
			    "NV,BS,RT,AT,0xffffffd8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_guids_and_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
