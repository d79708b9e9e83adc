#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/crc32.h"

/* The check value every CRC-32 catalogue gives for "123456789". */
static void test_known_values(void **state)
{
	const uint8_t ones[32] = {[0 ... 31] = 0xff};

	assert_int_equal(crc32_ieee(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_ieee(0, "", 0), 0);
	assert_int_equal(crc32_ieee(0, ones, sizeof(ones)), 0xff6cab0b);
}

static void test_pieces_equal_whole(void **state)
{
	const char *text = "The quick brown fox jumps over the lazy dog";
	size_t size = strlen(text);

	for (size_t cut = 0; cut <= size; cut++) {
		uint32_t crc = crc32_ieee(0, text, cut);

		crc = crc32_ieee(crc, text + cut, size - cut);
		assert_int_equal(crc, 0x414fa339);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_values),
		cmocka_unit_test(test_pieces_equal_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
