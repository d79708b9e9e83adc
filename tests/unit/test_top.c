#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/top.h"

static void add(struct top_list *l, const char *text)
{
	json_object *o = NULL;
	struct error e = ERROR_INIT;

	assert_int_equal(json_parse(text, strlen(text), &o, &e), 0);
	assert_int_equal(top_list_add(l, o, &e), 0);
	json_object_put(o);
}

static void add_vm(struct top_list *l, const char *name, unsigned t,
		   unsigned cpu, unsigned read)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "{\"name\":\"%s\",\"uuid\":\"u-%s\",\"state\":\"running\","
		 "\"vcpus\":2,\"memory\":1073741824,\"resident\":%u,"
		 "\"totals\":{\"time_ns\":%u000000000,\"cpu_ns\":%u000000000,"
		 "\"exits\":%u,\"disk_read\":%u,\"disk_written\":1000,"
		 "\"disk_requests\":1,\"net_received\":%u,\"net_sent\":7}}",
		 name, name, 1000 - cpu, t, cpu, 100 * cpu, read, 10 * cpu);
	add(l, text);
}

static void test_rates(void **state)
{
	struct top_list before = {0}, now = {0};

	add_vm(&before, "b", 10, 1, 4096);
	add_vm(&before, "a", 10, 2, 0);
	add_vm(&before, "gone", 10, 2, 0);
	add_vm(&now, "a", 14, 4, 0);
	add_vm(&now, "b", 12, 2, 8192);
	add_vm(&now, "new", 12, 9, 0);
	add(&now, "{\"name\":\"mute\",\"uuid\":\"u-mute\",\"state\":"
		  "\"starting\",\"error\":\"it does not answer\"}");
	top_list_rate(&now, &before);
	assert_true(now.vms[0].rated && now.vms[1].rated);
	assert_false(now.vms[2].rated || now.vms[3].rated);
	assert_true(now.vms[0].cpu == 0.5);
	assert_true(now.vms[0].exits == 50);
	assert_true(now.vms[0].net_received == 5);
	assert_true(now.vms[0].net_sent == 0);
	assert_true(now.vms[1].disk_read == 2048);
	assert_true(now.vms[1].disk_written == 0);
	top_list_done(&before);
	top_list_done(&now);
}

/* One that was started anew counts from its start, not below zero. */
static void test_a_restart(void **state)
{
	struct top_list before = {0}, now = {0};

	add_vm(&before, "a", 10, 100, 1 << 20);
	add_vm(&now, "a", 12, 1, 2048);
	top_list_rate(&now, &before);
	assert_true(now.vms[0].cpu == 0.5);
	assert_true(now.vms[0].disk_read == 1024);
	/* The same answer twice has no rate. */
	now.vms[0].rated = false;
	before.vms[0].now.time_ns = now.vms[0].now.time_ns;
	top_list_rate(&now, &before);
	assert_false(now.vms[0].rated);
	top_list_done(&before);
	top_list_done(&now);
}

static void expect_order(struct top_list *l, enum top_order order, bool reverse,
			 const char *want)
{
	char names[64] = "";

	top_list_sort(l, order, reverse);
	for (size_t i = 0; i < l->n; i++)
		strcat(names, l->vms[i].name);
	assert_string_equal(names, want);
}

static void test_order(void **state)
{
	struct top_list before = {0}, now = {0};

	add_vm(&before, "b", 10, 0, 0);
	add_vm(&before, "a", 10, 0, 0);
	add_vm(&before, "c", 10, 0, 0);
	add_vm(&now, "b", 11, 3, 10);
	add_vm(&now, "a", 11, 1, 10);
	add_vm(&now, "c", 11, 2, 30);
	top_list_rate(&now, &before);
	expect_order(&now, TOP_BY_CPU, false, "bca");
	expect_order(&now, TOP_BY_CPU, true, "acb");
	expect_order(&now, TOP_BY_NAME, false, "abc");
	expect_order(&now, TOP_BY_NAME, true, "cba");
	/* Equal ones by name. */
	expect_order(&now, TOP_BY_DISK, false, "cab");
	expect_order(&now, TOP_BY_MEMORY, false, "acb");
	expect_order(&now, TOP_BY_NET, false, "bca");
	expect_order(&now, TOP_BY_EXITS, false, "bca");
	top_list_sort(&(struct top_list){0}, TOP_BY_CPU, false);
	top_list_done(&before);
	top_list_done(&now);
}

static size_t lines_of(const struct buf *b, size_t widest)
{
	size_t lines = 0, width = 0;

	for (size_t i = 0; i < b->size; i++) {
		if (b->data[i] != '\n') {
			width++;
			continue;
		}
		assert_in_range(width, 0, widest);
		width = 0;
		lines++;
	}
	return lines;
}

static void test_drawing(void **state)
{
	struct top_list l = {0};
	struct top_view v = {.rows = 10, .columns = 40};
	struct buf out = {0};
	char name[40];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "a-name-of-some-length-%03d", i);
		add_vm(&l, name, 10, 1, 1);
	}
	assert_int_equal(top_page(&v), 7);
	assert_int_equal(top_draw(&l, &v, &out), 0);
	assert_int_equal(lines_of(&out, 40), 10);
	assert_non_null(strstr(out.data, "length-006"));
	assert_null(strstr(out.data, "length-007"));
	out.size = 0;
	v.first = 98;
	v.help = true;
	assert_int_equal(top_page(&v), 5);
	assert_int_equal(top_draw(&l, &v, &out), 0);
	assert_int_equal(lines_of(&out, 40), 7);
	assert_non_null(strstr(out.data, "length-098"));
	/* Smaller than its own headings, and without end. */
	v = (struct top_view){.rows = 1, .columns = 1};
	out.size = 0;
	assert_int_equal(top_draw(&l, &v, &out), 0);
	assert_int_equal(lines_of(&out, 1), 4);
	v = (struct top_view){0};
	out.size = 0;
	assert_int_equal(top_draw(&l, &v, &out), 0);
	assert_int_equal(lines_of(&out, 200), 103);
	buf_done(&out);
	top_list_done(&l);
}

static void test_hostile_answers(void **state)
{
	struct top_list l = {0};
	struct error e = ERROR_INIT;
	json_object *o = json_object_new_object();

	add(&l, "{\"name\":\"a\\u001b[2Jb\",\"state\":3}");
	assert_string_equal(l.vms[0].name, "a?[2Jb");
	json_object_object_add(o, "totals", json_object_new_string("none"));
	assert_int_equal(top_list_add(&l, o, &e), -EINVAL);
	json_object_put(o);
	add(&l, "[]");
	assert_int_equal(l.n, 2);
	top_list_done(&l);
}

static void test_json(void **state)
{
	struct top_list l = {0};
	json_object *o;

	add_vm(&l, "a", 10, 1, 1);
	l.vms[0].rated = true;
	l.vms[0].cpu = 0.12345;
	o = top_vm_to_json(&l.vms[0]);
	assert_true(json_object_get_double(field_get(o, "cpu_percent")) ==
		    12.35);
	assert_int_equal(field_u64(o, "memory"), 1073741824);
	json_object_put(o);
	top_list_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_a_restart),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_drawing),
		cmocka_unit_test(test_hostile_answers),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
