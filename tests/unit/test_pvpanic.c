#include "tests/unit/pci_fixture.h"
#include "vmm-kvm/devices/pvpanic.h"

#define DEVFN PCI_DEVFN(1, 0)

struct fixture {
	struct machine m;
	struct pvpanic *p;
	unsigned panics;
};

static void on_panicked(void *cookie)
{
	((struct fixture *)cookie)->panics++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct pvpanic_params params = {
		.devfn = DEVFN,
		.panicked = on_panicked,
		.cookie = f,
	};

	machine_init(&f->m);
	params.host = f->m.host;
	assert_int_equal(pvpanic_new(&params, &f->p, NULL), 0);
	place_bar(&f->m, DEVFN, 0, BAR0_AT);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bus_lock(f->m.bus);
	pvpanic_free(f->p);
	bus_unlock(f->m.bus);
	machine_done(&f->m);
	free(f);
	return 0;
}

static void enable(struct fixture *f)
{
	cfg_write(&f->m, DEVFN, PCI_REG_COMMAND, 2, PCI_COMMAND_MEMORY);
}

static void test_identity(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_VENDOR, 4), 0x111b36);
	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_CLASS, 2), 0x8000);
	assert_int_equal(cfg_read(&f->m, DEVFN, PCI_REG_CLASS + 2, 1), 8);
}

static void test_panic(void **state)
{
	struct fixture *f = *state;

	/* Not there until it is decoded. */
	mmio_write(&f->m, BAR0_AT, 1, 1);
	assert_int_equal(f->panics, 0);
	enable(f);
	assert_int_equal(mmio_read(&f->m, BAR0_AT, 1), 1);
	mmio_write(&f->m, BAR0_AT, 1, 1);
	assert_int_equal(f->panics, 1);
}

static void test_other_accesses(void **state)
{
	struct fixture *f = *state;

	enable(f);
	for (unsigned size = 1; size <= 8; size *= 2)
		for (uint64_t at = 1; at < 64; at++) {
			mmio_write(&f->m, BAR0_AT + at, size, UINT64_MAX);
			assert_int_equal(mmio_read(&f->m, BAR0_AT + at, size),
					 0);
		}
	/* Events that were not offered. */
	mmio_write(&f->m, BAR0_AT, 1, 0);
	mmio_write(&f->m, BAR0_AT, 1, 0xfe);
	assert_int_equal(f->panics, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity),
		TEST(test_panic),
		TEST(test_other_accesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
