#include "tests/unit/pci_fixture.h"
#include "vmm-kvm/devices/virtio_rng.h"

#define DEVFN PCI_DEVFN(1, 0)

struct fixture {
	struct machine m;
	struct virtio_pci *v;
	struct driver d;
	struct vring ring;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_dev *dev;

	machine_init(&f->m);
	assert_int_equal(virtio_rng_new(&dev, NULL), 0);
	f->v = driver_plug(&f->d, &f->m, DEVFN, dev, false);
	driver_start(&f->d, 3ull << 28, &f->ring, 1);
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

static bool all_zero(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i])
			return false;
	return true;
}

static void test_identity(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_DEVICE, 2), 0x1044);
	assert_int_equal(driver_offered(&f->d), 1ull << 32 | 3ull << 28);
	assert_int_equal(mmio_read(&f->m, f->d.device, 8), 0);
}

static void test_fills(void **state)
{
	struct fixture *f = *state;
	struct vring *v = &f->ring;
	uint8_t *buffer = ram_at(&f->m.ram, DATA_GPA);
	uint32_t head, written;

	vring_desc(v, v->desc, 0, DATA_GPA, 64,
		   VIRTQ_DESC_WRITE | VIRTQ_DESC_NEXT, 1);
	vring_desc(v, v->desc, 1, DATA_GPA + 128, 1000, VIRTQ_DESC_WRITE, 0);
	vring_add(v, 0);
	driver_notify(&f->d, 0);
	assert_true(driver_wait(&f->d, v, &head, &written));
	assert_int_equal(written, 1064);
	assert_false(all_zero(buffer, 64));
	assert_true(all_zero(buffer + 64, 64));
	assert_false(all_zero(buffer + 1128 - 32, 32));
	assert_true(all_zero(buffer + 1128, 64));
}

/* What one turn gives is bounded; the loop goes on with the rest. */
static void test_bounded(void **state)
{
	struct fixture *f = *state;
	struct vring *v = &f->ring;
	uint32_t head, written;

	for (uint16_t i = 0; i < 4; i++) {
		vring_desc(v, v->desc, i, DATA_GPA, 0xe0000, VIRTQ_DESC_WRITE,
			   0);
		vring_add(v, i);
	}
	driver_notify(&f->d, 0);
	for (uint16_t i = 0; i < 4; i++) {
		assert_true(driver_wait(&f->d, v, &head, &written));
		assert_int_equal(head, i);
		assert_int_equal(written, VIRTIO_RNG_KICK_BYTES);
	}
}

static void test_malformed(void **state)
{
	struct fixture *f = *state;
	const struct virtq_desc rows[] = {
		{DATA_GPA, 64, 0, 0}, /* readable */
		{DATA_GPA, 0, VIRTQ_DESC_WRITE, 0},
		{0, 64, VIRTQ_DESC_WRITE, 0},
		{DATA_GPA, 64, VIRTQ_DESC_WRITE | VIRTQ_DESC_NEXT, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		driver_start(&f->d, 3ull << 28, &f->ring, 1);
		memcpy(ram_at(&f->m.ram, f->ring.desc), &rows[i],
		       sizeof(rows[i]));
		vring_add(&f->ring, 0);
		driver_notify(&f->d, 0);
		driver_turn(&f->d);
		assert_int_equal(driver_status(&f->d), 0x4f);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity),
		TEST(test_fills),
		TEST(test_bounded),
		TEST(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
