#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <endian.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/host/netdev.h"
#include "lib/host/netdev_stream.h"

struct fixture {
	struct netdev_stream *s;
	int fd, peer;
	uint8_t got[NETDEV_HEADER_BYTES + NETDEV_FRAME_MAX];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	f->fd = fds[0];
	f->peer = fds[1];
	assert_int_equal(fd_set_nonblock(f->fd), 0);
	assert_int_equal(fd_set_nonblock(f->peer), 0);
	f->s = netdev_stream_new(f->fd);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	netdev_stream_free(f->s);
	fd_close(f->fd);
	fd_close(f->peer);
	free(f);
	return 0;
}

static ssize_t receive(struct fixture *f)
{
	const struct iovec iov[] = {{f->got, 5},
				    {f->got + 5, 1000},
				    {f->got + 1005, sizeof(f->got) - 1005}};

	memset(f->got, 0xee, sizeof(f->got));
	return netdev_stream_recv(f->s, iov, 3);
}

static void arrive(struct fixture *f, const void *bytes, size_t n)
{
	assert_int_equal(send(f->peer, bytes, n, 0), n);
}

static void test_receive(void **state)
{
	static const uint8_t zero[NETDEV_HEADER_BYTES];
	struct fixture *f = *state;

	assert_int_equal(receive(f), -EAGAIN);
	arrive(f, "\0\0\0\3abc\0\0\0\4de", 13);
	assert_int_equal(receive(f), 15);
	assert_memory_equal(f->got, zero, sizeof(zero));
	assert_memory_equal(f->got + 12, "abc", 3);
	assert_int_equal(receive(f), -EAGAIN);
	arrive(f, "fg\0\0", 4);
	assert_int_equal(receive(f), 16);
	assert_memory_equal(f->got + 12, "defg", 4);
	assert_int_equal(receive(f), -EAGAIN);
	arrive(f, "\0\1h", 3);
	assert_int_equal(receive(f), 13);
	f->peer = fd_close(f->peer);
	assert_int_equal(receive(f), 0);
}

/* Byte by byte, over several fillings of the buffer. */
static void test_receive_much(void **state)
{
	struct fixture *f = *state;
	uint8_t record[4 + 60000] = {0, 0, 60000 >> 8, 60000 & 255};
	size_t sent = 0, got = 0;

	memset(record + 4, 7, 60000);
	while (got < 40) {
		ssize_t n = send(f->peer, record + sent % sizeof(record),
				 MIN(sizeof(record) - sent % sizeof(record),
				     (size_t)7777),
				 0);

		sent += n > 0 ? (size_t)n : 0;
		while ((n = receive(f)) > 0) {
			assert_int_equal(n, 12 + 60000);
			assert_int_equal(f->got[12 + 59999], 7);
			got++;
		}
		assert_int_equal(n, -EAGAIN);
	}
}

static void test_not_frames(void **state)
{
	const uint32_t lengths[] = {0, NETDEV_FRAME_MAX + 1, UINT32_MAX};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		uint32_t length = htobe32(lengths[i]);

		netdev_stream_free(f->s);
		f->s = netdev_stream_new(f->fd);
		arrive(f, &length, 4);
		assert_int_equal(receive(f), -EPROTO);
		assert_int_equal(receive(f), -EPROTO);
	}
}

static ssize_t transmit(struct fixture *f, size_t bytes, uint8_t fill)
{
	static uint8_t frame[NETDEV_HEADER_BYTES + NETDEV_FRAME_MAX + 1];
	const struct iovec iov[] = {
		{frame, 12}, {frame + 12, 1}, {frame + 13, bytes - 1}};

	memset(frame, fill, sizeof(frame));
	return netdev_stream_send(f->s, iov, 3);
}

static void test_send(void **state)
{
	struct fixture *f = *state;
	uint8_t got[64];

	assert_int_equal(transmit(f, 3, 'a'), 15);
	assert_int_equal(transmit(f, 5, 'b'), 17);
	/* Together, when it is said. */
	assert_int_equal(recv(f->peer, got, sizeof(got), 0), -1);
	assert_int_equal(netdev_stream_flush(f->s), 0);
	assert_int_equal(recv(f->peer, got, sizeof(got), 0), 16);
	assert_memory_equal(got, "\0\0\0\3aaa\0\0\0\5bbbbb", 16);
	assert_int_equal(netdev_stream_flush(f->s), 0);
	assert_int_equal(transmit(f, NETDEV_FRAME_MAX + 1, 'c'), -EINVAL);
	assert_int_equal(recv(f->peer, got, sizeof(got), 0), -1);
}

/* Everything that is taken arrives, in order and whole, whatever the socket
 * takes at a time; and a peer that does not read is waited for. */
static void test_send_much(void **state)
{
	static const size_t sizes[] = {60, 60000, 1514, 4097, 4096, 65000};
	static uint8_t got[KIB(64) * 64];
	struct fixture *f = *state;
	size_t taken = 0, end = 0, at = 0;
	bool full = false;

	for (unsigned i = 0; i < 40; i++) {
		size_t size = sizes[i % ARRAY_SIZE(sizes)];
		ssize_t n = transmit(f, size, (uint8_t)i);

		if (n == -EAGAIN) {
			full = true;
			n = recv(f->peer, got + end, 5000, 0);
			assert_true(n > 0);
			end += (size_t)n;
			i--;
			continue;
		}
		assert_int_equal(n, 12 + size);
		taken += 4 + size;
	}
	assert_true(full);
	while (end < taken) {
		ssize_t n;

		(void)!netdev_stream_flush(f->s);
		n = recv(f->peer, got + end, sizeof(got) - end, 0);
		assert_true(n > 0);
		end += (size_t)n;
	}
	assert_int_equal(netdev_stream_flush(f->s), 0);
	for (unsigned i = 0; i < 40; i++) {
		size_t size = sizes[i % ARRAY_SIZE(sizes)];
		uint32_t length;

		memcpy(&length, got + at, 4);
		assert_int_equal(be32toh(length), size);
		assert_int_equal(got[at + 4], i);
		assert_int_equal(got[at + 3 + size], i);
		at += 4 + size;
	}
	assert_int_equal(at, end);
	f->peer = fd_close(f->peer);
	assert_int_equal(transmit(f, 60000, 1), -EPIPE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_receive),    TEST(test_receive_much),
		TEST(test_not_frames), TEST(test_send),
		TEST(test_send_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
