#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>

#include "tests/unit/store_dir.h"

static int64_t add(struct store *s, const char *vm, const char *key)
{
	struct store_job job = {.method = "vm.start",
				.vm = vm,
				.params = "{}",
				.created_ms = 5,
				.key = key};
	int64_t id = 0;

	assert_int_equal(store_job_add(s, &job, &id, NULL), 0);
	return id;
}

static void finish(struct store *s, int64_t id, const char *state, int64_t at)
{
	struct store_job job = {.id = id,
				.state = state,
				.result = "{\"x\":1}",
				.finished_ms = at};

	assert_int_equal(store_job_finish(s, &job, NULL), 0);
}

static int note(void *cookie, const struct store_job *job)
{
	char *text = cookie;

	sprintf(text + strlen(text), "%s:%s:%s:%lld%%:%s ", job->vm, job->state,
		job->step, (long long)job->progress, job->key ? job->key : "-");
	return 0;
}

static void expect(struct store *s, bool running, int64_t before, int64_t limit,
		   const char *want)
{
	char text[256] = "";

	assert_int_equal(
		store_job_each(s, running, before, limit, note, text, NULL), 0);
	assert_string_equal(text, want);
}

static void test_life(void **state)
{
	struct store_dir *d = *state;
	int64_t a = add(d->store, "a", NULL), b = add(d->store, "b", "k");
	char text[128] = "";
	bool found = true;

	assert_int_equal(store_job_step(d->store, a, "guest", 80, NULL), 0);
	finish(d->store, b, "done", 7);
	store_dir_reopen(d);
	expect(d->store, false, INT64_MAX, -1,
	       "b:done::100%:k a:running:guest:80%:- ");
	expect(d->store, true, INT64_MAX, -1, "a:running:guest:80%:- ");
	expect(d->store, false, b, 1, "a:running:guest:80%:- ");
	assert_int_equal(store_job_get(d->store, b, note, text, &found, NULL),
			 0);
	assert_true(found);
	assert_string_equal(text, "b:done::100%:k ");
	assert_int_equal(store_job_get(d->store, 99, note, text, &found, NULL),
			 0);
	assert_false(found);
}

static void test_keys(void **state)
{
	struct store_dir *d = *state;
	struct store_job again = {
		.method = "vm.stop", .vm = "x", .params = "{}", .key = "k"};
	int64_t a = add(d->store, "a", "k"), id = -7;
	char text[128] = "";
	bool found = false;

	add(d->store, "b", NULL);
	add(d->store, "c", NULL);
	assert_int_equal(store_job_add(d->store, &again, &id, NULL), -EEXIST);
	assert_int_equal(id, -7);
	assert_int_equal(
		store_job_by_key(d->store, "k", note, text, &found, NULL), 0);
	assert_true(found);
	assert_string_equal(text, "a:running::0%:k ");
	finish(d->store, a, "failed", 1000);
	/* What runs is never forgotten, what ended is in its time. */
	assert_int_equal(store_job_prune(d->store, 1000, NULL), 0);
	assert_int_equal(
		store_job_by_key(d->store, "k", note, text, &found, NULL), 0);
	assert_true(found);
	assert_int_equal(store_job_prune(d->store, 1001, NULL), 0);
	assert_int_equal(
		store_job_by_key(d->store, "k", note, text, &found, NULL), 0);
	assert_false(found);
	expect(d->store, false, INT64_MAX, -1,
	       "c:running::0%:- "
	       "b:running::0%:- ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(test_life),
		store_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
