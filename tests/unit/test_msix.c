#include "tests/unit/pci_fixture.h"
#include "vmm-kvm/devices/msix.h"

#define DEVFN PCI_DEVFN(2, 0)
#define N     3

struct fixture {
	struct machine m;
	struct pci_dev dev;
	struct msix msix;
	unsigned cap;
};

static void written(struct pci_dev *d, unsigned reg, unsigned size)
{
	msix_config_written(&container_of(d, struct fixture, dev)->msix);
}

static const struct pci_dev_ops dev_ops = {.config_written = written};

static int setup(void **state)
{
	const struct pci_ids ids = {1, 2, 3, 4, 5, 6};
	struct fixture *f = calloc(1, sizeof(*f));

	machine_init(&f->m);
	pci_dev_init(&f->dev, "test", &ids, &dev_ops);
	assert_int_equal(msix_init(&f->msix, &f->dev, 2, N, &f->m.msi, NULL),
			 0);
	assert_int_equal(pci_host_add(f->m.host, &f->dev, DEVFN, NULL), 0);
	place_bar(&f->m, DEVFN, 2, BAR2_AT);
	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, PCI_COMMAND_MEMORY);
	f->cap = find_cap(&f->m, DEVFN, PCI_CAP_MSIX, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pci_host_remove(f->m.host, &f->dev);
	msix_done(&f->msix);
	msix_done(&f->msix);
	machine_done(&f->m);
	free(f);
	return 0;
}

static void control(struct fixture *f, uint16_t value)
{
	cfg_write(&f->m, DEVFN, f->cap + 2, 2, value);
}

static void entry(struct fixture *f, unsigned vector, unsigned at,
		  uint32_t value)
{
	mmio_write(&f->m, BAR2_AT + 16 * vector + at, 4, value);
}

static uint64_t pending(struct fixture *f)
{
	return mmio_read(&f->m, BAR2_AT + MSIX_PBA_AT, 8);
}

static void test_registers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cfg_read(&f->m, DEVFN, f->cap + 2, 2), N - 1);
	assert_int_equal(cfg_read(&f->m, DEVFN, f->cap + 4, 4), 2);
	assert_int_equal(cfg_read(&f->m, DEVFN, f->cap + 8, 4),
			 MSIX_PBA_AT | 2);
	control(f, 0xffff);
	assert_int_equal(cfg_read(&f->m, DEVFN, f->cap + 2, 2),
			 0xc000 | (N - 1));
	for (unsigned v = 0; v < N; v++) {
		assert_int_equal(mmio_read(&f->m, BAR2_AT + 16 * v + 12, 4), 1);
		entry(f, v, 0, 0xffffffff);
		entry(f, v, 4, 0x12);
		entry(f, v, 8, 0x3456);
		entry(f, v, 12, 0xfffffffe);
		assert_int_equal(mmio_read(&f->m, BAR2_AT + 16 * v, 8),
				 0x12fffffffc);
		assert_int_equal(mmio_read(&f->m, BAR2_AT + 16 * v + 8, 8),
				 0x3456);
	}
	mmio_write(&f->m, BAR2_AT, 8, 0xaabbccdd11223344);
	assert_int_equal(mmio_read(&f->m, BAR2_AT + 4, 4), 0xaabbccdd);
	/* Past the table, in the pending bits, past them; odd widths. */
	entry(f, N, 0, 1);
	assert_int_equal(mmio_read(&f->m, BAR2_AT + 16 * N, 4), 0);
	mmio_write(&f->m, BAR2_AT + MSIX_PBA_AT, 8, UINT64_MAX);
	assert_int_equal(pending(f), 0);
	mmio_write(&f->m, BAR2_AT + MSIX_BAR_BYTES - 8, 8, UINT64_MAX);
	assert_int_equal(mmio_read(&f->m, BAR2_AT + MSIX_BAR_BYTES - 8, 8), 0);
	mmio_write(&f->m, BAR2_AT + 1, 2, 0xffff);
	mmio_write(&f->m, BAR2_AT + 4, 8, UINT64_MAX);
	assert_int_equal(mmio_read(&f->m, BAR2_AT, 8), 0xaabbccdd11223344);
	assert_int_equal(mmio_read(&f->m, BAR2_AT, 1), 0);
}

static void test_delivers(void **state)
{
	struct fixture *f = *state;
	struct fake_vector *v = &f->m.vectors[1];

	entry(f, 1, 0, 0x08090040);
	entry(f, 1, 8, 77);
	entry(f, 1, 12, 0);
	assert_true(v->masked);
	assert_int_equal(v->sets, 0);
	control(f, 0x8000);
	assert_false(v->masked);
	assert_int_equal(v->address, 0x08090040);
	assert_int_equal(v->data, 77);
	assert_int_equal(v->device_id, DEVFN);
	assert_true(f->m.vectors[0].masked);
	msix_notify(&f->msix, 1);
	assert_int_equal(fake_raised(&f->m, 1), 1);
	assert_int_equal(pending(f), 0);
	/* A new message while open goes to the sink. */
	entry(f, 1, 8, 78);
	assert_int_equal(v->data, 78);
	msix_notify(&f->msix, N);
	msix_notify(&f->msix, 0xffff);
}

static void test_masks(void **state)
{
	struct fixture *f = *state;

	control(f, 0x8000);
	msix_notify(&f->msix, 2);
	assert_int_equal(pending(f), 1 << 2);
	assert_int_equal(fake_raised(&f->m, 2), 0);
	entry(f, 2, 12, 0);
	assert_int_equal(pending(f), 0);
	assert_int_equal(fake_raised(&f->m, 2), 1);

	control(f, 0xc000);
	assert_true(f->m.vectors[2].masked);
	msix_notify(&f->msix, 2);
	msix_notify(&f->msix, 2);
	assert_int_equal(pending(f), 1 << 2);
	control(f, 0x8000);
	assert_int_equal(fake_raised(&f->m, 2), 1);
	entry(f, 2, 12, 1);
	assert_true(f->m.vectors[2].masked);
}

static int refuse(void *cookie, uint32_t vector, uint64_t address,
		  uint32_t data, uint32_t device_id)
{
	return -EINVAL;
}

static void test_sink_refuses(void **state)
{
	struct fixture *f = *state;

	control(f, 0x8000);
	f->m.msi.vector_set = refuse;
	entry(f, 0, 12, 0);
	msix_notify(&f->msix, 0);
	assert_int_equal(fake_raised(&f->m, 0), 0);
	assert_int_equal(pending(f), 1);
	f->m.msi.vector_set = fake_vector_set;
	entry(f, 0, 8, 1);
	assert_int_equal(fake_raised(&f->m, 0), 1);
	f->m.msi.vector_set = refuse;
	entry(f, 0, 8, 2);
	assert_true(f->m.vectors[0].masked);
}

static void test_reset(void **state)
{
	struct fixture *f = *state;

	control(f, 0x8000);
	entry(f, 0, 8, 5);
	entry(f, 0, 12, 0);
	msix_notify(&f->msix, 1);
	pci_dev_reset(&f->dev);
	msix_reset(&f->msix);
	assert_false(msix_enabled(&f->msix));
	assert_true(f->m.vectors[0].masked);
	assert_int_equal(f->msix.vectors[0].data, 0);
	assert_false(f->msix.vectors[1].pending);
}

static void test_no_vectors_left(void **state)
{
	struct fixture *f = *state;
	const struct pci_ids ids = {1, 2, 3, 4, 5, 6};
	struct pci_dev dev = {0};
	struct error e = ERROR_INIT;
	struct msix m;

	pci_dev_init(&dev, "greedy", &ids, &dev_ops);
	assert_int_equal(msix_init(&m, &dev, 2, FAKE_MAX, &f->m.msi, &e),
			 -ENOSPC);
	assert_int_equal(m.n_vectors, 0);
	assert_int_equal(msix_init(&m, &dev, 2, 0, &f->m.msi, &e), -EINVAL);
	assert_int_equal(msix_init(&m, &dev, 2, 65, &f->m.msi, &e), -EINVAL);
	msix_done(&m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registers), TEST(test_delivers),
		TEST(test_masks),     TEST(test_sink_refuses),
		TEST(test_reset),     TEST(test_no_vectors_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
