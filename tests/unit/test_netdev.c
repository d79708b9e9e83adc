#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/host/netdev.h"

struct fixture {
	uv_loop_t loop;
	struct netdev *n;
	int peer;
	unsigned readable, writable, failed;
	int err;
	char got[64];
	ssize_t got_bytes;
	bool keep; /* leave frames where they are */
};

static void on_readable(void *cookie)
{
	struct fixture *f = cookie;
	struct iovec iov[] = {{f->got, 12}, {f->got + 12, 52}};
	ssize_t n;

	f->readable++;
	if (f->keep) {
		netdev_poll(f->n, false);
		return;
	}
	while ((n = netdev_recv(f->n, iov, 2)) > 0)
		f->got_bytes = n;
}

static void on_writable(void *cookie)
{
	((struct fixture *)cookie)->writable++;
}

static void on_failed(void *cookie, int err)
{
	struct fixture *f = cookie;

	f->failed++;
	f->err = err;
}

static const struct netdev_guest guest = {on_readable, on_writable, on_failed};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	f->peer = fds[0];
	assert_int_equal(netdev_open(&f->loop, fds[1], &guest, f, &f->n, NULL),
			 0);
	netdev_poll(f->n, true);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	netdev_free(f->n);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	fd_close(f->peer);
	free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	for (int i = 0; i < 3; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void test_receive(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(send(f->peer, "header------frame", 17, 0), 17);
	turn(f);
	assert_int_equal(f->got_bytes, 17);
	assert_memory_equal(f->got, "header------frame", 17);
	assert_int_equal(f->failed, 0);
	assert_int_equal(netdev_recv(f->n, &(struct iovec){f->got, 1}, 1),
			 -EAGAIN);
}

static void test_send(void **state)
{
	struct fixture *f = *state;
	char header[] = "header------", frame[] = "frame";
	struct iovec iov[] = {{header, 12}, {frame, 5}};
	char back[32];

	assert_int_equal(netdev_send(f->n, iov, 2), 17);
	assert_int_equal(recv(f->peer, back, sizeof(back), 0), 17);
	assert_memory_equal(back, "header------frame", 17);
}

/* Without their headers. */
static void test_counts(void **state)
{
	struct fixture *f = *state;
	char bytes[] = "header------frame";
	struct iovec iov = {bytes, sizeof(bytes) - 1};
	struct netdev_stats s;

	assert_int_equal(netdev_send(f->n, &iov, 1), 17);
	assert_int_equal(send(f->peer, "header------fr", 14, 0), 14);
	turn(f);
	netdev_stats(f->n, &s);
	assert_int_equal(s.sent.frames, 1);
	assert_int_equal(s.sent.bytes, 5);
	assert_int_equal(s.received.frames, 1);
	assert_int_equal(s.received.bytes, 2);
	assert_int_equal(s.sent.dropped, 0);
	/* What waits for room is not lost; what has nowhere to go is. */
	while (netdev_send(f->n, &iov, 1) > 0)
		;
	netdev_stats(f->n, &s);
	assert_int_equal(s.sent.dropped, 0);
	f->peer = fd_close(f->peer);
	assert_true(netdev_send(f->n, &iov, 1) < 0);
	netdev_stats(f->n, &s);
	assert_int_equal(s.sent.dropped, 1);
}

static void test_poll_off_and_on(void **state)
{
	struct fixture *f = *state;

	f->keep = true;
	assert_int_equal(send(f->peer, "x", 1, 0), 1);
	turn(f);
	assert_int_equal(f->readable, 1);
	f->keep = false;
	netdev_poll(f->n, true);
	turn(f);
	assert_int_equal(f->got_bytes, 1);
}

static void test_goes_away(void **state)
{
	struct fixture *f = *state;

	f->peer = fd_close(f->peer);
	turn(f);
	assert_int_equal(f->failed, 1);
	assert_true(f->err < 0);
	assert_true(netdev_recv(f->n, &(struct iovec){f->got, 1}, 1) < 0);
	turn(f);
	assert_int_equal(f->failed, 1);
}

static void test_not_a_network(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	struct netdev *n = NULL;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(netdev_open(&f->loop, fds[0], &guest, f, &n, &e),
			 -EINVAL);
	assert_null(n);
	assert_int_equal(fcntl(fds[0], F_GETFD), -1); /* consumed */
	close(fds[1]);
}

/* The peer does not read: what is refused is asked for again, once it did. */
static void test_full(void **state)
{
	struct fixture *f = *state;
	char frame[1500] = {0};
	struct iovec iov = {frame, sizeof(frame)};
	ssize_t n;

	while ((n = netdev_send(f->n, &iov, 1)) > 0)
		;
	assert_int_equal(n, -EAGAIN);
	turn(f);
	assert_int_equal(f->writable, 0);
	while (recv(f->peer, frame, sizeof(frame), MSG_DONTWAIT) > 0)
		;
	turn(f);
	assert_int_equal(f->writable, 1);
	assert_true(netdev_send(f->n, &iov, 1) > 0);
	turn(f);
	assert_int_equal(f->writable, 1);
}

/* As passt: no header, no offloads, and its end is the interface's. */
static void test_stream(void **state)
{
	struct fixture *f = *state;
	char frame[17] = "header------frame";
	struct iovec iov = {frame, sizeof(frame)};
	struct netdev *n;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(netdev_open(&f->loop, fds[0], &guest, f, &n, NULL), 0);
	assert_int_equal(netdev_offloads(n), 0);
	assert_int_equal(netdev_send(n, &iov, 1), sizeof(frame));
	netdev_flush(n);
	assert_int_equal(recv(fds[1], frame, sizeof(frame), 0), 9);
	assert_memory_equal(frame, "\0\0\0\5frame", 9);
	netdev_poll(n, true);
	turn(f);
	assert_int_equal(f->failed, 0);
	close(fds[1]);
	assert_int_equal(netdev_recv(n, &iov, 1), -ENOTCONN);
	turn(f);
	assert_int_equal(f->failed, 1);
	assert_int_equal(f->err, -ENOTCONN);
	netdev_free(n);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_receive),	    TEST(test_send),
		TEST(test_poll_off_and_on), TEST(test_goes_away),
		TEST(test_not_a_network),   TEST(test_full),
		TEST(test_stream),	    TEST(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
