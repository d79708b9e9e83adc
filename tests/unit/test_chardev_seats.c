#include "tests/unit/chardev_fixture.h"

static unsigned writer_changes;

static void on_writer(void *cookie, struct chardev *c)
{
	writer_changes++;
}

static void type(struct fixture *f, int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	turn(f);
}

static uint64_t writer_session(struct fixture *f, const char *want)
{
	const char *who;
	uint64_t session = chardev_writer(f->chardev, &who);

	assert_string_equal(who, want);
	return session;
}

static void test_one_types(void **state)
{
	struct chardev_seat one = {.who = "one"}, two = {.who = "two"};
	struct fixture *f = *state;
	int a, b;

	f->room = 100;
	writer_changes = 0;
	chardev_on_writer(f->chardev, on_writer, NULL);
	assert_int_equal(writer_session(f, ""), 0);
	a = attach_as(f, &one);
	b = attach_as(f, &two);
	assert_true(one.writes);
	assert_false(two.writes);
	assert_int_equal(writer_session(f, "one"), one.session);
	type(f, b, "lost ");
	type(f, a, "kept");
	assert_string_equal(f->input, "kept");
	assert_int_equal(
		chardev_take_over(f->chardev, two.session, "two", NULL), 0);
	type(f, a, "lost");
	type(f, b, " too");
	assert_string_equal(f->input, "kept too");
	/* The other reads on, and only with a session of one's own. */
	say(f, "output");
	turn(f);
	assert_string_equal(heard(a), "output");
	assert_int_equal(
		chardev_take_over(f->chardev, one.session, "two", NULL),
		-ENOENT);
	assert_int_equal(chardev_take_over(f->chardev, 99, "two", NULL),
			 -ENOENT);
	assert_int_equal(writer_session(f, "two"), two.session);
	assert_int_equal(writer_changes, 2);
	/* It leaves, and nobody follows by itself. */
	fd_close(b);
	turn(f);
	assert_int_equal(writer_session(f, ""), 0);
	type(f, a, "lost");
	assert_string_equal(f->input, "kept too");
	assert_int_equal(writer_changes, 3);
	fd_close(a);
	turn(f);
}

static void test_who_asks_to_type(void **state)
{
	struct chardev_seat reads = {.who = "r", .want = CHARDEV_READ};
	struct chardev_seat first = {.who = "1"}, next = {.who = "2"};
	struct chardev_seat takes = {.who = "t", .want = CHARDEV_TAKE_OVER};
	struct fixture *f = *state;
	int fds[4];

	f->room = 100;
	fds[0] = attach_as(f, &reads);
	assert_false(reads.writes);
	fds[1] = attach_as(f, &first);
	assert_true(first.writes);
	/* Gone before the loop knows: the next may type, and what the one
	 * before typed still arrives. */
	assert_int_equal(write(fds[1], "a", 1), 1);
	fds[1] = fd_close(fds[1]);
	fds[2] = attach_as(f, &next);
	assert_true(next.writes);
	type(f, fds[2], "b");
	assert_non_null(strchr(f->input, 'a'));
	assert_non_null(strchr(f->input, 'b'));
	fds[3] = attach_as(f, &takes);
	assert_true(takes.writes);
	type(f, fds[2], "c");
	assert_null(strchr(f->input, 'c'));
	fd_close_many(fds, 4);
	turn(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHARDEV_TEST(test_one_types),
		CHARDEV_TEST(test_who_asks_to_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
