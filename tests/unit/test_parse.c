#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/parse.h"

static void test_size(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"4096", 4096},
		{"17B", 17},
		{"2G", GIB(2)},
		{"2GiB", GIB(2)},
		{"2 GiB", GIB(2)},
		{"512m", MIB(512)},
		{"1.5G", MIB(1536)},
		{"0.000001M", 1},
		{"1T", GIB(1024)},
		{"16777215T", 16777215 * GIB(1024)},
		{"18446744073709551615", UINT64_MAX},
	};
	static const char *const bad[] = {
		"",
		"G",
		"12Q",
		"-1",
		"+1",
		" 1",
		"1.G",
		"1.5",
		"1.5B",
		"2GB",
		"0x10",
		"1  G",
		"1G ",
		"1.1234567G",
		"1,5G",
		"1e3",
		"\xff",
		"16777216T",
		"18446744073709551616",
	};
	uint64_t bytes;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(parse_size(good[i].text, "m", &bytes, NULL),
				 0);
		assert_int_equal(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		bytes = 77;
		assert_int_equal(parse_size(bad[i], "m", &bytes, NULL),
				 -EINVAL);
		assert_int_equal(bytes, 77);
	}
}

static void test_size_messages(void **state)
{
	struct error e = ERROR_INIT;
	uint64_t bytes;

	assert_int_equal(parse_size("12Q", "memory", &bytes, &e), -EINVAL);
	assert_string_equal(e.message,
			    "memory: \"12Q\" is not a size; use e.g. 2GiB");
	assert_int_equal(parse_size("99999999T", "memory", &bytes, &e),
			 -EINVAL);
	assert_string_equal(e.message, "memory: \"99999999T\" is too large");
}

static void test_duration(void **state)
{
	struct error e = ERROR_INIT;
	uint64_t ms;

	assert_int_equal(parse_duration("5s", "t", &ms, NULL), 0);
	assert_int_equal(ms, 5000);
	assert_int_equal(parse_duration("250ms", "t", &ms, NULL), 0);
	assert_int_equal(ms, 250);
	assert_int_equal(parse_duration("1.5h", "t", &ms, NULL), 0);
	assert_int_equal(ms, 5400000);
	assert_int_equal(parse_duration("30", "t", &ms, NULL), 0);
	assert_int_equal(ms, 30000);
	assert_int_equal(parse_duration("2m", "t", &ms, NULL), 0);
	assert_int_equal(ms, 120000);
	assert_int_equal(parse_duration("0.5ms", "t", &ms, NULL), -EINVAL);
	assert_int_equal(parse_duration("soon", "--timeout", &ms, &e), -EINVAL);
	assert_string_equal(e.message, "--timeout: \"soon\" is not a duration; "
				       "use e.g. 5s, 250ms or 2m");
	assert_int_equal(parse_duration("18446744073709551615", "t", &ms, &e),
			 -EINVAL);
}

static void test_u64(void **state)
{
	struct error e = ERROR_INIT;
	uint64_t n;

	assert_int_equal(parse_u64("512", "vcpus", 1, 512, &n, NULL), 0);
	assert_int_equal(n, 512);
	assert_int_equal(parse_u64("513", "vcpus", 1, 512, &n, &e), -EINVAL);
	assert_string_equal(e.message,
			    "vcpus: \"513\" is not a number from 1 to 512");
	assert_int_equal(n, 512);
	assert_int_equal(parse_u64("0", "x", 1, 5, &n, NULL), -EINVAL);
	assert_int_equal(parse_u64("3x", "x", 1, 5, &n, NULL), -EINVAL);
	assert_int_equal(parse_u64("", "x", 0, 5, &n, NULL), -EINVAL);
}

static void test_mac(void **state)
{
	static const char *const bad[] = {
		"",
		"52:54:00:12:34",
		"52-54-00-12-34-56",
		"52:54:00:12:34:5g",
		"52:54:00:12:34:56:",
		"5:54:00:12:34:567",
		"53:54:00:12:34:56",
		"ff:ff:ff:ff:ff:ff",
		"00:00:00:00:00:00",
	};
	const uint8_t expected[6] = {0x52, 0x54, 0x00, 0xaB, 0xcd, 0xef};
	struct error e = ERROR_INIT;
	uint8_t mac[6] = {0};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_mac(bad[i], "m", mac, &e), -EINVAL);
	assert_int_equal(mac[0], 0);
	assert_int_equal(parse_mac("52:54:00:aB:cd:EF", "m", mac, NULL), 0);
	assert_memory_equal(mac, expected, 6);
	assert_int_equal(parse_mac("53:54:00:12:34:56", "nics[0].mac", mac, &e),
			 -EINVAL);
	assert_non_null(strstr(e.message, "nics[0].mac: "));
	assert_non_null(strstr(e.message, "multicast"));
}

static void test_format(void **state)
{
	char b[16];

	assert_string_equal(format_size(17, b, sizeof(b)), "17 B");
	assert_string_equal(format_size(1023, b, sizeof(b)), "1023 B");
	assert_string_equal(format_size(GIB(2), b, sizeof(b)), "2.0 GiB");
	assert_string_equal(format_size(MIB(512), b, sizeof(b)), "512 MiB");
	assert_string_equal(format_size(MIB(1536), b, sizeof(b)), "1.5 GiB");
	assert_string_equal(format_size(GIB(16), b, sizeof(b)), "16 GiB");
	assert_string_equal(format_size(UINT64_MAX, b, sizeof(b)), "16 EiB");
	assert_string_equal(format_uptime(0, b, sizeof(b)), "0s");
	assert_string_equal(format_uptime(59, b, sizeof(b)), "59s");
	assert_string_equal(format_uptime(3599, b, sizeof(b)), "59m");
	assert_string_equal(format_uptime(7200, b, sizeof(b)), "2h");
	assert_string_equal(format_uptime(12 * 86400, b, sizeof(b)), "12d");
}

static void test_uuid(void **state)
{
	char a[UUID_TEXT_SIZE], b[UUID_TEXT_SIZE];

	uuid_random(a);
	uuid_random(b);
	assert_true(uuid_valid(a));
	assert_string_not_equal(a, b);
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	assert_false(uuid_valid(""));
	assert_false(uuid_valid("7c3e9a0e-0000-4000-8000-00000000000"));
	assert_false(uuid_valid("7c3e9a0e-0000-4000-8000-0000000000000"));
	assert_false(uuid_valid("7C3E9A0E-0000-4000-8000-000000000000"));
	assert_false(uuid_valid("7c3e9a0e00000-4000-8000-000000000000"));
	assert_true(uuid_valid("7c3e9a0e-0000-4000-8000-000000000000"));
}

static void test_closest(void **state)
{
	const char *const list[] = {"web", "db", "build", "shutdown", NULL};
	char huge[200];

	assert_string_equal(parse_closest("wbe", list), "web");
	assert_string_equal(parse_closest("shutdwon", list), "shutdown");
	assert_string_equal(parse_closest("biuld", list), "build");
	assert_string_equal(parse_closest("buil", list), "build");
	assert_null(parse_closest("bi", list));
	assert_null(parse_closest("x", list));
	assert_null(parse_closest("", list));
	assert_null(parse_closest("restart", list));
	memset(huge, 'a', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_null(parse_closest(huge, list));
	assert_null(parse_closest("web", (const char *[]){huge, NULL}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_size_messages),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_uuid),
		cmocka_unit_test(test_closest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
