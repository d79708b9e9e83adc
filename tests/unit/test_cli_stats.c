#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/stats.h"

static void fill(struct vm_stats *s, const char *disk, uint64_t n)
{
	struct vm_stats_disk *d = vm_stats_add_disk(s, disk);
	struct vm_stats_nic *nic = vm_stats_add_nic(s, "net0");
	struct vm_stats_mmio *m = vm_stats_add_mmio(s, "pl011");

	assert_true(d && nic && m);
	s->vcpus = calloc(1, sizeof(*s->vcpus));
	assert_non_null(s->vcpus);
	s->n_vcpus = 1;
	s->vcpus[0].cpu_ns = s->cpu_ns = s->exits.mmio = n;
	d->in_flight = 3;
	d->read.requests = d->read.latency.counts[5] = n;
	nic->tx.bytes = m->writes = n;
	io_flow_time(&nic->tx, n, 5000);
}

static void test_since(void **state)
{
	struct vm_stats before = {0}, now = {0};

	fill(&before, "vda", 100);
	fill(&now, "vda", 130);
	stats_since(&now, &before);
	assert_int_equal(now.cpu_ns, 30);
	assert_int_equal(now.vcpus[0].cpu_ns, 30);
	assert_int_equal(now.exits.mmio, 30);
	assert_int_equal(now.disks[0].read.requests, 30);
	assert_int_equal(now.disks[0].read.latency.counts[5], 30);
	assert_int_equal(now.disks[0].in_flight, 3);
	assert_int_equal(now.nics[0].tx.bytes, 30);
	assert_int_equal(now.nics[0].tx.total_ns, 30 * 5000);
	assert_int_equal(now.nics[0].tx.latency.counts[2], 30);
	assert_int_equal(now.mmio[0].writes, 30);
	vm_stats_done(&before);
	vm_stats_done(&now);
}

/* Another disk, and a VM that was started anew. */
static void test_since_others(void **state)
{
	struct vm_stats before = {0}, now = {0};

	fill(&before, "vda", 100);
	fill(&now, "vdb", 20);
	stats_since(&now, &before);
	assert_int_equal(now.disks[0].read.requests, 20);
	assert_int_equal(now.cpu_ns, 20);
	vm_stats_done(&before);
	vm_stats_done(&now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_since),
		cmocka_unit_test(test_since_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
