#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/model/host_caps.h"

static const struct host_caps big = {
	.ipa_bits = 40,
	.vcpus_max = 512,
	.memory_max = GIB(511),
	.gic_v2 = true,
	.gic_v3 = true,
	.its = true,
	.aarch32 = true,
	.pmu = true,
	.sve = true,
	.pauth = true,
	.mte = true,
	.steal_time = true,
};
static const struct host_caps small = {
	.ipa_bits = 36,
	.vcpus_max = 8,
	.memory_max = GIB(31),
	.gic_v2 = true,
};

static const struct vm_config plain = {.vcpus = 2, .memory_bytes = GIB(1)};

static void expect_refused(const struct host_caps *h, const struct vm_config *c,
			   int err, const char *want)
{
	struct guest_abi abi = {.gic = 77};
	struct error e = ERROR_INIT;

	assert_int_equal(host_caps_choose(h, c, &abi, &e), err);
	assert_string_equal(e.message, want);
	assert_int_equal(abi.gic, 77);
}

static void test_auto_takes_what_is_there(void **state)
{
	struct guest_abi abi;

	assert_int_equal(host_caps_choose(&big, &plain, &abi, NULL), 0);
	assert_int_equal(abi.gic, VM_GIC_V3);
	assert_false(abi.aarch32);
	assert_true(abi.pmu && abi.sve && abi.pauth && abi.steal_time);
	/* That one has to be asked for. */
	assert_false(abi.mte);
	assert_int_equal(host_caps_choose(&small, &plain, &abi, NULL), 0);
	assert_int_equal(abi.gic, VM_GIC_V2);
	assert_false(abi.pmu || abi.sve || abi.pauth || abi.mte ||
		     abi.steal_time);
}

static void test_on_and_off(void **state)
{
	struct vm_config c = plain;
	struct guest_abi abi;

	c.features.mte = VM_FEATURE_ON;
	c.features.pmu = VM_FEATURE_OFF;
	c.gic = VM_GIC_V2;
	assert_int_equal(host_caps_choose(&big, &c, &abi, NULL), 0);
	assert_true(abi.mte);
	assert_false(abi.pmu);
	assert_int_equal(abi.gic, VM_GIC_V2);
}

static void test_aarch32_has_less(void **state)
{
	struct vm_config c = plain;
	struct guest_abi abi;

	c.arch = VM_ARCH_AARCH32;
	assert_int_equal(host_caps_choose(&big, &c, &abi, NULL), 0);
	assert_true(abi.aarch32 && abi.pmu);
	assert_false(abi.sve || abi.pauth || abi.mte || abi.steal_time);
	c.features.sve = VM_FEATURE_ON;
	expect_refused(&big, &c, -EOPNOTSUPP,
		       "features.sve: AArch32 guests have none; use auto or "
		       "off");
	c.features.sve = VM_FEATURE_AUTO;
	expect_refused(&small, &c, -EOPNOTSUPP,
		       "arch: the CPU of this host has no AArch32 at EL1, so "
		       "it runs no aarch32 guests; use aarch64");
}

static void test_gic_that_is_not_there(void **state)
{
	struct host_caps only3 = big;
	struct vm_config c = plain;

	only3.gic_v2 = false;
	c.gic = VM_GIC_V2;
	expect_refused(&only3, &c, -EOPNOTSUPP,
		       "gic: this host gives guests no GICv2; use v3");
	c.gic = VM_GIC_V3;
	expect_refused(&small, &c, -EOPNOTSUPP,
		       "gic: this host gives guests no GICv3; use v2");
	only3.its = false;
	expect_refused(&only3, &c, -EOPNOTSUPP,
		       "gic: the GICv3 of this host has no ITS, without which "
		       "there are no MSIs; use v2");
}

static void test_too_much(void **state)
{
	struct vm_config c = plain;

	c.vcpus = 9;
	expect_refused(&small, &c, -EINVAL,
		       "vcpus: 9 are too many for a GICv2, all this host has; "
		       "it serves at most 8");
	c.vcpus = 600;
	expect_refused(&big, &c, -EINVAL,
		       "vcpus: 600 are too many; KVM on this host gives a "
		       "guest at most 512");
	c = plain;
	c.memory_bytes = GIB(32);
	expect_refused(&small, &c, -EINVAL,
		       "memory: 32 GiB is too much; at most 31 GiB fit the 36 "
		       "address bits a guest has on this host");
}

static void test_feature_that_is_not_there(void **state)
{
	struct vm_config c = plain;

	c.features.steal_time = VM_FEATURE_ON;
	expect_refused(&small, &c, -EOPNOTSUPP,
		       "features.steal_time: this host has none; use auto or "
		       "off");
}

static void test_crosses_as_json(void **state)
{
	_cleanup_json_ json_object *object = json_encode(host_caps_fields,
							 &big);
	struct host_caps back = {0};

	assert_int_equal(json_decode(object, host_caps_fields, &back, "", NULL),
			 0);
	assert_int_equal(back.vcpus_max, 512);
	assert_int_equal(back.memory_max, GIB(511));
	assert_true(back.gic_v2 && back.its && back.aarch32 && back.steal_time);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auto_takes_what_is_there),
		cmocka_unit_test(test_on_and_off),
		cmocka_unit_test(test_aarch32_has_less),
		cmocka_unit_test(test_gic_that_is_not_there),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_feature_that_is_not_there),
		cmocka_unit_test(test_crosses_as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
