#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm-kvm/notes.h"

#define INTERVAL_NS (NOTES_IO_INTERVAL_MS * 1000000ull)

static void test_errors_are_told_now_and_then(void **state)
{
	char detail[ERROR_MESSAGE_MAX];
	enum vmm_event_kind kind;
	uint64_t wait;
	struct notes n;

	notes_init(&n);
	assert_false(notes_take_io(&n, 1, &kind, detail, &wait));
	assert_int_equal(wait, 0);
	notes_io_error(&n, "first", false);
	assert_true(notes_take_io(&n, 1, &kind, detail, &wait));
	assert_int_equal(kind, VMM_EVENT_IO_ERROR);
	assert_string_equal(detail, "first");
	for (int i = 0; i < 5; i++)
		notes_io_error(&n, i ? "later" : "second", false);
	assert_false(notes_take_io(&n, INTERVAL_NS, &kind, detail, &wait));
	assert_int_equal(wait, 1);
	assert_true(notes_take_io(&n, INTERVAL_NS + 1, &kind, detail, &wait));
	assert_string_equal(detail, "second (and 4 more)");
	assert_int_equal(wait, 0);
	assert_false(notes_take_io(&n, UINT64_MAX, &kind, detail, &wait));
	notes_done(&n);
}

/* One for which the machine stands still does not wait. */
static void test_held_is_told_at_once(void **state)
{
	char detail[ERROR_MESSAGE_MAX];
	enum vmm_event_kind kind;
	uint64_t wait;
	struct notes n;

	notes_init(&n);
	notes_io_error(&n, "first", false);
	assert_true(notes_take_io(&n, 1, &kind, detail, &wait));
	notes_io_error(&n, "reported", false);
	notes_io_error(&n, "held", true);
	notes_io_error(&n, "held, too", true);
	assert_true(notes_take_io(&n, 2, &kind, detail, &wait));
	assert_int_equal(kind, VMM_EVENT_IO_HELD);
	assert_string_equal(detail, "held (and 2 more)");
	notes_io_error(&n, "of a guest that is gone", true);
	notes_drop(&n);
	assert_false(notes_take_io(&n, UINT64_MAX, &kind, detail, &wait));
	notes_done(&n);
}

static void test_others_are_told_once(void **state)
{
	char detail[ERROR_MESSAGE_MAX];
	enum vmm_event_kind kind;
	struct notes n;

	notes_init(&n);
	notes_leave(&n, BOARD_NOTE_BALLOON, MIB(1));
	notes_leave(&n, BOARD_NOTE_BALLOON, MIB(2));
	assert_true(notes_take(&n, &kind, detail));
	assert_int_equal(kind, VMM_EVENT_BALLOON);
	assert_string_equal(detail, "the guest has 2.0 MiB left");
	assert_false(notes_take(&n, &kind, detail));
	notes_done(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors_are_told_now_and_then),
		cmocka_unit_test(test_held_is_told_at_once),
		cmocka_unit_test(test_others_are_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
