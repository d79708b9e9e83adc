/*
 * A console's host end for unit tests: its loop, and a guest that takes as much
 * input as a test says.
 */
#ifndef TESTS_UNIT_CHARDEV_FIXTURE_H
#define TESTS_UNIT_CHARDEV_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/host/chardev.h"

struct fixture {
	uv_loop_t loop;
	struct chardev *chardev;
	size_t room, received;
	char input[256];
};

static inline size_t can_receive(void *cookie)
{
	struct fixture *f = cookie;

	return f->room;
}

static inline void receive(void *cookie, const uint8_t *data, size_t size)
{
	struct fixture *f = cookie;

	assert_true(size <= f->room);
	assert_true(f->received + size < sizeof(f->input));
	memcpy(f->input + f->received, data, size);
	f->received += size;
	f->room -= size;
}

static const struct chardev_guest guest = {can_receive, receive};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(chardev_new(&f->loop, &f->chardev), 0);
	chardev_set_guest(f->chardev, &guest, f);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	chardev_free(f->chardev);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	free(f);
	return 0;
}

static inline void turn(struct fixture *f)
{
	for (int i = 0; i < 3; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
}

static inline void say(struct fixture *f, const char *text)
{
	chardev_write(f->chardev, (const uint8_t *)text, strlen(text));
}

static inline int attach_as(struct fixture *f, struct chardev_seat *seat)
{
	int s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s),
			 0);
	assert_int_equal(fd_set_nonblock(s[1]), 0);
	assert_int_equal(chardev_attach(f->chardev, s[0], seat, NULL), 0);
	return s[1];
}

static inline int attach(struct fixture *f)
{
	struct chardev_seat seat = {.who = "somebody"};

	return attach_as(f, &seat);
}

/* What the peer can read now. */
static inline char *heard(int fd)
{
	static char buf[CHARDEV_SCROLLBACK_BYTES + 1];
	size_t used = 0;
	ssize_t n;

	while (used < sizeof(buf) - 1 &&
	       (n = read(fd, buf + used, sizeof(buf) - 1 - used)) > 0)
		used += (size_t)n;
	buf[used] = '\0';
	return buf;
}

static inline bool ended(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

#define CHARDEV_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
