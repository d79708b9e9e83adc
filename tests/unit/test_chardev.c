#include "tests/unit/chardev_fixture.h"

#include <fcntl.h>
#include <pthread.h>

static void test_scrollback_then_live(void **state)
{
	struct fixture *f = *state;
	int a, b;

	say(f, "before ");
	a = attach(f);
	assert_string_equal(heard(a), "before ");
	say(f, "after");
	turn(f);
	assert_string_equal(heard(a), "after");
	b = attach(f);
	assert_string_equal(heard(b), "before after");
	fd_close(a);
	fd_close(b);
}

static void test_input_waits_for_room(void **state)
{
	struct fixture *f = *state;
	int a = attach(f);

	assert_int_equal(write(a, "root\n", 5), 5);
	turn(f);
	assert_int_equal(f->received, 0);
	f->room = 3;
	chardev_guest_ready(f->chardev);
	turn(f);
	assert_string_equal(f->input, "roo");
	f->room = 10;
	chardev_guest_ready(f->chardev);
	turn(f);
	assert_string_equal(f->input, "root\n");
	assert_int_equal(write(a, "ls\n", 3), 3);
	turn(f);
	assert_string_equal(f->input, "root\nls\n");
	fd_close(a);
}

/* A script types and leaves; the guest takes it byte by byte. */
static void test_input_outlives_its_writer(void **state)
{
	struct fixture *f = *state;
	int a = attach(f);

	turn(f);
	assert_int_equal(write(a, "halt\n", 5), 5);
	fd_close(a);
	say(f, "output nobody reads");
	turn(f);
	for (int i = 0; i < 5; i++) {
		f->room = 1;
		chardev_guest_ready(f->chardev);
		turn(f);
	}
	assert_string_equal(f->input, "halt\n");
}

static void test_input_without_guest_is_dropped(void **state)
{
	struct fixture *f = *state;
	int a = attach(f);

	chardev_set_guest(f->chardev, NULL, NULL);
	assert_int_equal(write(a, "x", 1), 1);
	turn(f);
	f->room = 10;
	chardev_set_guest(f->chardev, &guest, f);
	assert_int_equal(write(a, "y", 1), 1);
	turn(f);
	assert_string_equal(f->input, "y");
	fd_close(a);
}

static void test_slow_reader_skips_forward(void **state)
{
	struct fixture *f = *state;
	int slow = attach(f), size = 4096;
	size_t total = 0;
	char *text, line[32];

	assert_int_equal(
		setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)),
		0);
	for (int i = 0; i < 100000; i++) {
		snprintf(line, sizeof(line), "%07d\n", i);
		say(f, line);
		if (i % 1000 == 0)
			turn(f);
	}
	/* It drains now: what it gets is less, and ends with the newest. */
	for (int i = 0; i < 100; i++) {
		turn(f);
		text = heard(slow);
		total += strlen(text);
		if (*text)
			snprintf(line, sizeof(line), "%s",
				 text + strlen(text) - 8);
	}
	assert_in_range(total, CHARDEV_SCROLLBACK_BYTES, 799999);
	assert_string_equal(line, "0099999\n");
	fd_close(slow);
}

static void test_leaving_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct chardev_seat seat = {.who = "one more"};
	int fds[CHARDEV_READERS_MAX], s[2];
	struct error e = ERROR_INIT;

	f->room = 100;
	for (int i = 0; i < CHARDEV_READERS_MAX; i++)
		fds[i] = attach(f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s),
			 0);
	assert_int_equal(chardev_attach(f->chardev, s[0], &seat, &e), -EBUSY);
	assert_true(ended(s[1]));
	fd_close(s[1]);
	fds[0] = fd_close(fds[0]);
	turn(f);
	fds[0] = attach(f);
	/* Also while the guest takes no input. */
	f->room = 0;
	chardev_guest_ready(f->chardev);
	turn(f);
	fds[1] = fd_close(fds[1]);
	turn(f);
	fds[1] = attach(f);
	fd_close_many(fds, CHARDEV_READERS_MAX);
}

static void test_free_says_the_last_words(void **state)
{
	struct fixture *f = *state;
	int a = attach(f);

	say(f, "Power down");
	f->chardev = chardev_free(f->chardev);
	assert_string_equal(heard(a), "Power down");
	assert_true(ended(a));
	fd_close(a);
}

static size_t peer_heard;
static uint64_t peer_skipped;

static void on_output(void *cookie, const uint8_t *data, size_t size)
{
	peer_heard += size;
}

static void on_opened(void *cookie, bool open)
{
}

static void on_skipped(void *cookie, uint64_t size)
{
	peer_skipped += size;
}

static void test_peer_is_told_what_it_missed(void **state)
{
	static const struct chardev_peer peer = {on_output, on_opened,
						 on_skipped};
	static char text[CHARDEV_SCROLLBACK_BYTES + 1000];
	struct fixture *f = *state;

	memset(text, 'x', sizeof(text) - 1);
	peer_heard = 0;
	peer_skipped = 0;
	say(f, "before");
	chardev_set_peer(f->chardev, &peer, NULL);
	say(f, "one ");
	turn(f);
	assert_int_equal(peer_heard, 4);
	say(f, text);
	chardev_serve_peer(f->chardev);
	assert_int_equal(peer_heard, 4 + CHARDEV_SCROLLBACK_BYTES);
	assert_int_equal(peer_skipped, 999);
	chardev_set_peer(f->chardev, NULL, NULL);
	say(f, "after");
	turn(f);
	assert_int_equal(peer_heard, 4 + CHARDEV_SCROLLBACK_BYTES);
}

static void test_only_streams(void **state)
{
	struct fixture *f = *state;
	struct chardev_seat seat = {.who = "us"};
	struct error e = ERROR_INIT;
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, s),
			 0);
	assert_int_equal(chardev_attach(f->chardev, s[0], &seat, &e),
			 -EPROTOTYPE);
	assert_int_equal(fcntl(s[0], F_GETFD), -1);
	fd_close(s[1]);
	assert_int_equal(chardev_attach(f->chardev, -1, &seat, &e), -EBADF);
	assert_string_equal(e.message, "console: Bad file descriptor");
}

#define THREAD_LINES 20000

static void *writer(void *cookie)
{
	struct fixture *f = cookie;
	char line[32];

	for (int i = 0; i < THREAD_LINES; i++) {
		snprintf(line, sizeof(line), "%07d\n", i);
		say(f, line);
		if (i % 64 == 0)
			chardev_guest_ready(f->chardev);
	}
	return NULL;
}

/* A vCPU thread prints while the loop serves; run under TSan as well. */
static void test_output_of_another_thread(void **state)
{
	struct fixture *f = *state;
	size_t total = 0, expected = THREAD_LINES * 8;
	int a = attach(f);
	pthread_t thread;
	char *text;

	/* It all fits the scrollback, so nothing may be skipped. */
	assert_true(expected < CHARDEV_SCROLLBACK_BYTES);
	assert_int_equal(pthread_create(&thread, NULL, writer, f), 0);
	while (total < expected) {
		turn(f);
		text = heard(a);
		for (; *text; text++, total++)
			if (total % 8 == 7)
				assert_int_equal(*text, '\n');
	}
	pthread_join(thread, NULL);
	turn(f);
	assert_string_equal(heard(a), "");
	fd_close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHARDEV_TEST(test_scrollback_then_live),
		CHARDEV_TEST(test_input_waits_for_room),
		CHARDEV_TEST(test_input_outlives_its_writer),
		CHARDEV_TEST(test_input_without_guest_is_dropped),
		CHARDEV_TEST(test_slow_reader_skips_forward),
		CHARDEV_TEST(test_leaving_is_noticed),
		CHARDEV_TEST(test_free_says_the_last_words),
		CHARDEV_TEST(test_peer_is_told_what_it_missed),
		CHARDEV_TEST(test_only_streams),
		CHARDEV_TEST(test_output_of_another_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
