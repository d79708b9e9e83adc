/* Paravirtual devices come, are used and go. */
#include "tests/unit/xen_bus_fixture.h"

static void test_attach_by_steps(void **state)
{
	struct fixture *f = *state;
	struct vmm_device_status status;

	use(f, "data");
	assert_int_equal(xen_bus_device_status(f->bus, "data", &status), 0);
	assert_int_equal(status.state, VM_DEVICE_ACTIVE);
	assert_int_equal(status.slot, 1);
	assert_string_equal(status.address, "vbd/51712");
	assert_string_equal(status.driver, "xen-blkfront");
	assert_string_equal(fake_get(BACK "/physical-device"), "7:0");
	assert_string_equal(fake_get(BACK "/mode"), "w");
	assert_string_equal(fake_get(BACK "/dev"), "xvda");
	assert_string_equal(fake_get(FRONT "/backend"), BACK);
	assert_string_equal(fake_get("/libxl/5/device/"
				     "vbd/51712/frontend"),
			    FRONT);
	assert_int_equal(xen_bus_device_status(f->bus, "dat", &status),
			 -ENOENT);
}

static void test_steps_that_are_skipped_are_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(xen_bus_connect(f->bus, DOMID, NULL), 0);
	assert_int_equal(add_disk(f, "a", 1, NULL), 0);
	put_state(BACK, "4");
	put_state(FRONT, "4");
	turn(f);
	expect(f, "a", VM_DEVICE_OFFERED);
	expect(f, "a", VM_DEVICE_ACKNOWLEDGED);
	expect(f, "a", VM_DEVICE_ACTIVE);
	expect_silence(f);
}

static void test_detach(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;

	use(f, "a");
	assert_int_equal(xen_bus_detach(f->bus, "a", false, NULL), 0);
	expect(f, "a", VM_DEVICE_RELEASING);
	assert_string_equal(fake_get(BACK "/online"), "0");
	assert_string_equal(fake_get(BACK "/state"), "5");
	assert_int_equal(xen_bus_detach(f->bus, "a", false, &e), -EBUSY);
	turn(f);
	expect_silence(f);
	put_state(FRONT, "6");
	put_state(BACK, "6");
	turn(f);
	expect(f, "a", VM_DEVICE_RELEASED);
	assert_int_equal(nodes_left(), 0);
	assert_int_equal(xen_bus_detach(f->bus, "a", false, &e), -ENOENT);
}

/* The backend's nodes are gone before its use of the file has ended. */
static void test_released_when_dom0_is_done(void **state)
{
	struct fixture *f = *state;
	struct vmm_device_status status;

	use(f, "a");
	dom0.backends_stay = true;
	assert_int_equal(xen_bus_detach(f->bus, "a", true, NULL), 0);
	assert_int_equal(nodes_left(), 0);
	wait_turn(f);
	expect_silence(f);
	assert_int_equal(xen_bus_device_status(f->bus, "a", &status), 0);
	assert_int_equal(status.state, VM_DEVICE_RELEASING);
	dom0.backends_stay = false;
	wait_turn(f);
	expect(f, "a", VM_DEVICE_RELEASED);
}

static void test_forced_ends_when_time_is_up(void **state)
{
	struct fixture *f = *state;
	struct error why = ERROR_INIT;

	use(f, "a");
	dom0.backends_stay = true;
	assert_int_equal(xen_bus_detach(f->bus, "a", true, NULL), 0);
	assert_int_equal(xen_bus_detach(f->bus, "a", true, NULL), 0);
	xen_bus_give_up(f->bus, "a", &why);
	assert_int_equal(why.err, 0);
	wait_turn(f);
	expect(f, "a", VM_DEVICE_RELEASED);
	expect_silence(f);
}

static void test_detach_of_one_nobody_uses(void **state)
{
	struct fixture *f = *state;

	offer(f, "a");
	assert_int_equal(xen_bus_detach(f->bus, "a", false, NULL), -EBUSY);
	assert_int_equal(xen_bus_detach(f->bus, "a", true, NULL), 0);
	turn(f);
	expect(f, "a", VM_DEVICE_RELEASED);
	expect_silence(f);
}

static void test_detach_before_the_guest_has_begun(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(add_disk(f, "a", 1, NULL), 0);
	assert_int_equal(xen_bus_connect(f->bus, DOMID, NULL), 0);
	put_state(BACK, "2");
	turn(f);
	assert_int_equal(xen_bus_detach(f->bus, "a", false, NULL), 0);
	turn(f);
	expect(f, "a", VM_DEVICE_RELEASED);
	assert_int_equal(nodes_left(), 0);
}

static void test_attach_nobody_follows(void **state)
{
	struct fixture *f = *state;
	struct vmm_device_status status;

	assert_int_equal(xen_bus_connect(f->bus, DOMID, NULL), 0);
	assert_int_equal(add_disk(f, "a", 1, NULL), 0);
	turn(f);
	give_up(f, "a", "xen-blkback");
	assert_int_equal(xen_bus_device_status(f->bus, "a", &status), -ENOENT);
	assert_int_equal(nodes_left(), 0);
	turn(f);
	expect_silence(f);
	assert_int_equal(add_disk(f, "a", 1, NULL), 0);
	put_state(BACK, "2");
	turn(f);
	expect(f, "a", VM_DEVICE_OFFERED);
	give_up(f, "a", "not listening");
	turn(f);
	assert_int_equal(add_disk(f, "a", 1, NULL), 0);
	put_state(BACK, "2");
	put_state(FRONT, "3");
	turn(f);
	expect(f, "a", VM_DEVICE_OFFERED);
	expect(f, "a", VM_DEVICE_ACKNOWLEDGED);
	give_up(f, "a", "did not come to an end");
	turn(f);
	expect_silence(f);
	assert_int_equal(nodes_left(), 0);
}

static void test_detach_nobody_follows(void **state)
{
	struct fixture *f = *state;
	struct vmm_device_status status;

	use(f, "a");
	assert_int_equal(xen_bus_detach(f->bus, "a", false, NULL), 0);
	expect(f, "a", VM_DEVICE_RELEASING);
	turn(f);
	give_up(f, "a", "in use");
	assert_string_equal(fake_get(BACK "/online"), "1");
	assert_string_equal(fake_get(BACK "/state"), "4");
	turn(f);
	expect_silence(f);
	assert_int_equal(xen_bus_device_status(f->bus, "a", &status), 0);
	assert_int_equal(status.state, VM_DEVICE_ACTIVE);
}

static void test_slots_and_ids(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	char id[8];

	for (unsigned i = 1; i <= VM_SLOTS_MAX; i++) {
		snprintf(id, sizeof(id), "d%u", i);
		assert_int_equal(add_disk(f, id, i == 2 ? 40 : 0, NULL), 0);
	}
	assert_int_equal(add_disk(f, "more", 0, &e), -ENOSPC);
	assert_int_equal(add_disk(f, "d3", 0, &e), -EEXIST);
	assert_non_null(strstr(e.message, "d3"));
}

static void test_numbers_of_disks(void **state)
{
	static const struct {
		uint32_t slot, number;
		const char *name;
	} rows[] = {{1, 51712, "xvda"},	      {16, 51952, "xvdp"},
		    {17, 268439552, "xvdq"},  {26, 268441856, "xvdz"},
		    {27, 268442112, "xvdaa"}, {53, 268448768, "xvdba"}};
	struct fixture *f = *state;
	char id[8], path[96];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(id, sizeof(id), "d%zu", i);
		assert_int_equal(add_disk(f, id, rows[i].slot, NULL), 0);
	}
	assert_int_equal(xen_bus_connect(f->bus, DOMID, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(path, sizeof(path), "/libxl/5/device/vbd/%u/dev",
			 rows[i].number);
		assert_non_null(fake_get(path));
		assert_string_equal(fake_get(path), rows[i].name);
	}
}

static void test_nic(void **state)
{
	struct fixture *f = *state;
	struct error e = ERROR_INIT;
	struct vm_stats stats = {0};

	assert_int_equal(add_nic(f, "n", NULL, &e), -EOPNOTSUPP);
	assert_int_equal(add_nic(f, "n", "br9", &e), -ENOENT);
	assert_non_null(strstr(e.message, "br9"));
	assert_int_equal(xen_bus_connect(f->bus, DOMID, NULL), 0);
	assert_int_equal(add_nic(f, "n", "br0", NULL), 0);
	dom0.no_interface = 1000;
	put_state("/local/domain/0/backend/vif/5/0", "2");
	turn(f);
	expect(f, "n", VM_DEVICE_OFFERED);
	wait_turn(f);
	assert_string_equal(dom0.joined, "");
	dom0.no_interface = 0;
	wait_turn(f);
	assert_string_equal(dom0.joined, "vif5.0");
	assert_string_equal(dom0.up, "vif5.0");
	assert_string_equal(
		fake_get("/local/domain/0/backend/vif/5/0/hotplug-status"),
		"connected");
	assert_int_equal(xen_bus_set_link(f->bus, "n", false, NULL), 0);
	assert_string_equal(dom0.up, "");
	assert_int_equal(xen_bus_stats(f->bus, &stats, NULL), 0);
	assert_int_equal(stats.n_nics, 1);
	assert_true(stats.nics[0].rx.bytes > 0);
	vm_stats_done(&stats);
}

static void test_reboot(void **state)
{
	struct fixture *f = *state;
	struct vmm_device_status status;

	assert_int_equal(add_disk(f, "root", 1, NULL), 0);
	assert_int_equal(xen_bus_connect(f->bus, DOMID, NULL), 0);
	assert_int_equal(add_disk(f, "going", 2, NULL), 0);
	assert_int_equal(add_disk(f, "coming", 3, NULL), 0);
	turn(f);
	assert_int_equal(xen_bus_detach(f->bus, "going", true, NULL), 0);
	xen_bus_disconnect(f->bus);
	assert_int_equal(nodes_left(), 0);
	assert_int_equal(xen_bus_connect(f->bus, DOMID + 1, NULL), 0);
	turn(f);
	expect(f, "going", VM_DEVICE_RELEASED);
	assert_int_equal(nodes_left(), 0);
	put_state("/local/domain/0/backend/vbd/6/51744", "2");
	turn(f);
	expect(f, "coming", VM_DEVICE_OFFERED);
	assert_int_equal(xen_bus_device_status(f->bus, "root", &status), 0);
	assert_int_equal(xen_bus_device_status(f->bus, "going", &status),
			 -ENOENT);
	assert_int_equal(dom0.loops_made, 3);
	expect_silence(f);
}

static void test_adopt(void **state)
{
	struct fixture *f = *state;
	struct vmm_device_status status;

	use(f, "root");
	assert_int_equal(add_nic(f, "n", "br0", NULL), 0);
	/* This supervisor ends, with the backend asked to close. */
	assert_int_equal(xen_bus_detach(f->bus, "root", false, NULL), 0);
	expect(f, "root", VM_DEVICE_RELEASING);
	xen_bus_free(f->bus);
	assert_int_equal(fake.n_watches, 0);
	fake_put("/libxl/5/device/vbd/5632/backend", "xl's own", 8);
	assert_int_equal(xen_bus_new(&f->loop, &bus_events, f, &f->bus, NULL),
			 0);
	assert_int_equal(xen_bus_adopt(f->bus, DOMID, NULL), 0);
	assert_int_equal(xen_bus_device_status(f->bus, "n", &status), 0);
	assert_int_equal(status.kind, VM_DEVICE_NIC);
	assert_int_equal(xen_bus_device_status(f->bus, "root", &status), 0);
	assert_int_equal(status.state, VM_DEVICE_RELEASING);
	assert_int_equal(dom0.opened, makedev(7, 0));
	put_state(FRONT, "6");
	put_state(BACK, "6");
	turn(f);
	expect(f, "root", VM_DEVICE_RELEASED);
	assert_non_null(fake_get("/libxl/5/device/vbd/5632/backend"));
}

/* Between two supervisors nobody held its loop device, and the number is
 * another file's: the guest is not to have that one. */
static void test_adopt_what_is_lost(void **state)
{
	struct fixture *f = *state;
	struct vmm_device_status status;

	use(f, "root");
	xen_bus_free(f->bus);
	dom0.taken = makedev(7, 0);
	assert_int_equal(xen_bus_new(&f->loop, &bus_events, f, &f->bus, NULL),
			 0);
	assert_int_equal(xen_bus_adopt(f->bus, DOMID, NULL), 0);
	turn(f);
	expect(f, "root", VM_DEVICE_RELEASED);
	assert_int_equal(xen_bus_device_status(f->bus, "root", &status),
			 -ENOENT);
	assert_int_equal(nodes_left(), 0);
}

static bool is_root(void *cookie, const char *id)
{
	return streq(id, "root");
}

/* An attach under way when a supervisor ended is nobody's. */
static void test_keep(void **state)
{
	struct fixture *f = *state;
	struct vmm_device_status status;

	use(f, "root");
	assert_int_equal(add_nic(f, "n", "br0", NULL), 0);
	xen_bus_free(f->bus);
	assert_int_equal(xen_bus_new(&f->loop, &bus_events, f, &f->bus, NULL),
			 0);
	assert_int_equal(xen_bus_adopt(f->bus, DOMID, NULL), 0);
	turn(f);
	xen_bus_keep(f->bus, is_root, NULL);
	assert_int_equal(xen_bus_device_status(f->bus, "n", &status), -ENOENT);
	turn(f);
	expect_silence(f);
	assert_null(fake_get("/local/domain/5/device/vif/1/state"));
	assert_int_equal(xen_bus_device_status(f->bus, "root", &status), 0);
	assert_int_equal(status.state, VM_DEVICE_ACTIVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_attach_by_steps),
		T(test_steps_that_are_skipped_are_told),
		T(test_detach),
		T(test_released_when_dom0_is_done),
		T(test_forced_ends_when_time_is_up),
		T(test_detach_of_one_nobody_uses),
		T(test_detach_before_the_guest_has_begun),
		T(test_attach_nobody_follows),
		T(test_detach_nobody_follows),
		T(test_slots_and_ids),
		T(test_numbers_of_disks),
		T(test_nic),
		T(test_reboot),
		T(test_adopt),
		T(test_adopt_what_is_lost),
		T(test_keep),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
