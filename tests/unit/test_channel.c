#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/wire/channel.h"
#include "lib/wire/messages.h"

/* One end is a channel under test, the other a bare socket or a channel. */
struct end {
	struct channel *channel;
	int messages, closed;
	char last[256];
	size_t last_fds;
	int taken;	    /* a descriptor kept from the last message */
	bool take, free_in; /* what the callbacks do */
	bool full;	    /* it is not ready for more */
	struct error why;
};

struct fixture {
	uv_loop_t loop;
	int peer;
	struct end end;
};

static void on_message(void *cookie, json_object *message, int *fds,
		       size_t n_fds)
{
	struct end *end = cookie;

	end->messages++;
	end->last_fds = n_fds;
	snprintf(end->last, sizeof(end->last), "%s", json_text(message));
	if (end->take && n_fds > 0)
		end->taken = TAKE_FD(fds[0]);
	if (end->free_in)
		end->channel = channel_free(end->channel);
}

static void on_closed(void *cookie, const struct error *why)
{
	struct end *end = cookie;

	assert_int_equal(end->closed, 0);
	end->closed++;
	end->why = *why;
	if (end->free_in)
		end->channel = channel_free(end->channel);
}

static bool on_ready(void *cookie)
{
	const struct end *end = cookie;

	return !end->full;
}

static const struct channel_events events = {on_message, on_closed, on_ready};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int s[2];

	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	f->peer = s[1];
	f->end.taken = -1;
	assert_int_equal(
		channel_new(&f->loop, s[0], &events, &f->end, &f->end.channel),
		0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	channel_free(f->end.channel);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	fd_close(f->peer);
	fd_close(f->end.taken);
	free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void peer_says(struct fixture *f, const char *text)
{
	assert_int_equal(fd_send(f->peer, text, strlen(text), NULL, 0),
			 strlen(text));
}

static json_object *message(const char *type, int64_t id)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "type", json_object_new_string(type));
	json_object_object_add(o, "id", json_object_new_int64(id));
	return o;
}

static void test_receive(void **state)
{
	struct fixture *f = *state;

	peer_says(f, "{\"type\":\"start\",\"id\":1}");
	peer_says(f, "{\"type\":\"stop\",\"id\":2}");
	turn(f);
	assert_int_equal(f->end.messages, 2);
	assert_string_equal(f->end.last, "{\"type\":\"stop\",\"id\":2}");
	assert_int_equal(f->end.closed, 0);
}

static void test_send(void **state)
{
	struct fixture *f = *state;
	int fds[FD_PASS_MAX];
	char buf[256];
	size_t n;

	assert_int_equal(channel_send(f->end.channel, message("console", 5),
				      &f->peer, 1),
			 0);
	assert_int_equal(fd_recv(f->peer, buf, sizeof(buf), fds, &n), 25);
	assert_memory_equal(buf, "{\"type\":\"console\",\"id\":5}", 25);
	assert_int_equal(n, 1);
	fd_close_many(fds, n);
}

static void test_descriptors_are_taken_or_closed(void **state)
{
	const char *text = "{\"type\":\"configure\"}";
	struct fixture *f = *state;
	int fds[3];

	for (int i = 0; i < 3; i++)
		fds[i] = memfd_create("t", MFD_CLOEXEC);
	f->end.take = true;
	assert_int_equal(fd_send(f->peer, text, strlen(text), fds, 3),
			 strlen(text));
	fd_close_many(fds, 3);
	turn(f);
	assert_int_equal(f->end.last_fds, 3);
	assert_true(fcntl(f->end.taken, F_GETFD) >= 0);
	/* The two that were not taken are closed: their numbers are free. */
	assert_int_equal(fcntl(f->end.taken + 1, F_GETFD), -1);
	assert_int_equal(fcntl(f->end.taken + 2, F_GETFD), -1);
}

static void test_broken_protocol_ends_it(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"hello", "the peer sent a message that is not JSON"},
		{"{\"type\":\"start\"} x",
		 "the peer sent a message that is not JSON"},
		{"[]", "the peer sent a message that is not an object"},
		{"null", "the peer sent a message that is not an object"},
		{"{}", "the peer sent a message without a type"},
		{"{\"type\":7}", "the peer sent a message without a type"},
		{"{\"type\":\"destroy\"}",
		 "the peer sent a message of unknown type"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture *f;

		setup((void **)&f);
		peer_says(f, cases[i].text);
		peer_says(f, "{\"type\":\"start\"}");
		turn(f);
		assert_int_equal(f->end.closed, 1);
		assert_int_equal(f->end.messages, 0);
		assert_string_equal(f->end.why.message, cases[i].why);
		assert_int_equal(f->end.why.code, ERROR_BAD_REQUEST);
		assert_int_equal(channel_send(f->end.channel,
					      message("start", 1), NULL, 0),
				 -EPIPE);
		turn(f);
		teardown((void **)&f);
	}
}

static void test_unexpected_descriptors_end_it(void **state)
{
	const char *text = "{\"type\":\"start\"}";
	struct fixture *f = *state;

	assert_int_equal(fd_send(f->peer, text, strlen(text), &f->peer, 1),
			 strlen(text));
	turn(f);
	assert_int_equal(f->end.closed, 1);
	assert_int_equal(f->end.messages, 0);
	assert_string_equal(f->end.why.message,
			    "the peer sent descriptors that the message does "
			    "not take");
}

static void test_oversized_datagram_ends_it(void **state)
{
	static char text[CHANNEL_MESSAGE_MAX + 1];
	struct fixture *f = *state;

	memset(text, ' ', sizeof(text));
	assert_int_equal(fd_send(f->peer, text, sizeof(text), NULL, 0),
			 sizeof(text));
	turn(f);
	assert_int_equal(f->end.closed, 1);
	assert_string_equal(f->end.why.message,
			    "the peer sent a message that is too large");
}

/* Unread messages make the kernel report a reset ahead of what is left. */
static void test_last_words_are_heard(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		channel_send(f->end.channel, message("stats", 1), NULL, 0), 0);
	for (int i = 0; i < 40; i++)
		peer_says(f, "{\"type\":\"event\"}");
	peer_says(f, "{\"type\":\"state\",\"state\":\"stopped\"}");
	f->peer = fd_close(f->peer);
	for (int i = 0; i < 10 && !f->end.closed; i++)
		turn(f);
	assert_int_equal(f->end.messages, 41);
	assert_string_equal(f->end.last,
			    "{\"type\":\"state\",\"state\":\"stopped\"}");
	assert_int_equal(f->end.closed, 1);
	assert_int_equal(f->end.why.err, ECONNRESET);
}

static void test_empty_datagram_is_the_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fd_send(f->peer, "", 0, &f->peer, 1), 0);
	turn(f);
	assert_int_equal(f->end.closed, 1);
	assert_string_equal(f->end.why.message,
			    "the peer closed the connection");
}

static void test_bounded_reads_per_turn(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 20; i++)
		peer_says(f, "{\"type\":\"event\"}");
	turn(f);
	assert_in_range(f->end.messages, 1, 19);
	turn(f);
	assert_int_equal(f->end.messages, 20);
}

static void test_queue_keeps_order_and_is_bounded(void **state)
{
	struct fixture *f = *state;
	char buf[256], expected[64];
	int fds[FD_PASS_MAX], sent = 0, r;
	size_t n;

	while ((r = channel_send(f->end.channel, message("event", sent),
				 &f->peer, 1)) == 0)
		sent++;
	assert_int_equal(r, -ENOBUFS);
	assert_true(sent > CHANNEL_QUEUE_MAX);
	for (int i = 0; i < sent; i++) {
		turn(f);
		assert_true(fd_recv(f->peer, buf, sizeof(buf), fds, &n) > 0);
		snprintf(expected, sizeof(expected),
			 "{\"type\":\"event\",\"id\":%d}", i);
		assert_memory_equal(buf, expected, strlen(expected));
		assert_int_equal(n, 1);
		fd_close_many(fds, n);
	}
	assert_int_equal(
		channel_send(f->end.channel, message("event", 1), NULL, 0), 0);
}

/* A peer that takes nothing but does not close either. */
static void test_peer_that_shuts_its_ear(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shutdown(f->peer, SHUT_RD), 0);
	peer_says(f, "{\"type\":\"state\"}");
	assert_int_equal(
		channel_send(f->end.channel, message("stats", 1), NULL, 0), 0);
	assert_int_equal(f->end.closed, 0);
	for (int i = 0; i < 4 && !f->end.closed; i++)
		turn(f);
	assert_int_equal(f->end.messages, 1);
	assert_int_equal(f->end.closed, 1);
}

static void test_send_limits(void **state)
{
	struct fixture *f = *state;
	int fds[FD_PASS_MAX + 1] = {0};
	json_object *big = message("event", 1);
	char *text = calloc(1, CHANNEL_MESSAGE_MAX + 1);

	memset(text, 'x', CHANNEL_MESSAGE_MAX);
	json_object_object_add(big, "detail", json_object_new_string(text));
	free(text);
	assert_int_equal(channel_send(f->end.channel, big, NULL, 0), -EMSGSIZE);
	assert_int_equal(channel_send(f->end.channel, message("event", 1), fds,
				      FD_PASS_MAX + 1),
			 -E2BIG);
	assert_int_equal(f->end.closed, 0);
}

static void test_free_inside_message(void **state)
{
	struct fixture *f = *state;
	char byte;

	f->end.free_in = true;
	peer_says(f, "{\"type\":\"event\"}");
	peer_says(f, "{\"type\":\"event\"}");
	turn(f);
	assert_int_equal(f->end.messages, 1);
	assert_int_equal(f->end.closed, 0);
	/* The peer sees the end at once. */
	assert_true(recv(f->peer, &byte, 1, MSG_DONTWAIT) <= 0);
	assert_int_not_equal(errno, EAGAIN);
}

static void test_free_inside_closed(void **state)
{
	struct fixture *f = *state;

	f->end.free_in = true;
	f->peer = fd_close(f->peer);
	turn(f);
	assert_int_equal(f->end.closed, 1);
	assert_null(f->end.channel);
}

static void test_only_seqpacket(void **state)
{
	struct channel *c = NULL;
	struct fixture *f = *state;
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s),
			 0);
	assert_int_equal(channel_new(&f->loop, s[0], &events, NULL, &c),
			 -EPROTOTYPE);
	assert_int_equal(fcntl(s[0], F_GETFD), -1);
	assert_null(c);
	fd_close(s[1]);
	assert_int_equal(channel_new(&f->loop, -1, &events, NULL, &c), -EBADF);
}

static void test_catalogue(void **state)
{
	for (int i = 0; i < WIRE_MESSAGE_COUNT; i++)
		assert_int_equal(wire_message_by_text(wire_message_text(i)), i);
	assert_int_equal(wire_message_by_text("x"), WIRE_MESSAGE_COUNT);
	assert_int_equal(wire_message_direction(WIRE_NVRAM), 'S');
	assert_int_equal(wire_message_fds_max(WIRE_CONFIGURE), FD_PASS_MAX);
}

/* What is not taken stays where it is, and is still heard at the end. */
static void test_not_ready(void **state)
{
	struct fixture *f = *state;

	channel_resume(f->end.channel);
	f->end.full = true;
	peer_says(f, "{\"type\":\"start\",\"id\":1}");
	turn(f);
	turn(f);
	assert_int_equal(f->end.messages, 0);
	peer_says(f, "{\"type\":\"stop\",\"id\":2}");
	f->end.full = false;
	turn(f);
	assert_int_equal(f->end.messages, 0);
	channel_resume(f->end.channel);
	assert_int_equal(f->end.messages, 2);
	peer_says(f, "{\"type\":\"start\",\"id\":3}");
	turn(f);
	assert_int_equal(f->end.messages, 3);
	f->end.full = true;
	peer_says(f, "{\"type\":\"stop\",\"id\":4}");
	f->peer = fd_close(f->peer);
	turn(f);
	assert_int_equal(
		channel_send(f->end.channel, message("stop", 1), NULL, 0), 0);
	turn(f);
	turn(f);
	assert_int_equal(f->end.closed, 0);
	f->end.full = false;
	channel_resume(f->end.channel);
	turn(f);
	assert_int_equal(f->end.messages, 4);
	assert_int_equal(f->end.closed, 1);
}

#define CHANNEL_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHANNEL_TEST(test_receive),
		CHANNEL_TEST(test_send),
		CHANNEL_TEST(test_descriptors_are_taken_or_closed),
		cmocka_unit_test(test_broken_protocol_ends_it),
		CHANNEL_TEST(test_unexpected_descriptors_end_it),
		CHANNEL_TEST(test_oversized_datagram_ends_it),
		CHANNEL_TEST(test_last_words_are_heard),
		CHANNEL_TEST(test_empty_datagram_is_the_end),
		CHANNEL_TEST(test_bounded_reads_per_turn),
		CHANNEL_TEST(test_queue_keeps_order_and_is_bounded),
		CHANNEL_TEST(test_peer_that_shuts_its_ear),
		CHANNEL_TEST(test_send_limits),
		CHANNEL_TEST(test_free_inside_message),
		CHANNEL_TEST(test_free_inside_closed),
		CHANNEL_TEST(test_only_seqpacket),
		CHANNEL_TEST(test_not_ready),
		cmocka_unit_test(test_catalogue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
