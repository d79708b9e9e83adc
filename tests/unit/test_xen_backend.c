/*
 * A machine on Xen through lib/vmm/vmm.h, on a Xen that is only memory: what a
 * definition becomes, what the guest's ends mean, that another supervisor
 * finds the domain again, and that nothing stays whichever call fails.
 */
#include <dirent.h>
#include <sys/socket.h>

#include "tests/unit/xen_backend_fixture.h"

/* More calls than any of the runs below makes. */
#define CALLS_MAX 60

static int descriptors_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_a_definition_becomes_a_domain(void **state)
{
	struct fixture *f = *state;
	const struct fake_domain *d = &xen.domains[0];

	f->config.cpu_weight = 200;
	f->config.host_cpus = (char *)"0,2-3";
	f->config.gic = VM_GIC_V3;
	assert_int_equal(create(f, NULL), 0);
	assert_true(d->exists && d->paused);
	assert_int_equal(d->memory_kb, FAKE_KB);
	assert_int_equal(d->weight, 512);
	assert_int_equal(d->pinned, f->config.vcpus);
	assert_int_equal(d->cpus, 0x0d);
	assert_int_equal(d->gic, LIBXL_GIC_VERSION_V3);
	assert_int_equal(d->vuart, LIBXL_VUART_TYPE_SBSA_UART);
	assert_string_equal(d->cmdline, "quiet console=ttyAMA0");
	assert_non_null(strstr(d->kernel, "/proc/self/fd/"));
	assert_string_equal(d->ramdisk, "");
	assert_int_equal(vmm_xen_ops.start(f->vmm, NULL), 0);
	assert_false(d->paused);
}

static void test_the_paravirtual_console_needs_no_name(void **state)
{
	struct fixture *f = *state;

	f->config.console = VM_CONSOLE_VIRTIO;
	assert_int_equal(create(f, NULL), 0);
	assert_string_equal(xen.domains[0].cmdline, "quiet");
	assert_int_equal(xen.domains[0].pinned, 0);
	assert_int_equal(xen.domains[0].vuart, LIBXL_VUART_TYPE_UNKNOWN);
}

static void test_what_xen_lacks_is_refused_first(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;

	f->config.vsock.cid = 3;
	assert_int_equal(create(f, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.message, "vsock: "));
	assert_int_equal(xen.calls, 0);
}

static void test_too_little_memory_makes_nothing(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;

	xen.free_kb = FAKE_KB;
	assert_int_equal(create(f, &e), -ENOMEM);
	assert_non_null(strstr(e.message, "Xen has 512 MiB of memory"));
	assert_int_equal(xen.next, 0);
}

static void test_a_guest_too_small_for_its_kernel_is_not_made(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;

	f->config.memory_bytes = MIB(2);
	assert_int_equal(create(f, &e), -EINVAL);
	assert_string_equal(e.message,
			    "memory: kernel and initrd need 3.0 MiB, "
			    "the VM has 2.0 MiB");
	assert_int_equal(xen.calls, 0);
}

static void test_pause_resume_and_balloon(void **state)
{
	struct fixture *f = *state;
	struct vm_stats stats = {0};

	run(f);
	assert_int_equal(vmm_xen_ops.pause(f->vmm, NULL), 0);
	assert_true(xen.domains[0].paused && f->events[VMM_EVENT_PAUSED] == 1);
	assert_int_equal(vmm_xen_ops.resume(f->vmm, NULL), 0);
	assert_false(xen.domains[0].paused);
	assert_int_equal(vmm_xen_ops.set_balloon(f->vmm, MIB(256), NULL), 0);
	assert_true(comes(f, VMM_EVENT_BALLOON));
	assert_string_equal(f->detail, "the guest has 256 MiB left");
	assert_int_equal(vmm_xen_ops.stats(f->vmm, &stats, NULL), 0);
	assert_int_equal(stats.n_vcpus, 1);
	assert_int_equal(stats.vcpus[0].cpu_ns, 1234567);
	assert_int_equal(stats.balloon.target, MIB(256));
	assert_int_equal(stats.balloon.actual, MIB(256));
	vm_stats_done(&stats);
}

static void test_shutdown_asks_through_xenstore(void **state)
{
	struct fixture *f = *state;

	run(f);
	assert_false(vmm_xen_ops.button_heard(f->vmm));
	strcpy(xen.feature, "1");
	assert_true(vmm_xen_ops.button_heard(f->vmm));
	assert_int_equal(vmm_xen_ops.shutdown(f->vmm, NULL), 0);
	assert_string_equal(xen.written,
			    "/local/domain/1/control/shutdown=poweroff");
	fake_event(1, LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN,
		   LIBXL_SHUTDOWN_REASON_POWEROFF);
	assert_true(comes(f, VMM_EVENT_POWEROFF));
	assert_true(xen.domains[0].exists);
	vmm_xen_ops.destroy(TAKE_PTR(f->vmm));
	assert_int_equal(domains_alive(), 0);
}

static void test_reboot_asks_through_xenstore(void **state)
{
	struct fixture *f = *state;

	run(f);
	assert_int_equal(vmm_xen_ops.reboot(f->vmm, NULL), 0);
	assert_string_equal(xen.written,
			    "/local/domain/1/control/shutdown=reboot");
	fake_event(1, LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN,
		   LIBXL_SHUTDOWN_REASON_REBOOT);
	assert_true(comes(f, VMM_EVENT_RESET));
}

static void test_a_reboot_is_another_domain(void **state)
{
	struct fixture *f = *state;

	run(f);
	fake_event(1, LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN,
		   LIBXL_SHUTDOWN_REASON_REBOOT);
	assert_true(comes(f, VMM_EVENT_RESET));
	assert_false(xen.domains[0].exists);
	assert_true(xen.domains[1].exists && !xen.domains[1].paused);
	/* Late news of the old one. */
	fake_event(1, LIBXL_EVENT_TYPE_DOMAIN_DEATH, 0);
	turns(f, 20);
	assert_int_equal(f->events[VMM_EVENT_FATAL], 0);
	f->events[VMM_EVENT_RESET] = 0;
	assert_int_equal(vmm_xen_ops.reset(f->vmm, NULL), 0);
	assert_true(comes(f, VMM_EVENT_RESET));
	assert_true(xen.domains[2].exists);
}

static void test_the_ends_of_a_guest(void **state)
{
	static const struct {
		int type, reason, on_crash, on_watchdog;
		enum vmm_event_kind want;
		const char *detail;
	} rows[] = {
		{LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN, LIBXL_SHUTDOWN_REASON_CRASH,
		 VM_ON_CRASH_STOP, 0, VMM_EVENT_FATAL, "the guest crashed"},
		{LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN, LIBXL_SHUTDOWN_REASON_CRASH,
		 VM_ON_CRASH_PRESERVE, 0, VMM_EVENT_PAUSED,
		 "the guest crashed"},
		{LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN,
		 LIBXL_SHUTDOWN_REASON_WATCHDOG, 0, VM_ON_WATCHDOG_RESET,
		 VMM_EVENT_WATCHDOG, ""},
		{LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN,
		 LIBXL_SHUTDOWN_REASON_WATCHDOG, 0, VM_ON_WATCHDOG_IGNORE,
		 VMM_EVENT_FATAL,
		 "the guest let its watchdog expire, upon which Xen ends a "
		 "domain"},
		{LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN,
		 LIBXL_SHUTDOWN_REASON_SUSPEND, 0, 0, VMM_EVENT_FATAL,
		 "the guest asked for \"suspend\", which Xen on ARM does not "
		 "do"},
		{LIBXL_EVENT_TYPE_DOMAIN_DEATH, 0, 0, 0, VMM_EVENT_FATAL,
		 "its domain was destroyed by somebody else"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		memset(f->events, 0, sizeof(f->events));
		xen.next = 0;
		f->config.on_crash = rows[i].on_crash;
		f->config.on_watchdog = rows[i].on_watchdog;
		run(f);
		fake_event(1, (libxl_event_type)rows[i].type,
			   (libxl_shutdown_reason)rows[i].reason);
		assert_true(comes(f, rows[i].want));
		assert_string_equal(f->detail, rows[i].detail);
		vmm_xen_ops.destroy(TAKE_PTR(f->vmm));
	}
}

static void test_lost_and_found(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;

	f->adopt = true;
	assert_int_equal(create(f, &e), -ENOENT);
	assert_string_equal(e.message, "its domain is gone");
	/* Somebody else's, and its own. */
	xen.domains[0].exists = true;
	xen.domains[2].exists = xen.domains[2].paused = true;
	assert_int_equal(libxl_uuid_from_string(&xen.domains[2].uuid, UUID), 0);
	assert_int_equal(create(f, NULL), 0);
	assert_int_equal(vmm_xen_ops.start(f->vmm, NULL), 0);
	assert_true(comes(f, VMM_EVENT_PAUSED));
	assert_int_equal(vmm_xen_ops.resume(f->vmm, NULL), 0);
	assert_false(xen.domains[2].paused);
	vmm_xen_ops.destroy(TAKE_PTR(f->vmm));
	assert_true(xen.domains[0].exists && !xen.domains[2].exists);
	xen.domains[0].exists = false;
}

/* A terminal of ours stands for xenconsoled's. */
static void test_the_console_is_a_terminal(void **state)
{
	struct fixture *f = *state;
	struct chardev_seat seat = {.who = "me", .want = CHARDEV_WRITE};
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK), ends[2];
	char seen[64] = "", typed[8] = "";

	assert_true(master >= 0 && unlockpt(master) == 0);
	assert_int_equal(ptsname_r(master, xen.tty, sizeof(xen.tty)), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	run(f);
	assert_int_equal(chardev_attach(f->console, ends[1], &seat, NULL), 0);
	turns(f, 50);
	assert_int_equal(write(master, "login:\n", 7), 7);
	assert_int_equal(write(ends[0], "root", 4), 4);
	for (int i = 0; i < 2000 && (!*seen || !*typed); i++) {
		turns(f, 1);
		if (!*seen)
			(void)!read(ends[0], seen, sizeof(seen) - 1);
		if (!*typed)
			(void)!read(master, typed, sizeof(typed) - 1);
	}
	assert_string_equal(seen, "login:\n");
	assert_string_equal(typed, "root");
	close(ends[0]);
	close(master);
}

/* xenconsoled has ended, and its terminal's number is anybody's. */
static void test_a_terminal_that_is_gone_is_forgotten(void **state)
{
	struct fixture *f = *state;

	strcpy(xen.tty, "/dev/pts/999999");
	run(f);
	for (int i = 0; i < 4000 && !*xen.written; i++)
		turns(f, 1);
	assert_string_equal(xen.written, "/local/domain/1/vuart/0/tty=");
}

/* As far as it goes; 0 when nothing failed. */
static int live(struct fixture *f)
{
	struct vm_stats stats = {0};
	int r = create(f, NULL);

	if (r == 0)
		r = vmm_xen_ops.start(f->vmm, NULL);
	if (r == 0)
		r = vmm_xen_ops.pause(f->vmm, NULL);
	if (r == 0)
		r = vmm_xen_ops.resume(f->vmm, NULL);
	if (r == 0)
		r = vmm_xen_ops.set_balloon(f->vmm, MIB(128), NULL);
	if (r == 0)
		r = vmm_xen_ops.stats(f->vmm, &stats, NULL);
	if (r == 0)
		r = vmm_xen_ops.shutdown(f->vmm, NULL);
	if (r == 0)
		r = vmm_xen_ops.reset(f->vmm, NULL);
	vm_stats_done(&stats);
	vmm_xen_ops.destroy(TAKE_PTR(f->vmm));
	turns(f, 2);
	return r;
}

static void test_whichever_call_fails(void **state)
{
	struct fixture *f = *state;
	int before, failed = 0;

	assert_int_equal(live(f), 0);
	before = descriptors_open();
	for (int n = 1; n <= CALLS_MAX; n++) {
		bool destroy_failed;

		xen = (struct fake_xen){.fail_in = n, .free_kb = 4 * FAKE_KB};
		failed += live(f) < 0;
		/* What Xen refuses to take away is there still. */
		destroy_failed = xen.fail_in == 0 && domains_alive() == 1;
		assert_true(domains_alive() == 0 || destroy_failed);
		assert_int_equal(xen.contexts, 0);
		assert_int_equal(xen.stores, 0);
		assert_int_equal(xen.watches, 0);
		assert_int_equal(descriptors_open(), before);
		xen.domains[0].exists = xen.domains[1].exists = false;
	}
	assert_true(failed >= 15);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_definition_becomes_a_domain),
		TEST(test_the_paravirtual_console_needs_no_name),
		TEST(test_what_xen_lacks_is_refused_first),
		TEST(test_too_little_memory_makes_nothing),
		TEST(test_a_guest_too_small_for_its_kernel_is_not_made),
		TEST(test_pause_resume_and_balloon),
		TEST(test_shutdown_asks_through_xenstore),
		TEST(test_reboot_asks_through_xenstore),
		TEST(test_a_reboot_is_another_domain),
		TEST(test_the_ends_of_a_guest),
		TEST(test_lost_and_found),
		TEST(test_the_console_is_a_terminal),
		TEST(test_a_terminal_that_is_gone_is_forgotten),
		TEST(test_whichever_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
