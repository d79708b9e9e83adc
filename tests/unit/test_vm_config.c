#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "lib/model/vm_config.h"

#define UUID "7c3e9a0e-52d4-4f0c-9c1b-3a5d7e9f1b20"

static int load(const char *text, struct vm_config *c, struct error *e)
{
	_cleanup_json_ json_object *o = NULL;

	assert_int_equal(json_parse(text, strlen(text), &o, e), 0);
	return vm_config_from_json(o, c, e);
}

static void test_defaults(void **state)
{
	_cleanup_vm_config_ struct vm_config c = {0};
	struct error e = ERROR_INIT;

	assert_int_equal(load("{\"name\":\"web\"}", &c, &e), 0);
	assert_string_equal(c.name, "web");
	assert_true(uuid_valid(c.uuid));
	assert_int_equal(c.vcpus, 1);
	assert_int_equal(c.memory_bytes, GIB(1));
	assert_int_equal(c.hypervisor, VM_HYPERVISOR_AUTO);
	assert_int_equal(c.arch, VM_ARCH_AARCH64);
	assert_null(c.firmware);
	assert_int_equal(c.n_disks, 0);
	assert_int_equal(c.n_nics, 0);
}

static void test_everything(void **state)
{
	_cleanup_vm_config_ struct vm_config c = {0};
	struct error e = ERROR_INIT;

	assert_int_equal(
		load("{\"name\":\"web.1\","
		     "\"uuid\":\"7C3E9A0E-52D4-4F0C-9C1B-3A5D7E9F1B20\","
		     "\"description\":\"the shop\",\"hypervisor\":\"kvm\","
		     "\"arch\":\"aarch32\",\"vcpus\":4,\"memory\":\"2GiB\","
		     "\"firmware\":\"/usr/share/AAVMF/AAVMF_CODE.fd\","
		     "\"disks\":[{\"path\":\"/srv/a.raw\",\"id\":\"root\"},"
		     "{\"path\":\"/srv/b.raw\",\"serial\":\"d1\","
		     "\"readonly\":true,\"bus\":\"mmio\",\"queues\":4}],"
		     "\"nics\":[{\"tap\":\"tap0\","
		     "\"mac\":\"52:54:00:AB:CD:EF\"},"
		     "{\"bridge\":\"br0\",\"bus\":\"mmio\"}],"
		     "\"buses\":{\"console\":\"mmio\",\"vsock\":\"mmio\"},"
		     "\"filesystems\":[{\"tag\":\"a\",\"path\":\"/a\","
		     "\"bus\":\"mmio\"},{\"tag\":\"b\",\"path\":\"/b\"}]}",
		     &c, &e),
		0);
	assert_string_equal(c.uuid, UUID);
	assert_int_equal(c.hypervisor, VM_HYPERVISOR_KVM);
	assert_int_equal(c.arch, VM_ARCH_AARCH32);
	assert_int_equal(c.memory_bytes, GIB(2));
	assert_string_equal(c.disks[0].serial, "root");
	assert_false(c.disks[0].readonly);
	assert_string_equal(c.disks[1].id, "disk1");
	assert_string_equal(c.disks[1].serial, "d1");
	assert_true(c.disks[1].readonly);
	assert_int_equal(c.disks[0].bus, VM_DEVICE_BUS_PCIE);
	assert_int_equal(c.disks[1].bus, VM_DEVICE_BUS_MMIO);
	assert_int_equal(c.disks[0].queues, 0);
	assert_int_equal(c.disks[1].queues, 4);
	assert_string_equal(c.nics[0].mac, "52:54:00:ab:cd:ef");
	assert_string_equal(c.nics[1].id, "nic1");
	assert_int_equal(c.nics[1].bus, VM_DEVICE_BUS_MMIO);
	assert_memory_equal(c.nics[1].mac, "52:54:00:", 9);
	assert_int_equal(c.buses.rng, VM_DEVICE_BUS_PCIE);
	assert_int_equal(c.buses.console, VM_DEVICE_BUS_MMIO);
	assert_int_equal(c.buses.balloon, VM_DEVICE_BUS_PCIE);
	assert_int_equal(c.buses.vsock, VM_DEVICE_BUS_MMIO);
	assert_int_equal(c.filesystems[0].bus, VM_DEVICE_BUS_MMIO);
	assert_int_equal(c.filesystems[1].bus, VM_DEVICE_BUS_PCIE);
}

/* What is stored decodes to what was stored, generated values included. */
static void test_round_trip(void **state)
{
	_cleanup_vm_config_ struct vm_config a = {0}, b = {0};
	json_object *first, *second;

	assert_int_equal(load("{\"name\":\"w\",\"hypervisor\":\"xen\","
			      "\"disks\":[{\"path\":\"/a\"}],"
			      "\"vsock\":{\"cid\":\"auto\"},"
			      "\"buses\":{\"rng\":\"mmio\"},"
			      "\"nics\":[{\"bridge\":\"br0\"}]}",
			      &a, NULL),
			 0);
	assert_true(a.vsock.cid == VM_VSOCK_AUTO);
	first = vm_config_to_json(&a);
	assert_int_equal(vm_config_from_json(first, &b, NULL), 0);
	second = vm_config_to_json(&b);
	assert_string_equal(json_text(first), json_text(second));
	json_object_put(first);
	json_object_put(second);
}

/* Who serves a folder has to map the guest's memory. */
static void test_filesystems_share_memory(void **state)
{
	_cleanup_vm_config_ struct vm_config c = {0};

	assert_int_equal(load("{\"name\":\"w\",\"filesystems\":[{\"tag\":"
			      "\"home\",\"path\":\"/home\",\"queues\":2}]}",
			      &c, NULL),
			 0);
	assert_int_equal(c.memory_backing, VM_MEMORY_MEMFD);
	assert_int_equal(c.n_filesystems, 1);
	assert_int_equal(c.filesystems[0].queues, 2);
}

static void test_default_ids_avoid_given_ones(void **state)
{
	_cleanup_vm_config_ struct vm_config c = {0};

	assert_int_equal(load("{\"name\":\"w\",\"disks\":["
			      "{\"path\":\"/a\",\"id\":\"disk1\"},"
			      "{\"path\":\"/b\"},{\"path\":\"/c\"}]}",
			      &c, NULL),
			 0);
	assert_string_equal(c.disks[1].id, "disk2");
	assert_string_equal(c.disks[2].id, "disk3");
}

static void test_default_macs(void **state)
{
	const char *text = "{\"name\":\"w\",\"uuid\":\"" UUID "\",\"nics\":["
			   "{\"tap\":\"a\"},{\"tap\":\"b\"}]}";
	_cleanup_vm_config_ struct vm_config a = {0}, b = {0}, c = {0};
	char other[256];

	assert_int_equal(load(text, &a, NULL), 0);
	assert_int_equal(load(text, &b, NULL), 0);
	assert_string_equal(a.nics[0].mac, b.nics[0].mac);
	assert_string_not_equal(a.nics[0].mac, a.nics[1].mac);
	/* The derived address of nic1 is given to nic0: nic1 gets another. */
	snprintf(other, sizeof(other),
		 "{\"name\":\"w\",\"uuid\":\"" UUID "\",\"nics\":["
		 "{\"tap\":\"a\",\"mac\":\"%s\"},{\"tap\":\"b\"}]}",
		 a.nics[1].mac);
	assert_int_equal(load(other, &c, NULL), 0);
	assert_string_equal(c.nics[0].mac, a.nics[1].mac);
	assert_string_not_equal(c.nics[1].mac, c.nics[0].mac);
}

struct bad_case {
	const char *fields, *message;
};

static const struct bad_case bad_cases[] = {
	{"\"memory\":\"12Q\"", "memory: \"12Q\" is not a size; use e.g. 2GiB"},
	{"\"memory\":\"64M\"", "memory: 64 MiB is too little; the stock "
			       "firmware needs at least 128 MiB"},
	{"\"memory\":\"256T\"", "memory: 256 TiB is too much; at most 128 TiB"},
	{"\"memory\":134217729",
	 "memory: 134217729 bytes are not a whole number of MiB"},
	{"\"vcpus\":0", "vcpus: 0 is not a whole number from 1 to 512"},
	{"\"cpu_weight\":0",
	 "cpu_weight: 0 is not a whole number from 1 to 10000"},
	{"\"cpu_weight\":10001",
	 "cpu_weight: 10001 is not a whole number from 1 to 10000"},
	{"\"host_cpus\":\"2-1\"",
	 "host_cpus: \"2-1\" is not a list of CPUs as \"0-3,8\", below 1024"},
	{"\"vcpus\":513", "vcpus: 513 is not a whole number from 1 to 512"},
	{"\"vcpu\":2", "vcpu: unknown field; did you mean \"vcpus\"?"},
	{"\"hypervisor\":\"kmv\"",
	 "hypervisor: \"kmv\" is not one of auto, kvm, xen, null; did you "
	 "mean \"kvm\"?"},
	{"\"arch\":\"x86_64\"",
	 "arch: \"x86_64\" is not one of aarch64, aarch32"},
	{"\"uuid\":\"1234\"", "uuid: \"1234\" is not a UUID; use e.g. " UUID},
	{"\"vsock\":{}", "vsock.cid: is required"},
	{"\"filesystems\":[{\"path\":\"/a\"}]",
	 "filesystems[0].tag: is required"},
	{"\"filesystems\":[{\"tag\":\"a b\",\"path\":\"/a\"}]",
	 "filesystems[0].tag: \"a b\" is not a tag: 1 to 36 printable ASCII "
	 "characters without blanks, ',', '=', '\\' and quotes"},
	{"\"filesystems\":[{\"tag\":\"a\"}]",
	 "filesystems[0]: needs either \"path\" (a folder) or \"socket\" (of "
	 "its server)"},
	{"\"filesystems\":[{\"tag\":\"a\",\"path\":\"/a\",\"socket\":"
	 "\"/s\"}]",
	 "filesystems[0]: needs either \"path\" (a folder) or \"socket\" (of "
	 "its server)"},
	{"\"filesystems\":[{\"tag\":\"a\",\"socket\":\"/s\",\"readonly\":"
	 "true}]",
	 "filesystems[0].readonly: is a matter of the server at \"socket\"; "
	 "say it there"},
	{"\"filesystems\":[{\"tag\":\"a\",\"path\":\"/a\"},{\"tag\":\"a\","
	 "\"path\":\"/b\"}]",
	 "filesystems[1].tag: \"a\" is already the tag of filesystems[0]"},
	{"\"memory_backing\":\"hugepages\",\"filesystems\":[{\"tag\":\"a\","
	 "\"path\":\"/a\"}]",
	 "memory_backing: hugepages cannot be shared with the server of "
	 "filesystems[0]; use memfd, or leave it out"},
	{"\"vsock\":{\"cid\":2}", "vsock.cid: 2 is not \"auto\" or a whole "
				  "number from 3 to 4294967294"},
	{"\"vsock\":{\"cid\":4294967295}",
	 "vsock.cid: 4294967295 is not \"auto\" or a whole number from 3 to "
	 "4294967294"},
	{"\"vsock\":{\"cid\":\"any\"}",
	 "vsock.cid: \"any\" is not \"auto\" or a whole number from 3 to "
	 "4294967294"},
	{"\"vcpus\":9,\"gic\":\"v2\"",
	 "vcpus: 9 are too many for a GICv2, which serves at most 8; use 8, or "
	 "gic v3"},
	{"\"gic\":\"v4\"", "gic: \"v4\" is not one of auto, v2, v3"},
	{"\"features\":{\"pmu\":true}", "features.pmu: true is not a string"},
	{"\"features\":{\"pum\":\"on\"}",
	 "features.pum: unknown field; did you mean \"pmu\"?"},
	{"\"memory\":\"129M\",\"memory_backing\":\"hugepages\"",
	 "memory: 129 MiB are not a whole number of huge pages of 2 MiB"},
	{"\"memory\":\"4G\",\"arch\":\"aarch32\"",
	 "memory: 4.0 GiB is too much for an AArch32 guest, whose RAM lies "
	 "below 4 GiB; at most 3 GiB"},
	{"\"initrd\":\"/i\"", "initrd: has no use without a \"kernel\"; the "
			      "firmware's boot loader has its own"},
	{"\"cmdline\":\"quiet\"",
	 "cmdline: has no use without a \"kernel\"; the "
	 "firmware's boot loader has its own"},
	{"\"kernel\":\"/k\",\"firmware\":\"/f\"",
	 "kernel: a VM starts either a \"kernel\" or a \"firmware\"; give one "
	 "of them"},
	{"\"kernel\":\"vmlinuz\"",
	 "kernel: \"vmlinuz\" is not an absolute path"},
	{"\"firmware\":\"fw.fd\"",
	 "firmware: \"fw.fd\" is not an absolute path"},
	{"\"disks\":[{}]", "disks[0].path: is required"},
	{"\"disks\":[{\"path\":\"a.raw\"}]",
	 "disks[0].path: \"a.raw\" is not an absolute path"},
	{"\"disks\":[{\"path\":\"/a\"},{\"path\":\"/a\"}]",
	 "disks[1].path: \"/a\" is already the path of disks[0]; give it a "
	 "file "
	 "of its own, or make both readonly"},
	{"\"disks\":[{\"path\":\"/a\",\"readonly\":true},{\"path\":\"/a\"}]",
	 "disks[1].path: \"/a\" is already the path of disks[0]; give it a "
	 "file "
	 "of its own, or make both readonly"},
	{"\"features\":{\"mte\":\"on\"},\"memory_backing\":\"memfd\"",
	 "features.mte: memory that is shared (memory_backing memfd) has no "
	 "tags; use memory_backing anonymous, or leave mte out"},
	{"\"features\":{\"mte\":\"on\"},\"filesystems\":[{\"tag\":\"t\","
	 "\"path\":\"/srv\"}]",
	 "features.mte: memory that is shared with the server of "
	 "filesystems[0] has no tags; leave filesystems out, or leave mte "
	 "out"},
	{"\"max_hotplug\":33",
	 "max_hotplug: 33 is not a whole number from 0 to 32"},
	{"\"disks\":[{\"path\":\"/a\"},{\"path\":\"/b\","
	 "\"serial\":\"123456789012345678901\"}]",
	 "disks[1].serial: \"123456789012345678901\" is not a serial: up to 20 "
	 "letters, digits, '.', '_' or '-', first a letter or digit"},
	{"\"disks\":[{\"path\":\"/a\",\"id\":\"x\"},"
	 "{\"path\":\"/b\",\"id\":\"x\"}]",
	 "disks[1].id: \"x\" is already the id of disks[0]"},
	{"\"disks\":[{\"path\":\"/a\",\"id\":\"a b\"}]",
	 "disks[0].id: \"a b\" is not an id: up to 20 letters, digits, '.', "
	 "'_' or '-', first a letter or digit"},
	{"\"disks\":[{\"path\":\"/a\",\"seriel\":\"x\"}]",
	 "disks[0].seriel: unknown field; did you mean \"serial\"?"},
	{"\"disks\":[{\"path\":\"/a\",\"queues\":9}]",
	 "disks[0].queues: 9 is not a whole number from 1 to 8"},
	{"\"nics\":[{}]", "nics[0]: needs \"tap\" (an interface), \"bridge\" "
			  "(which a fresh one joins) or \"user\" (through "
			  "passt)"},
	{"\"nics\":[{\"bridge\":\"b\",\"user\":true}]",
	 "nics[0]: has both \"bridge\" and \"user\"; give one of them"},
	{"\"nics\":[{\"tap\":\"t\",\"forward\":[{\"host_port\":80}]}]",
	 "nics[0].forward: only a NIC with \"user\" has ports of the host; "
	 "others are reached at the guest's own address"},
	{"\"nics\":[{\"user\":true,\"queues\":2}]",
	 "nics[0].queues: is 2, but passt has one pair; leave it out"},
	{"\"nics\":[{\"user\":true,\"vhost\":\"on\"}]",
	 "nics[0].vhost: the kernel cannot serve a NIC with \"user\"; leave it "
	 "out"},
	{"\"nics\":[{\"user\":true,\"forward\":[{\"host_port\":80},"
	 "{\"host_port\":80,\"protocol\":\"udp\"},{\"host_port\":80}]}]",
	 "nics[0].forward[2].host_port: 80 leads elsewhere already "
	 "(forward[0])"},
	{"\"nics\":[{\"user\":true,\"forward\":[{\"host_port\":0}]}]",
	 "nics[0].forward[0].host_port: 0 is not a whole number from 1 to "
	 "65535"},
	{"\"nics\":[{\"user\":true,\"forward\":[{\"host_port\":1,"
	 "\"address\":\"localhost\"}]}]",
	 "nics[0].forward[0].address: \"localhost\" is not an IPv4 or IPv6 "
	 "address"},
	{"\"nics\":[{\"tap\":\"t\",\"mtu\":67}]",
	 "nics[0].mtu: 67 is not a whole number from 68 to 65521"},
	{"\"nics\":[{\"tap\":\"t\",\"queues\":9}]",
	 "nics[0].queues: 9 is not a whole number from 1 to 8"},
	{"\"nics\":[{\"tap\":\"t\",\"bridge\":\"b\"}]",
	 "nics[0]: has both \"tap\" and \"bridge\"; give one of them"},
	{"\"nics\":[{\"tap\":\"../../x\"}]",
	 "nics[0].tap: \"../../x\" is not a network interface name: up to 15 "
	 "letters, digits, '.', '_' or '-'"},
	{"\"nics\":[{\"tap\":\"t\"},{\"tap\":\"t\"}]",
	 "nics[1].tap: \"t\" is already the tap of nics[0]"},
	{"\"nics\":[{\"tap\":\"t\",\"mac\":\"12:34\"}]",
	 "nics[0].mac: \"12:34\" is not a MAC address; use e.g. "
	 "52:54:00:12:34:56"},
	{"\"nics\":[{\"tap\":\"t\",\"mac\":\"52:54:00:00:00:AA\"},"
	 "{\"tap\":\"u\",\"mac\":\"52:54:00:00:00:aa\"}]",
	 "nics[1].mac: \"52:54:00:00:00:aa\" is already the mac of nics[0]"},
};

static void test_refusals(void **state)
{
	char text[512];

	for (size_t i = 0; i < ARRAY_SIZE(bad_cases); i++) {
		struct vm_config c = {.vcpus = 77};
		struct error e = ERROR_INIT;

		snprintf(text, sizeof(text), "{\"name\":\"web\",%s}",
			 bad_cases[i].fields);
		assert_int_equal(load(text, &c, &e), -EINVAL);
		assert_string_equal(e.message, bad_cases[i].message);
		assert_int_equal(c.vcpus, 77);
		assert_null(c.name);
	}
}

static void test_bounds_of_lists(void **state)
{
	struct vm_config c = {0};
	struct error e = ERROR_INIT;
	char text[1024] = "{\"name\":\"w\",\"disks\":[";
	size_t used = strlen(text);

	for (int i = 0; i <= VM_DISKS_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s{\"path\":\"/%d\"}", i ? "," : "",
					 i);
	snprintf(text + used, sizeof(text) - used, "]}");
	assert_int_equal(load(text, &c, &e), -EINVAL);
	assert_string_equal(e.message,
			    "disks: 33 elements are too many; at most 32");
}

static void test_name_check(void **state)
{
	char name[VM_NAME_MAX + 2];

	memset(name, 'a', sizeof(name));
	name[VM_NAME_MAX + 1] = '\0';
	assert_non_null(vm_name_check(name));
	name[VM_NAME_MAX] = '\0';
	assert_null(vm_name_check(name));
	assert_null(vm_name_check("web-1.example_org"));
	assert_null(vm_name_check("9"));
	assert_non_null(vm_name_check(""));
	assert_non_null(vm_name_check("-web"));
	assert_non_null(vm_name_check(UUID));
	assert_non_null(vm_name_check("../web"));
	assert_non_null(vm_name_check("a/b"));
	assert_non_null(vm_name_check("a b"));
	assert_non_null(vm_name_check("w\xc3\xbc"));
}

static void test_disk_queues(void **state)
{
	static const struct {
		uint32_t vcpus, said;
		int bus;
		unsigned has;
	} rows[] = {
		{1, 0, VM_DEVICE_BUS_PCIE, 1},	{2, 0, VM_DEVICE_BUS_PCIE, 2},
		{64, 0, VM_DEVICE_BUS_PCIE, 8}, {4, 3, VM_DEVICE_BUS_PCIE, 3},
		{4, 0, VM_DEVICE_BUS_MMIO, 1},	{4, 3, VM_DEVICE_BUS_MMIO, 3},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct vm_config c = {.vcpus = rows[i].vcpus};
		const struct disk_config d = {.bus = rows[i].bus,
					      .queues = rows[i].said};

		assert_int_equal(vm_disk_queues(&c, &d), rows[i].has);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_default_ids_avoid_given_ones),
		cmocka_unit_test(test_filesystems_share_memory),
		cmocka_unit_test(test_default_macs),
		cmocka_unit_test(test_disk_queues),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_bounds_of_lists),
		cmocka_unit_test(test_name_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
