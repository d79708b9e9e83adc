#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/json.h"

struct wheel {
	char *name;
	uint64_t size;
};

struct car {
	char *name;
	bool fast;
	uint32_t doors;
	uint64_t serial;
	int64_t offset;
	uint64_t tank;
	int colour;
	struct wheel spare;
	struct wheel *wheels;
	size_t n_wheels;
	json_object *extra;
};

static const char *check_name(const char *name)
{
	return *name == '-' ? "a name that starts with a letter" : NULL;
}

static const char *const colours[] = {"red", "green", "blue", NULL};

#define WHEEL(member) offsetof(struct wheel, member)
#define CAR(member)   offsetof(struct car, member)

static const struct json_field wheel_fields[] = {
	{"name", JSON_STRING, WHEEL(name), JSON_REQUIRED},
	{"size", JSON_SIZE, WHEEL(size), .min = 4, .max = MIB(4)},
	JSON_END,
};

static const struct json_field car_fields[] = {
	{"name", JSON_STRING, CAR(name), JSON_REQUIRED, .min = 1, .max = 8,
	 .check = check_name, .doc = "what it is called"},
	{"fast", JSON_BOOL, CAR(fast), JSON_OMIT_EMPTY},
	{"doors", JSON_U32, CAR(doors), .min = 1, .max = 5},
	{"serial", JSON_U64, CAR(serial), JSON_OMIT_EMPTY},
	{"offset", JSON_I64, CAR(offset), JSON_OMIT_EMPTY, .min = -5, .max = 5},
	{"tank", JSON_SIZE, CAR(tank), JSON_OMIT_EMPTY},
	{"colour", JSON_ENUM, CAR(colour), .names = colours},
	{"spare", JSON_OBJECT, CAR(spare), .sub = wheel_fields},
	{"wheels", JSON_ARRAY, CAR(wheels), JSON_OMIT_EMPTY, .max = 3,
	 .sub = wheel_fields, .element_size = sizeof(struct wheel),
	 .count_offset = CAR(n_wheels)},
	{"extra", JSON_ANY, CAR(extra), JSON_OMIT_EMPTY},
	JSON_END,
};

static int decode(const char *text, struct car *car, struct error *e)
{
	_cleanup_json_ json_object *o = NULL;

	assert_int_equal(json_parse(text, strlen(text), &o, e), 0);
	return json_decode(o, car_fields, car, "", e);
}

static void test_decode_everything(void **state)
{
	struct car car = {.doors = 3};
	struct error e = ERROR_INIT;

	assert_int_equal(
		decode("{\"name\":\"beetle\",\"fast\":true,"
		       "\"serial\":18446744073709551615,\"offset\":-5,"
		       "\"tank\":\"1.5KiB\",\"colour\":\"blue\","
		       "\"spare\":{\"name\":\"s\",\"size\":4},"
		       "\"wheels\":[{\"name\":\"a\"},{\"name\":\"b\"}],"
		       "\"extra\":{\"x\":[1,2]}}",
		       &car, &e),
		0);
	assert_string_equal(car.name, "beetle");
	assert_true(car.fast);
	assert_int_equal(car.doors, 3);
	assert_true(car.serial == UINT64_MAX);
	assert_int_equal(car.offset, -5);
	assert_int_equal(car.tank, 1536);
	assert_int_equal(car.colour, 2);
	assert_string_equal(car.spare.name, "s");
	assert_int_equal(car.n_wheels, 2);
	assert_string_equal(car.wheels[1].name, "b");
	assert_string_equal(json_text(car.extra), "{\"x\":[1,2]}");
	json_release(car_fields, &car);
	assert_null(car.name);
	assert_null(car.wheels);
	assert_int_equal(car.n_wheels, 0);
	assert_null(car.extra);
}

static void test_round_trip(void **state)
{
	static const char *const texts[] = {
		"{\"name\":\"a/b\",\"doors\":2,\"colour\":\"red\","
		"\"spare\":{\"name\":\"s\",\"size\":64}}",
		"{\"name\":\"x\",\"fast\":true,\"doors\":5,\"serial\":7,"
		"\"offset\":-1,\"tank\":9,\"colour\":\"green\","
		"\"spare\":{\"name\":\"\",\"size\":4},"
		"\"wheels\":[{\"name\":\"\\n\\u0001\",\"size\":5}],"
		"\"extra\":null}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct car car = {0};
		json_object *o;
		size_t same;

		assert_int_equal(decode(texts[i], &car, NULL), 0);
		o = json_encode(car_fields, &car);
		/* A null JSON_ANY is empty, so it is left out. */
		same = strlen(json_text(o)) - 1;
		assert_memory_equal(json_text(o), texts[i], same);
		json_object_put(o);
		json_release(car_fields, &car);
	}
}

static void test_null_is_absent(void **state)
{
	struct error e = ERROR_INIT;
	struct car car = {.doors = 4};

	assert_int_equal(decode("{\"name\":\"a\",\"doors\":null,"
				"\"wheels\":null}",
				&car, &e),
			 0);
	assert_int_equal(car.doors, 4);
	json_release(car_fields, &car);
	assert_int_equal(decode("{\"name\":null}", &car, &e), -EINVAL);
	assert_string_equal(e.message, "name: is required");
	json_release(car_fields, &car);
}

struct bad_case {
	const char *text, *message;
};

static const struct bad_case bad_cases[] = {
	{"[]", "the document: an array is not an object"},
	{"{}", "name: is required"},
	{"{\"name\":7}", "name: 7 is not a string"},
	{"{\"name\":\"\"}", "name: \"\" is too short; at least 1 bytes"},
	{"{\"name\":\"123456789\"}",
	 "name: \"123456789\" is too long; at most 8 bytes"},
	{"{\"name\":\"-a\"}",
	 "name: \"-a\" is not a name that starts with a letter"},
	{"{\"name\":\"a\\u0000b\"}",
	 "name: \"a\\u0000b\" is not a string without NUL"},
	{"{\"name\":\"a\",\"dors\":1}",
	 "dors: unknown field; did you mean \"doors\"?"},
	{"{\"name\":\"a\",\"zzzz\":1}",
	 "zzzz: unknown field; known are name, fast, doors, serial, offset, "
	 "tank, colour, spare, wheels, extra"},
	{"{\"name\":\"a\",\"fast\":1}", "fast: 1 is not true or false"},
	{"{\"name\":\"a\",\"doors\":6}",
	 "doors: 6 is not a whole number from 1 to 5"},
	{"{\"name\":\"a\",\"doors\":-1}",
	 "doors: -1 is not a whole number from 1 to 5"},
	{"{\"name\":\"a\",\"doors\":4294967297}",
	 "doors: 4294967297 is not a whole number from 1 to 5"},
	{"{\"name\":\"a\",\"doors\":2.0}",
	 "doors: 2.0 is not a whole number from 1 to 5"},
	{"{\"name\":\"a\",\"doors\":\"2\"}",
	 "doors: \"2\" is not a whole number from 1 to 5"},
	{"{\"name\":\"a\",\"offset\":6}",
	 "offset: 6 is not a whole number from -5 to 5"},
	{"{\"name\":\"a\",\"offset\":18446744073709551615}",
	 "offset: 18446744073709551615 is not a whole number from -5 to 5"},
	{"{\"name\":\"a\",\"tank\":\"12Q\"}",
	 "tank: \"12Q\" is not a size; use e.g. 2GiB"},
	{"{\"name\":\"a\",\"tank\":-1}",
	 "tank: -1 is not a size; use bytes or e.g. \"2GiB\""},
	{"{\"name\":\"a\",\"spare\":{\"name\":\"s\",\"size\":\"5M\"}}",
	 "spare.size: \"5M\" is not from 4 B to 4.0 MiB"},
	{"{\"name\":\"a\",\"colour\":\"gren\"}",
	 "colour: \"gren\" is not one of red, green, blue; did you mean "
	 "\"green\"?"},
	{"{\"name\":\"a\",\"colour\":\"mauve\"}",
	 "colour: \"mauve\" is not one of red, green, blue"},
	{"{\"name\":\"a\",\"spare\":[]}", "spare: an array is not an object"},
	{"{\"name\":\"a\",\"wheels\":{}}", "wheels: an object is not an array"},
	{"{\"name\":\"a\",\"wheels\":[{\"name\":\"b\"},{}]}",
	 "wheels[1].name: is required"},
	{"{\"name\":\"a\",\"wheels\":[{\"name\":\"b\"},{\"nam\":\"b\"}]}",
	 "wheels[1].nam: unknown field; did you mean \"name\"?"},
	{"{\"name\":\"a\",\"wheels\":[{},{},{},{}]}",
	 "wheels: 4 elements are too many; at most 3"},
	{"{\"name\":\"a\",\"wheels\":[null]}",
	 "wheels[0]: null is not an object"},
};

static void test_refusals(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_cases); i++) {
		struct error e = ERROR_INIT;
		struct car car = {0};

		assert_int_equal(decode(bad_cases[i].text, &car, &e), -EINVAL);
		assert_string_equal(e.message, bad_cases[i].message);
		json_release(car_fields, &car);
	}
}

static void test_parse_refusals(void **state)
{
	static const char *const bad[] = {
		"",	     " ",	  "{",
		"{}x",	     "{}{}",	  "[1,]",
		"nul",	     "[NaN]",	  "{\"a\":-Infinity}",
		"\"\xff\"",  "1 2",	  "/**/1",
		"{\"a\" 1}", "\"\\u12\"", "[1,2",
		"\"open",
	};
	json_object *o = (json_object *)&o;
	struct error e;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(json_parse(bad[i], strlen(bad[i]), &o, &e),
				 -EILSEQ);
		assert_int_equal(e.code, ERROR_PARSE);
	}
	assert_int_equal(json_parse("1\0", 2, &o, &e), -EILSEQ);
	assert_ptr_equal(o, &o);
	assert_int_equal(json_parse("{\"a\":1,}", 8, &o, &e), -EILSEQ);
	assert_string_equal(e.message,
			    "not JSON at byte 7: unexpected character");
}

static void test_parse_depth(void **state)
{
	char text[2 * JSON_DEPTH_MAX];
	json_object *o = NULL;

	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	assert_int_equal(json_parse(text + 1, sizeof(text) - 2, &o, NULL), 0);
	json_object_put(o);
	memset(text, '[', sizeof(text));
	assert_int_equal(json_parse(text, sizeof(text), &o, NULL), -EILSEQ);
}

static void test_parse_scalars(void **state)
{
	json_object *o = NULL;

	assert_int_equal(json_parse("42", 2, &o, NULL), 0);
	assert_string_equal(json_text(o), "42");
	json_object_put(o);
	/* Only `size` bytes count; the text need not end there. */
	assert_int_equal(json_parse("[1]garbage", 3, &o, NULL), 0);
	assert_string_equal(json_text(o), "[1]");
	json_object_put(o);
	assert_int_equal(json_parse("null", 4, &o, NULL), 0);
	assert_null(o);
}

static void test_schema(void **state)
{
	json_object *o = json_schema(car_fields);

	assert_string_equal(
		json_text(o),
		"{\"type\":\"object\",\"properties\":{"
		"\"name\":{\"description\":\"what it is called\","
		"\"type\":\"string\",\"minLength\":1,\"maxLength\":8},"
		"\"fast\":{\"type\":\"boolean\"},"
		"\"doors\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":5},"
		"\"serial\":{\"type\":\"integer\",\"minimum\":0},"
		"\"offset\":{\"type\":\"integer\",\"minimum\":-5,"
		"\"maximum\":5},"
		"\"tank\":{\"type\":[\"integer\",\"string\"],\"pattern\":"
		"\"^[0-9]+(\\\\.[0-9]{1,6})? ?"
		"([bB]|[kKmMgGtT]([iI][bB])?)?$\"},"
		"\"colour\":{\"enum\":[\"red\",\"green\",\"blue\"]},"
		"\"spare\":{\"type\":\"object\",\"properties\":{"
		"\"name\":{\"type\":\"string\"},"
		"\"size\":{\"type\":[\"integer\",\"string\"],\"pattern\":"
		"\"^[0-9]+(\\\\.[0-9]{1,6})? ?"
		"([bB]|[kKmMgGtT]([iI][bB])?)?$\","
		"\"minimum\":4,\"maximum\":4194304}},"
		"\"required\":[\"name\"],\"additionalProperties\":false},"
		"\"wheels\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
		"\"properties\":{\"name\":{\"type\":\"string\"},"
		"\"size\":{\"type\":[\"integer\",\"string\"],\"pattern\":"
		"\"^[0-9]+(\\\\.[0-9]{1,6})? ?"
		"([bB]|[kKmMgGtT]([iI][bB])?)?$\","
		"\"minimum\":4,\"maximum\":4194304}},"
		"\"required\":[\"name\"],\"additionalProperties\":false},"
		"\"maxItems\":3},\"extra\":{}},"
		"\"required\":[\"name\"],\"additionalProperties\":false}");
	json_object_put(o);
}

struct dial {
	uint64_t marks[3];
};

static const struct json_field dial_fields[] = {
	{"marks", JSON_U64S, offsetof(struct dial, marks), JSON_OMIT_EMPTY,
	 .max = 3},
	JSON_END,
};

static int decode_dial(const char *text, struct dial *dial, struct error *e)
{
	_cleanup_json_ json_object *o = NULL;

	assert_int_equal(json_parse(text, strlen(text), &o, e), 0);
	return json_decode(o, dial_fields, dial, "", e);
}

static void assert_dial(const struct dial *dial, const char *text)
{
	json_object *o = json_encode(dial_fields, dial);

	assert_string_equal(json_text(o), text);
	json_object_put(o);
}

static void test_numbers(void **state)
{
	struct dial dial = {{7, 7, 7}};
	struct error e = ERROR_INIT;

	assert_int_equal(
		decode_dial("{\"marks\":[0,18446744073709551615]}", &dial, &e),
		0);
	assert_true(dial.marks[1] == UINT64_MAX && dial.marks[2] == 0);
	assert_dial(&dial, "{\"marks\":[0,18446744073709551615]}");
	assert_int_equal(decode_dial("{\"marks\":[]}", &dial, &e), 0);
	assert_dial(&dial, "{}");
	assert_int_equal(decode_dial("{\"marks\":[1,2,3,4]}", &dial, &e),
			 -EINVAL);
	assert_string_equal(e.message,
			    "marks: 4 elements are too many; at most 3");
	assert_int_equal(decode_dial("{\"marks\":[1,-2]}", &dial, &e), -EINVAL);
	assert_non_null(
		strstr(e.message, "marks[1]: -2 is not a whole number"));
	assert_int_equal(decode_dial("{\"marks\":5}", &dial, &e), -EINVAL);
	json_release(dial_fields, &dial);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_everything),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_null_is_absent),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_parse_refusals),
		cmocka_unit_test(test_parse_depth),
		cmocka_unit_test(test_parse_scalars),
		cmocka_unit_test(test_schema),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
