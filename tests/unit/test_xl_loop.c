/* What libxl registers on a loop is told when it happens, and no later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <poll.h>
#include <sys/time.h>
#include <fcntl.h>

#include <cmocka.h>

#include "lib/base/fd.h"
#include "vmm-xen/xl_loop.h"

static struct {
	const libxl_osevent_hooks *hooks;
	void *user;
	unsigned fds[2], timers;
	short revents;
	void *drop; /* deregistered from within */
	int drop_fd;
} seen;

static void hooks(libxl_ctx *ctx, const libxl_osevent_hooks *h, void *user)
{
	seen.hooks = h;
	seen.user = user;
}

static void occurred_fd(libxl_ctx *ctx, void *for_libxl, int fd, short events,
			short revents)
{
	char byte;

	seen.fds[*(int *)for_libxl]++;
	seen.revents = revents;
	if (revents & POLLIN)
		(void)!read(fd, &byte, 1);
	if (seen.drop)
		seen.hooks->fd_deregister(seen.user, seen.drop_fd,
					  TAKE_PTR(seen.drop));
}

static void occurred_timeout(libxl_ctx *ctx, void *for_libxl)
{
	seen.timers++;
}

const struct xl_calls xl = {
	.osevent_hooks = hooks,
	.occurred_fd = occurred_fd,
	.occurred_timeout = occurred_timeout,
};

struct fixture {
	uv_loop_t loop;
	struct xl_loop *l;
	int pipe[2];
	int ids[2];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	memset(&seen, 0, sizeof(seen));
	f->ids[1] = 1;
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(xl_loop_new(&f->loop, &f->l, NULL), 0);
	xl_loop_watch(f->l, (libxl_ctx *)f);
	assert_int_equal(pipe2(f->pipe, O_CLOEXEC), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	xl_loop_free(f->l);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	close(f->pipe[0]);
	close(f->pipe[1]);
	free(f);
	return 0;
}

static void *watch(struct fixture *f, int which, short events)
{
	void *registration = NULL;

	assert_int_equal(seen.hooks->fd_register(seen.user, f->pipe[0],
						 &registration, events,
						 &f->ids[which]),
			 0);
	assert_non_null(registration);
	return registration;
}

static void turns(struct fixture *f, int n)
{
	while (n-- > 0) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(200);
	}
}

static void test_a_descriptor(void **state)
{
	struct fixture *f = *state;
	void *w = watch(f, 0, POLLIN);

	turns(f, 5);
	assert_int_equal(seen.fds[0], 0);
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
	turns(f, 5);
	assert_int_equal(seen.fds[0], 1);
	assert_int_equal(seen.revents, POLLIN);
	/* It is as blocking as it was. */
	assert_int_equal(fcntl(f->pipe[0], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(seen.hooks->fd_modify(seen.user, f->pipe[0], &w, 0),
			 0);
	assert_int_equal(write(f->pipe[1], "x", 1), 1);
	turns(f, 5);
	assert_int_equal(seen.fds[0], 1);
	assert_int_equal(
		seen.hooks->fd_modify(seen.user, f->pipe[0], &w, POLLIN), 0);
	turns(f, 5);
	assert_int_equal(seen.fds[0], 2);
	seen.hooks->fd_deregister(seen.user, f->pipe[0], w);
}

/* Both are ready; the first takes the second away. */
static void test_twice_the_same_and_one_goes(void **state)
{
	struct fixture *f = *state;
	void *first = watch(f, 0, POLLIN), *second = watch(f, 1, POLLIN);

	assert_int_equal(write(f->pipe[1], "xy", 2), 2);
	seen.drop = second;
	seen.drop_fd = f->pipe[0];
	turns(f, 5);
	assert_int_equal(seen.fds[0] + seen.fds[1], 2);
	assert_true(seen.fds[1] <= 1);
	seen.hooks->fd_deregister(seen.user, f->pipe[0], first);
	assert_int_equal(write(f->pipe[1], "z", 1), 1);
	turns(f, 5);
	assert_int_equal(seen.fds[0] + seen.fds[1], 2);
}

static void test_a_descriptor_that_is_none(void **state)
{
	void *w = NULL;

	assert_int_equal(
		seen.hooks->fd_register(seen.user, 9999, &w, POLLIN, NULL),
		ERROR_OSEVENT_REG_FAIL);
}

static struct timeval in_ms(long ms)
{
	struct timeval now, more = {ms / 1000, ms % 1000 * 1000}, at;

	gettimeofday(&now, NULL);
	timeradd(&now, &more, &at);
	return at;
}

static void test_timers(void **state)
{
	struct fixture *f = *state;
	const struct timeval zero = {0};
	void *now = NULL, *later = NULL, *never = NULL;

	seen.hooks->timeout_register(seen.user, &now, in_ms(-5000), f);
	seen.hooks->timeout_register(seen.user, &later, in_ms(3600000), f);
	seen.hooks->timeout_register(seen.user, &never, in_ms(3600000), f);
	turns(f, 20);
	assert_int_equal(seen.timers, 1);
	seen.hooks->timeout_modify(seen.user, &later, zero);
	turns(f, 20);
	assert_int_equal(seen.timers, 2);
	/* The third goes with the loop. */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_descriptor),
		TEST(test_twice_the_same_and_one_goes),
		TEST(test_a_descriptor_that_is_none),
		TEST(test_timers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
