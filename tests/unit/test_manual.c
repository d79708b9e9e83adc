#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api.h"
#include "lib/model/vm_config.h"

static char *manual(void)
{
	struct error e = ERROR_INIT;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(api_write_manual(f, &e), 0);
	fclose(f);
	return text;
}

static void expect_fields(const char *text, const struct json_field *fields,
			  const char *prefix)
{
	char want[128], path[128];

	for (const struct json_field *f = fields; f->name; f++) {
		snprintf(want, sizeof(want), "\n.TP\n.B %s%s\n", prefix,
			 f->name);
		if (!strstr(text, want))
			fail_msg("the manual lacks %s%s", prefix, f->name);
		assert_non_null(f->doc);
		snprintf(path, sizeof(path), "%s%s%s.", prefix, f->name,
			 f->kind == JSON_ARRAY ? "[]" : "");
		if (f->sub)
			expect_fields(text, f->sub, path);
	}
}

static void test_every_field(void **state)
{
	char *text = manual();

	expect_fields(text, vm_config_fields, "");
	free(text);
}

static void expect(const char *text, const char *field, const char *want)
{
	char head[64];
	const char *at, *end, *found;

	snprintf(head, sizeof(head), "\n.TP\n.B %s\n", field);
	at = strstr(text, head);
	assert_non_null(at);
	end = strstr(at + 1, "\n.TP\n");
	found = strstr(at, want);
	if (!found || (end && found > end))
		fail_msg("%s does not say \"%s\"", field, want);
}

static void test_what_is_said(void **state)
{
	char *text = manual();

	expect(text, "name", "Required; a name: up to 64 letters");
	expect(text, "vcpus", "a number from 1 to 512");
	expect(text, "memory", "or as \"2GiB\"");
	expect(text, "memory", "For example: \"memory\": \"2GiB\"");
	expect(text, "arch", "one of aarch64 or aarch32; default aarch64.");
	expect(text, "labels", "It can be changed while the VM runs.");
	expect(text, "disks", "a list of up to 32");
	expect(text, "disks[].path", "Required; an absolute path");
	free(text);
}

/* No line is taken for a request of roff's that is none. */
static void test_roff(void **state)
{
	static const char *const requests[] = {
		".TP\n", ".B ",	  ".BR ",  ".IR ", ".SH ",  ".PP\n",
		".br\n", ".nf\n", ".fi\n", ".TH ", ".\\\"",
	};
	char *text = manual();

	for (const char *line = text; line && *line;) {
		bool known = *line != '.' && *line != '\'';

		for (size_t i = 0; i < ARRAY_SIZE(requests) && !known; i++)
			known = strncmp(line, requests[i],
					strlen(requests[i])) == 0;
		if (!known)
			fail_msg("not of roff: %.60s", line);
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	free(text);
}

static json_object *parsed(const char *text)
{
	json_object *o = NULL;
	struct error e = ERROR_INIT;

	if (json_parse(text, strlen(text), &o, &e) < 0)
		fail_msg("%s: %s", text, e.message);
	return o;
}

/* Each example is one, beside those of the fields that are required. */
static void expect_examples(const struct json_field *fields)
{
	_Alignas(16) char structure[1024];

	for (const struct json_field *f = fields; f->name; f++) {
		_cleanup_json_ json_object *o = json_object_new_object();
		struct error e = ERROR_INIT;

		if (f->sub)
			expect_examples(f->sub);
		if (!f->example)
			continue;
		for (const struct json_field *r = fields; r->name; r++)
			if (r->flags & JSON_REQUIRED)
				json_object_object_add(o, r->name,
						       parsed(r->example));
		json_object_object_add(o, f->name, parsed(f->example));
		memset(structure, 0, sizeof(structure));
		if (json_decode(o, fields, structure, "", &e) < 0)
			fail_msg("the example of %s: %s", f->name, e.message);
		json_release(fields, structure);
	}
}

static void test_examples(void **state)
{
	assert_true(sizeof(struct vm_config) <= 1024);
	expect_examples(vm_config_fields);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_what_is_said),
		cmocka_unit_test(test_roff),
		cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
