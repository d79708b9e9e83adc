#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/model/xen_caps.h"

static const struct xen_caps host = {
	.version = (char *)"4.17.3",
	.vcpus_max = 128,
	.memory_max = GIB(4),
	.gic_v3 = true,
};

static struct vm_config plain(void)
{
	return (struct vm_config){
		.kernel = (char *)"/vmlinuz",
		.vcpus = 2,
		.memory_bytes = GIB(1),
	};
}

static void expect(const struct vm_config *c, const char *want)
{
	struct error e = ERROR_INIT;
	int r = xen_caps_check(&host, c, &e);

	assert_int_equal(r < 0, *want != '\0');
	assert_string_equal(e.message, want);
}

static void test_what_works(void **state)
{
	struct vm_config c = plain();

	expect(&c, "");
	c.gic = VM_GIC_V3;
	c.features.pmu = VM_FEATURE_OFF;
	c.console = VM_CONSOLE_BOTH;
	c.on_watchdog = VM_ON_WATCHDOG_STOP;
	expect(&c, "");
}

#define X " (hypervisor \"xen\")"

static void test_what_xen_lacks(void **state)
{
	struct filesystem_config fs = {0};
	struct vm_config c = plain();

	c.kernel = NULL;
	expect(&c, "kernel: Xen guests have no UEFI firmware here; give a "
		   "kernel to start, with initrd and cmdline" X);
	c = plain();
	c.memory_backing = VM_MEMORY_HUGEPAGES;
	expect(&c, "memory_backing: a guest's memory is Xen's own; leave it "
		   "out" X);
	c = plain();
	c.free_page_reporting = true;
	expect(&c, "free_page_reporting: Xen's balloon has no such thing; use "
		   "balloon targets" X);
	c = plain();
	c.ring = VM_RING_PACKED;
	expect(&c, "ring: Xen's devices are not virtio; leave it out" X);
	c = plain();
	c.buses.rng = VM_DEVICE_BUS_MMIO;
	expect(&c, "buses: Xen's devices are on its own bus; leave it out" X);
	c = plain();
	c.vsock.cid = 5;
	expect(&c, "vsock: Xen on ARM has no virtio devices; use a network "
		   "interface" X);
	c = plain();
	c.n_filesystems = 1;
	c.filesystems = &fs;
	expect(&c, "filesystems: Xen on ARM has no virtio devices; use a disk "
		   "or the network" X);
	c = plain();
	c.features.mte = VM_FEATURE_ON;
	expect(&c, "features.mte: Xen gives its guests none; use auto or "
		   "off" X);
}

static void test_what_the_host_lacks(void **state)
{
	struct vm_config c = plain();

	c.arch = VM_ARCH_AARCH32;
	expect(&c, "arch: the CPU of this host has no AArch32 at EL1, so it "
		   "runs no aarch32 guests; use aarch64" X);
	c = plain();
	c.gic = VM_GIC_V2;
	expect(&c, "gic: Xen on this host gives guests no GICv2; use v3");
	c = plain();
	c.vcpus = 129;
	expect(&c, "vcpus: 129 are too many; Xen on this host gives a guest at "
		   "most 128");
	c = plain();
	c.memory_bytes = GIB(5);
	expect(&c, "memory: 5.0 GiB is too much; Xen on this host has 4.0 GiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_works),
		cmocka_unit_test(test_what_xen_lacks),
		cmocka_unit_test(test_what_the_host_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
