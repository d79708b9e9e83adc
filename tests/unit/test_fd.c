#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/base/fd.h"

static void test_close_keeps_errno(void **state)
{
	int fds[2];

	errno = ENOENT;
	assert_int_equal(fd_close(-1), -1);
	assert_int_equal(fd_close(100000), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	int copy = fds[0];

	fd_close_many(fds, 2);
	assert_int_equal(fds[0], -1);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
}

static void test_whole_reads_and_writes(void **state)
{
	_cleanup_close_ int fd = memfd_create("t", MFD_CLOEXEC);
	char out[8] = "";

	assert_int_equal(fd_write_full(fd, "hello", 5), 0);
	assert_int_equal(fd_pwrite_full(fd, "HE", 2, 0), 0);
	assert_int_equal(fd_pread_full(fd, out, 3, 2), 0);
	assert_string_equal(out, "llo");
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_full(fd, out, 5), 0);
	assert_string_equal(out, "HEllo");
	assert_int_equal(fd_read_full(fd, out, 1), -ENODATA);
	assert_int_equal(fd_pread_full(fd, out, 6, 0), -ENODATA);
	assert_int_equal(fd_read_full(-1, out, 1), -EBADF);
	assert_int_equal(fd_read_full(-1, out, 0), 0);
}

static void socketpair_seqpacket(int s[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
}

static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void test_pass_descriptors(void **state)
{
	int s[2], files[FD_PASS_MAX], got[FD_PASS_MAX];
	char buf[16];
	size_t n;

	socketpair_seqpacket(s);
	for (int i = 0; i < FD_PASS_MAX; i++)
		files[i] = memfd_create("t", MFD_CLOEXEC);
	assert_int_equal(fd_send(s[0], "hi", 2, files, FD_PASS_MAX), 2);
	assert_int_equal(fd_recv(s[1], buf, sizeof(buf), got, &n), 2);
	assert_int_equal(n, FD_PASS_MAX);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(inode(got[i]), inode(files[i]));
		assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
	}
	fd_close_many(got, n);
	assert_int_equal(fd_send(s[0], "hi", 2, files, FD_PASS_MAX + 1),
			 -E2BIG);
	fd_close_many(files, FD_PASS_MAX);
	fd_close_many(s, 2);
}

/* How many descriptors are open: what a refused datagram must not leave. */
static int open_count(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_refused_datagrams_leak_nothing(void **state)
{
	int s[2], got[FD_PASS_MAX], before;
	char buf[4];
	size_t n = 99;

	socketpair_seqpacket(s);
	before = open_count();
	assert_int_equal(fd_send(s[0], "too long", 8, s, 2), 8);
	assert_int_equal(fd_recv(s[1], buf, sizeof(buf), got, &n), -EMSGSIZE);
	assert_int_equal(n, 99);
	/* An empty datagram looks like the end of the stream. */
	assert_int_equal(fd_send(s[0], "", 0, s, 2), 0);
	assert_int_equal(fd_recv(s[1], buf, sizeof(buf), got, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(open_count(), before);
	fd_close_many(s, 2);
}

static void test_end_and_full(void **state)
{
	int s[2], got[FD_PASS_MAX];
	char buf[1024] = "";
	ssize_t r;
	size_t n;

	socketpair_seqpacket(s);
	assert_int_equal(fd_set_nonblock(s[0]), 0);
	assert_int_equal(fd_recv(s[0], buf, sizeof(buf), got, &n), -EAGAIN);
	do
		r = fd_send(s[0], buf, sizeof(buf), NULL, 0);
	while (r > 0);
	assert_int_equal(r, -EAGAIN);
	fd_close_many(s, 2);
	socketpair_seqpacket(s);
	s[1] = fd_close(s[1]);
	assert_int_equal(fd_recv(s[0], buf, sizeof(buf), got, &n), 0);
	assert_int_equal(fd_send(s[0], buf, 1, NULL, 0), -EPIPE);
	fd_close(s[0]);
	assert_int_equal(fd_set_nonblock(-1), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close_keeps_errno),
		cmocka_unit_test(test_whole_reads_and_writes),
		cmocka_unit_test(test_pass_descriptors),
		cmocka_unit_test(test_refused_datagrams_leak_nothing),
		cmocka_unit_test(test_end_and_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
