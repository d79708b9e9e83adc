/*
 * A machine on Xen whose xenstored ends: the guest runs on, what it can be
 * asked still is done, the rest is refused, and its end is seen. Nobody else
 * can take it over, so then it is ended.
 */
#include <fcntl.h>

#include "tests/unit/fake_xenstored.h"
#include "tests/unit/xen_backend_fixture.h"

static int begin(void **state)
{
	int r = setup(state);

	fake_xenstored_begin(false);
	return r;
}

static int end(void **state)
{
	int r = teardown(state);

	fake_xenstored_end();
	assert_int_equal(domains_alive(), 0);
	return r;
}

/* It runs, and xenstored has ended. */
static void lose(struct fixture *f)
{
	run(f);
	fake_xenstored_kill();
	assert_true(comes(f, VMM_EVENT_DEGRADED));
	assert_non_null(strstr(f->detail, "xenstored has ended"));
}

static void test_the_guest_runs_on(void **state)
{
	struct fixture *f = *state;
	struct vm_stats stats = {0};

	lose(f);
	assert_true(xen.domains[0].exists && !xen.domains[0].paused);
	assert_int_equal(f->events[VMM_EVENT_FATAL], 0);
	assert_int_equal(vmm_xen_ops.pause(f->vmm, NULL), 0);
	assert_true(xen.domains[0].paused);
	assert_non_null(strstr(f->detail, "xenstored has ended"));
	assert_int_equal(vmm_xen_ops.resume(f->vmm, NULL), 0);
	assert_false(xen.domains[0].paused);
	assert_int_equal(xen.raw, 1);
	assert_int_equal(f->events[VMM_EVENT_RESUMED], 1);
	assert_non_null(strstr(f->detail, "xenstored has ended"));
	assert_int_equal(vmm_xen_ops.stats(f->vmm, &stats, NULL), 0);
	assert_int_equal(stats.n_vcpus, 1);
	vm_stats_done(&stats);
	/* Told once. */
	assert_int_equal(f->events[VMM_EVENT_DEGRADED], 1);
	vmm_xen_ops.destroy(TAKE_PTR(f->vmm));
	assert_int_equal(xen.raw, 2);
	assert_int_equal(domains_alive(), 0);
	assert_int_equal(dom0.calmed, 1);
}

static void test_what_takes_it_is_refused(void **state)
{
	struct fixture *f = *state;
	struct disk_config disk = {.id = (char *)"data"};
	struct vmm_device device = {.kind = VM_DEVICE_DISK, .disk = &disk};
	struct error e = ERROR_INIT;
	unsigned calls;
	uint32_t slot;

	lose(f);
	calls = fake.calls;
	assert_int_equal(vmm_xen_ops.shutdown(f->vmm, &e), -ENODEV);
	assert_non_null(strstr(e.message, "xenstored"));
	assert_int_equal(vmm_xen_ops.reset(f->vmm, NULL), -ENODEV);
	assert_int_equal(vmm_xen_ops.set_balloon(f->vmm, MIB(64), NULL),
			 -ENODEV);
	device.fd = memfd_create("disk", MFD_CLOEXEC);
	assert_int_equal(vmm_xen_ops.attach(f->vmm, &device, &slot, NULL),
			 -ENODEV);
	assert_int_equal(fcntl(device.fd, F_GETFD), -1);
	assert_int_equal(vmm_xen_ops.detach(f->vmm, "data", true, NULL),
			 -ENODEV);
	assert_int_equal(vmm_xen_ops.set_link(f->vmm, "n", true, NULL),
			 -ENODEV);
	assert_int_equal(fake.calls, calls);
	assert_string_equal(xen.written, "");
	assert_int_equal(f->events[VMM_EVENT_FATAL], 0);
}

static void test_its_ends_are_seen(void **state)
{
	static const struct {
		libxl_shutdown_reason reason;
		enum vmm_event_kind want;
		const char *detail;
	} rows[] = {
		{LIBXL_SHUTDOWN_REASON_POWEROFF, VMM_EVENT_POWEROFF, ""},
		{LIBXL_SHUTDOWN_REASON_REBOOT, VMM_EVENT_FATAL,
		 "the guest rebooted, which takes a new domain, and for that "
		 "xenstored, which has ended"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* One while it is lost, the other as it gets lost. */
		if (i == 0)
			lose(f);
		else
			run(f);
		xen.domains[0].reason = rows[i].reason;
		xen.domains[0].shutdown = true;
		if (i > 0)
			fake_xenstored_kill();
		assert_true(comes(f, rows[i].want));
		assert_string_equal(f->detail, rows[i].detail);
		vmm_xen_ops.destroy(TAKE_PTR(f->vmm));
		assert_int_equal(domains_alive(), 0);
		xen.next = 0;
		memset(f->events, 0, sizeof(f->events));
		fake_xenstored_end();
		fake_xenstored_begin(false);
	}
}

static void test_nobody_else_can_take_it_over(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;

	f->adopt = true;
	fake_xenstored_kill();
	assert_int_equal(create(f, &e), -ENOENT);
	assert_string_equal(e.message, "its domain is gone");
	/* Somebody else's, and its own. */
	xen.domains[0].exists = true;
	xen.domains[2].exists = true;
	assert_int_equal(libxl_uuid_from_string(&xen.domains[2].uuid, UUID), 0);
	assert_int_equal(create(f, &e), -ENOENT);
	assert_non_null(strstr(e.message, "xenstored has ended"));
	assert_true(xen.domains[0].exists && !xen.domains[2].exists);
	assert_int_equal(dom0.calmed, 3);
	assert_int_equal(xen.calls, 0);
	xen.domains[0].exists = false;
}

static void test_nothing_is_made_without_it(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;

	fake_xenstored_kill();
	assert_int_equal(create(f, &e), -ENODEV);
	assert_non_null(strstr(e.message, "xenstored is not running"));
	assert_int_equal(xen.calls, 0);
}

/* libxl cannot take back what it has made by then. */
static void test_lost_while_a_domain_is_made(void **state)
{
	struct fixture *f = *state;

	xen.in_create = fake_xenstored_kill;
	assert_int_equal(create(f, NULL), -EIO);
	assert_int_equal(xen.next, 1);
	assert_int_equal(xen.raw, 1);
	assert_int_equal(domains_alive(), 0);
}

/* Before anything ran: it is not started then. */
static void test_lost_before_the_start(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(create(f, NULL), 0);
	fake_xenstored_kill();
	assert_int_equal(vmm_xen_ops.start(f->vmm, NULL), -ENODEV);
	assert_true(xen.domains[0].paused);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_the_guest_runs_on),
		TEST(test_what_takes_it_is_refused),
		TEST(test_its_ends_are_seen),
		TEST(test_nobody_else_can_take_it_over),
		TEST(test_nothing_is_made_without_it),
		TEST(test_lost_while_a_domain_is_made),
		TEST(test_lost_before_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
