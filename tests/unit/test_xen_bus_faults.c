/* Paravirtual devices, when something goes wrong. */
#include "tests/unit/xen_bus_fixture.h"

static void test_backend_refuses(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xen_bus_connect(f->bus, DOMID, NULL), 0);
	assert_int_equal(add_disk(f, "a", 1, NULL), 0);
	fake_put("/local/domain/0/error/backend/" VBD "/error", "2 no device",
		 11);
	put_state(BACK, "6");
	turn(f);
	assert_non_null(strstr(expect(f, "a", VM_DEVICE_FAILED), "no device"));
	assert_int_equal(nodes_left(), 0);
	expect_silence(f);
}

/* Whatever a guest writes, its device is as if it had written nothing. */
static void test_nonsense_of_the_guest(void **state)
{
	static const struct {
		const char *text;
		size_t size;
	} rows[] = {{"", 0},	   {"0", 1},  {"9", 1},	      {"-1", 2},
		    {"04", 2},	   {"4 ", 2}, {"4\0", 2},     {"\xff\x80", 2},
		    {"%s%n%p", 6}, {"40", 2}, {"99999999", 8}};
	struct fixture *f = *state;

	offer(f, "a");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fake_put(FRONT "/state", rows[i].text, rows[i].size);
		turn(f);
		expect_silence(f);
	}
	fake_take(FRONT);
	turn(f);
	expect_silence(f);
	give_up(f, "a", "not listening");
	turn(f);
	assert_int_equal(nodes_left(), 0);
}

/* One of xl's, which locks nothing. */
static void test_disk_of_another_domain(void **state)
{
	static const char other[] = "/local/domain/0/backend/vbd/9/51712";
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	struct disk_config disk = {.id = (char *)"a"};
	struct vmm_device device = {.kind = VM_DEVICE_DISK, .disk = &disk};
	char path[80];
	uint32_t slot;

	device.fd = file_of(4096);
	assert_int_equal(fstat(device.fd, &dom0.file), 0);
	dom0.taken = makedev(7, 0x1a);
	snprintf(path, sizeof(path), "%s/physical-device", other);
	fake_put(path, "7:1a", 4);
	fake_put("/local/domain/9/name", "theirs", 6);
	assert_int_equal(xen_bus_add(f->bus, &device, &slot, &e), -EBUSY);
	assert_non_null(strstr(e.message, "disk \"a\""));
	assert_non_null(strstr(e.message, "domain 9 (theirs)"));
	assert_int_equal(dom0.loops_made, 0);
	/* Readers do not mind each other. */
	snprintf(path, sizeof(path), "%s/mode", other);
	fake_put(path, "r", 1);
	disk.readonly = true;
	device.fd = file_of(4096);
	assert_int_equal(fstat(device.fd, &dom0.file), 0);
	assert_int_equal(xen_bus_add(f->bus, &device, &slot, NULL), 0);
}

static void test_nic_that_cannot_join(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xen_bus_connect(f->bus, DOMID, NULL), 0);
	assert_int_equal(add_nic(f, "n", "br0", NULL), 0);
	dom0.fail_at = dom0.calls + 1;
	put_state("/local/domain/0/backend/vif/5/0", "2");
	turn(f);
	assert_non_null(
		strstr(expect(f, "n", VM_DEVICE_FAILED), "dom0 will not"));
	assert_int_equal(nodes_left(), 0);
}

static void test_xenstore_is_lost(void **state)
{
	struct fixture *f = *state;

	use(f, "a");
	fake.lost = true;
	fake_signal();
	turn(f);
	turn(f);
	assert_int_equal(f->lost, 1);
	fake.fail_at = 0;
}

/* What is under way then ends with its time, for nobody asks any more. */
static void test_lost_on_the_way(void **state)
{
	struct fixture *f = *state;
	struct error why = ERROR_INIT;
	struct vmm_device_status status;
	unsigned calls;

	use(f, "root");
	assert_int_equal(xen_bus_detach(f->bus, "root", false, NULL), 0);
	expect(f, "root", VM_DEVICE_RELEASING);
	assert_int_equal(add_disk(f, "data", 2, NULL), 0);
	turn(f);
	xen_bus_lose(f->bus);
	calls = fake.calls;
	xen_bus_give_up(f->bus, "data", &why);
	assert_string_equal(why.message, "xenstored has ended");
	assert_int_equal(xen_bus_device_status(f->bus, "data", &status),
			 -ENOENT);
	xen_bus_give_up(f->bus, "root", &why);
	assert_int_equal(xen_bus_device_status(f->bus, "root", &status), 0);
	assert_int_not_equal(status.state, VM_DEVICE_RELEASING);
	wait_turn(f);
	assert_int_equal(fake.calls, calls);
	expect_silence(f);
}

/* Each call fails once: then nothing is left, or all goes on as asked. */
static int whole_life(struct fixture *f)
{
	int r = add_disk(f, "root", 1, NULL);

	if (r == 0)
		r = xen_bus_connect(f->bus, DOMID, NULL);
	turn(f);
	if (r == 0)
		r = add_disk(f, "hot", 2, NULL);
	turn(f);
	if (r == 0)
		r = xen_bus_detach(f->bus, "hot", true, NULL);
	turn(f);
	return r;
}

static void test_each_call_fails(void **state)
{
	unsigned failed = 0;

	for (unsigned at = 2; at < 200; at++) {
		struct fixture *f = *state;
		int r;

		fake.fail_at = at;
		fake.fail_errno = at % 2 ? EIO : ENOSPC;
		fake.calls = 1;
		r = whole_life(f);
		failed += r < 0;
		fake.fail_at = 0;
		xen_bus_disconnect(f->bus);
		turn(f);
		assert_int_equal(nodes_left(), 0);
		xen_bus_free(f->bus);
		assert_int_equal(fake.n_watches, 0);
		turn(f);
		f->n_events = f->read_events = 0;
		fake.tree.n = fake.n_events = 0;
		assert_int_equal(
			xen_bus_new(&f->loop, &bus_events, f, &f->bus, NULL),
			0);
	}
	assert_true(failed > 60);
}

static void test_transaction_tries_again(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;

	assert_int_equal(add_disk(f, "root", 1, NULL), 0);
	fake.conflicts = 1000;
	assert_int_equal(xen_bus_connect(f->bus, DOMID, &e), -EBUSY);
	assert_int_equal(nodes_left(), 0);
	fake.conflicts = 3;
	assert_int_equal(xen_bus_connect(f->bus, DOMID, &e), 0);
	assert_non_null(fake_get(BACK "/physical-device"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_backend_refuses),	T(test_nonsense_of_the_guest),
		T(test_disk_of_another_domain), T(test_nic_that_cannot_join),
		T(test_xenstore_is_lost),	T(test_lost_on_the_way),
		T(test_each_call_fails),	T(test_transaction_tries_again),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
