#include "tests/unit/pci_fixture.h"
#include "tests/unit/fake_vhost.h"
#include "vmm-kvm/devices/virtio_fs.h"

#define DEVFN	 PCI_DEVFN(1, 0)
#define FEATURES (1ull << 32 | 3ull << 28)

struct fixture {
	struct machine m;
	struct fake_vhost *vhost;
	struct virtio_dev *dev;
	struct virtio_pci *v;
	struct driver d;
	struct vring rings[3];
	unsigned frees, failures;
};

static void failed(void *cookie, const char *why)
{
	((struct fixture *)cookie)->failures++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_fs_params fs = {
		.loop = &f->m.loop,
		.tag = "home",
		.n_queues = 2,
		.failed = failed,
		.cookie = f,
	};

	machine_init(&f->m);
	f->vhost = fake_vhost_new(FEATURES | 1ull << 24, &f->frees);
	fs.vhost = &f->vhost->vhost;
	assert_int_equal(virtio_fs_new(&fs, &f->dev, NULL), 0);
	f->v = driver_plug(&f->d, &f->m, DEVFN, f->dev, true);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_pci_free(f->v);
	machine_done(&f->m);
	free(f);
	return 0;
}

static void start(struct fixture *f)
{
	driver_start(&f->d, 3ull << 28, f->rings, 3);
	driver_turn(&f->d);
}

static void test_identity(void **state)
{
	struct fixture *f = *state;
	char tag[36];

	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_DEVICE, 2), 0x105a);
	assert_int_equal(driver_offered(&f->d), FEATURES);
	assert_int_equal(mmio_read(&f->m, f->d.common + 0x12, 2), 3);
	for (unsigned i = 0; i < sizeof(tag); i++)
		tag[i] = (char)mmio_read(&f->m, f->d.device + i, 1);
	assert_memory_equal(tag, "home\0\0\0\0", 8);
	assert_int_equal(mmio_read(&f->m, f->d.device + 36, 4), 2);
	start(f);
	assert_true(f->vhost->running);
	assert_int_equal(f->vhost->setup.n_rings, 3);
	driver_set_status(&f->d, 0);
	assert_false(f->vhost->running);
	assert_int_equal(f->failures, 0);
}

/* The driver in use is told; the next one has the new server. */
static void test_lost_and_replaced(void **state)
{
	struct fixture *f = *state;
	struct fake_vhost *next = fake_vhost_new(FEATURES, &f->frees);

	start(f);
	virtio_fs_lost(f->dev, "it died");
	assert_int_equal(driver_status(&f->d), 0x4f);
	assert_false(f->vhost->running);
	assert_int_equal(f->failures, 1);
	virtio_fs_lost(f->dev, "again");
	assert_int_equal(f->failures, 1);
	assert_int_equal(virtio_fs_replace(f->dev, &next->vhost, NULL), 0);
	assert_int_equal(f->frees, 1);
	driver_notify(&f->d, 1);
	driver_turn(&f->d);
	assert_false(next->running);
	start(f);
	assert_true(next->running);
	assert_int_equal(driver_status(&f->d), 15);
}

/* Nobody may be offered less than what he saw. */
static void test_lesser_server(void **state)
{
	struct fixture *f = *state;
	struct fake_vhost *less = fake_vhost_new(1ull << 32, &f->frees);
	struct error e = ERROR_INIT;

	assert_int_equal(virtio_fs_replace(f->dev, &less->vhost, &e),
			 -EOPNOTSUPP);
	assert_non_null(strstr(e.message, "virtio-fs"));
	assert_int_equal(f->frees, 1);
	start(f);
	assert_true(f->vhost->running);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity),
		TEST(test_lost_and_replaced),
		TEST(test_lesser_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
