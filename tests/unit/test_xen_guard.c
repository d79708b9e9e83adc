/* Whether xenstored is there, and that its end is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fake_xenstored.h"
#include "vmm-xen/store_guard.h"

static unsigned lost;

static void on_lost(void *cookie)
{
	assert_ptr_equal(cookie, &lost);
	lost++;
}

static int setup(void **state)
{
	fake_begin();
	lost = 0;
	return 0;
}

static int teardown(void **state)
{
	close(fake.fd);
	return 0;
}

static int asked(struct error *e)
{
	struct store_guard *g = (struct store_guard *)&lost;
	int r = store_guard_open(NULL, NULL, NULL, &g, e);

	assert_true(r < 0 || !g);
	return r;
}

static void test_its_end_is_told_once(void **state)
{
	struct store_guard *g = NULL;
	uv_loop_t loop;

	assert_int_equal(uv_loop_init(&loop), 0);
	fake_xenstored_begin(false);
	assert_int_equal(store_guard_open(&loop, on_lost, &lost, &g, NULL), 0);
	assert_non_null(g);
	for (int i = 0; i < 10; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(lost, 0);
	assert_true(store_guard_holds(g));
	fake_xenstored_kill();
	assert_false(store_guard_holds(g));
	/* Nothing is left to be waited for then. */
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(lost, 1);
	assert_false(store_guard_holds(g));
	store_guard_free(g);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(lost, 1);
	fake_xenstored_end();
}

static void test_freed_while_it_is_there(void **state)
{
	struct store_guard *g = NULL;
	uv_loop_t loop;

	assert_int_equal(uv_loop_init(&loop), 0);
	fake_xenstored_begin(false);
	assert_int_equal(store_guard_open(&loop, on_lost, &lost, &g, NULL), 0);
	store_guard_free(g);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(lost, 0);
	fake_xenstored_end();
	assert_true(store_guard_holds(NULL));
	assert_null(store_guard_free(NULL));
}

static void test_asked_alone(void **state)
{
	struct error e = ERROR_INIT;

	fake_xenstored_begin(false);
	assert_int_equal(asked(NULL), 0);
	fake_xenstored_kill();
	/* Its socket is there still; libxenstore would take the device. */
	strcpy(fake.device_path, "/dev/zero");
	assert_int_equal(asked(&e), -ENODEV);
	assert_non_null(strstr(e.message, "xenstored is not running"));
	assert_non_null(strstr(e.message, fake.socket_path));
	fake_xenstored_end();
}

static void test_hangs_up(void **state)
{
	struct error e = ERROR_INIT;

	fake_xenstored_begin(true);
	assert_int_equal(asked(&e), -ETIMEDOUT);
	assert_non_null(strstr(e.message, "it hung up"));
	fake_xenstored_end();
}

/* It is in another domain, behind a device that answers anything. */
static void test_the_device(void **state)
{
	struct error e = ERROR_INIT;

	strcpy(fake.socket_path, "/nonexistent/socket");
	strcpy(fake.device_path, "/dev/zero");
	assert_int_equal(asked(NULL), 0);
	strcpy(fake.device_path, "/nonexistent/xenbus");
	assert_int_equal(asked(&e), -ENODEV);
	assert_non_null(strstr(e.message, "there is no /nonexistent/socket"));
	assert_non_null(strstr(e.message, "/nonexistent/xenbus: No such"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_its_end_is_told_once), T(test_freed_while_it_is_there),
		T(test_asked_alone),	      T(test_hangs_up),
		T(test_the_device),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
