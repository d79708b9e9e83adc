#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm-kvm/nvram_commits.h"

struct fixture {
	struct run_gate gate;
	struct nvram_commits commits;
};

static int setup(void **state)
{
	static struct fixture f;

	run_gate_init(&f.gate);
	run_gate_set(&f.gate, RUN_GATE_OPEN);
	nvram_commits_init(&f.commits, &f.gate);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	nvram_commits_done(&f->commits);
	run_gate_done(&f->gate);
	return 0;
}

static void expect_next(struct fixture *f, uint64_t offset, uint64_t size)
{
	uint64_t o = 0, s = 0;

	assert_true(nvram_commits_next(&f->commits, &o, &s));
	assert_int_equal(o, offset);
	assert_int_equal(s, size);
}

static void expect_none(struct fixture *f)
{
	uint64_t o, s;

	assert_false(nvram_commits_next(&f->commits, &o, &s));
}

static bool held(struct fixture *f)
{
	return atomic_load(&f->gate.attention);
}

static void test_nothing_at_first(void **state)
{
	struct fixture *f = *state;

	expect_none(f);
	assert_false(nvram_commits_busy(&f->commits));
	nvram_commits_end(&f->commits);
	assert_false(held(f));
}

static void test_one_commit_holds_until_its_end(void **state)
{
	struct fixture *f = *state;

	nvram_commits_add(&f->commits, 0x100, 0x20);
	assert_true(held(f));
	assert_true(nvram_commits_busy(&f->commits));
	expect_next(f, 0x100, 0x20);
	assert_true(held(f));
	assert_true(nvram_commits_busy(&f->commits));
	nvram_commits_end(&f->commits);
	assert_false(held(f));
	assert_false(nvram_commits_busy(&f->commits));
	expect_none(f);
}

static void test_ranges_merge_while_they_wait(void **state)
{
	struct fixture *f = *state;

	nvram_commits_add(&f->commits, 0x100, 0x20);
	nvram_commits_add(&f->commits, 0x40, 0x10);
	nvram_commits_add(&f->commits, 0x110, 0x8);
	expect_next(f, 0x40, 0xe0);
	nvram_commits_end(&f->commits);
	assert_false(held(f));
}

static void test_at_most_one_is_under_way(void **state)
{
	struct fixture *f = *state;

	nvram_commits_add(&f->commits, 0, 8);
	expect_next(f, 0, 8);
	nvram_commits_add(&f->commits, 64, 8);
	expect_none(f);
	/* The end of the first does not free who waits for the second. */
	nvram_commits_end(&f->commits);
	assert_true(held(f));
	expect_next(f, 64, 8);
	nvram_commits_end(&f->commits);
	assert_false(held(f));
}

static void test_an_end_too_many_frees_nobody(void **state)
{
	struct fixture *f = *state;

	nvram_commits_add(&f->commits, 0, 8);
	nvram_commits_end(&f->commits);
	assert_true(held(f));
	expect_next(f, 0, 8);
	nvram_commits_end(&f->commits);
	assert_false(held(f));
}

static void test_empty_range_is_nothing(void **state)
{
	struct fixture *f = *state;

	nvram_commits_add(&f->commits, 8, 0);
	assert_false(held(f));
	expect_none(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_nothing_at_first),
		T(test_one_commit_holds_until_its_end),
		T(test_ranges_merge_while_they_wait),
		T(test_at_most_one_is_under_way),
		T(test_an_end_too_many_frees_nobody),
		T(test_empty_range_is_nothing),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
