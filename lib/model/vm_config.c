#include "lib/base/cpu_list.h"
#include "lib/model/vm_config_internal.h"

#define DESCRIPTION_BYTES_MAX  1024
#define AUTOSTART_ORDER_MAX    1000
#define AUTOSTART_DELAY_MAX_MS 3600000
#define HOST_CPUS_BYTES_MAX    4096

const char *const vm_hypervisor_names[] = {"auto", "kvm", "xen", "null", NULL};
static const char *const crash_policies[] = {"stop", "restart", "preserve",
					     NULL};
static const char *const reboot_policies[] = {"restart", "stop", "preserve",
					      NULL};
static const char *const archs[] = {"aarch64", "aarch32", NULL};
static const char *const gics[] = {"auto", "v2", "v3", NULL};
static const char *const backings[] = {"anonymous", "hugepages", "memfd", NULL};
static const char *const choices[] = {"auto", "on", "off", NULL};
static const char *const watchdogs[] = {"reset", "pause", "stop", "ignore",
					NULL};
static const char *const rings[] = {"split", "packed", NULL};
static const char *const consoles[] = {"pl011", "virtio", "both", NULL};

const char *vm_name_check(const char *name)
{
	/* Where a name is asked for, a uuid will do: keep them apart. */
	if (uuid_valid(name))
		return "a name; it has the form of a uuid";
	if (vm_is_word(name) && strlen(name) <= VM_NAME_MAX)
		return NULL;
	return "a name: up to 64 letters, digits, '.', '_' or '-', first a "
	       "letter or digit";
}

const char *vm_path_check(const char *path)
{
	return *path == '/' ? NULL : "an absolute path";
}

static const char *host_cpus_check(const char *text)
{
	struct cpu_list list;

	return cpu_list_parse(text, &list) == 0
		       ? NULL
		       : "a list of CPUs as \"0-3,8\", below 1024";
}

#define VM(member) offsetof(struct vm_config, member)

#define FEATURE(member, text)                                           \
	{                                                               \
		.name = #member, .kind = JSON_ENUM,                     \
		.offset = offsetof(struct vm_features, member),         \
		.flags = JSON_OMIT_EMPTY, .names = choices, .doc = text \
	}

static const struct json_field feature_fields[] = {
	FEATURE(pmu, "performance counters; auto: if the host has them"),
	FEATURE(sve, "scalable vectors; likewise"),
	FEATURE(pauth, "pointer authentication; likewise"),
	FEATURE(mte, "memory tagging; auto: off"),
	FEATURE(steal_time, "the guest is told of time others had its CPUs; "
			    "auto: if the host can"),
	JSON_END,
};

#define BUS(member)                                                 \
	{                                                           \
		.name = #member, .kind = JSON_ENUM,                 \
		.offset = offsetof(struct vm_buses, member),        \
		.flags = JSON_OMIT_EMPTY, .names = vm_device_buses, \
		.doc = "default pcie"                               \
	}

static const struct json_field bus_fields[] = {
	BUS(rng), BUS(console), BUS(balloon), BUS(vsock), JSON_END,
};

const struct json_field vm_config_fields[] = {
	{.name = "name",
	 .kind = JSON_STRING,
	 .offset = VM(name),
	 .flags = JSON_REQUIRED,
	 .check = vm_name_check,
	 .doc = "unique on the host",
	 .example = "\"web\""},
	{.name = "uuid",
	 .kind = JSON_STRING,
	 .offset = VM(uuid),
	 .doc = "default random",
	 .example = "\"7c3e9a0e-2b1f-4d11-9a7e-5f0c3f1d2e4a\""},
	{.name = "description",
	 .kind = JSON_STRING,
	 .offset = VM(description),
	 .flags = JSON_OMIT_EMPTY,
	 .max = DESCRIPTION_BYTES_MAX,
	 .doc = "free text",
	 .example = "\"the shop's front end\""},
	{.name = "hypervisor",
	 .kind = JSON_ENUM,
	 .offset = VM(hypervisor),
	 .names = vm_hypervisor_names,
	 .doc = "auto takes what the host has: KVM, or Xen in its "
		"control domain"},
	{.name = "arch",
	 .kind = JSON_ENUM,
	 .offset = VM(arch),
	 .names = archs,
	 .doc = "what the guest starts as"},
	{.name = "gic",
	 .kind = JSON_ENUM,
	 .offset = VM(gic),
	 .flags = JSON_OMIT_EMPTY,
	 .names = gics,
	 .doc = "interrupt controller; auto: v3 where the host has it; v2 "
		"serves at most 8 vCPUs"},
	{.name = "features",
	 .kind = JSON_OBJECT,
	 .offset = VM(features),
	 .flags = JSON_OMIT_EMPTY,
	 .sub = feature_fields,
	 .doc = "what of the CPU the guest sees",
	 .example = "{ \"pmu\": \"off\" }"},
	{.name = "console",
	 .kind = JSON_ENUM,
	 .offset = VM(console),
	 .flags = JSON_OMIT_EMPTY,
	 .names = consoles,
	 .doc = "default pl011; with both, pl011 is the one named to the "
		"guest; on Xen, virtio stands for its paravirtual console"},
	{.name = "ring",
	 .kind = JSON_ENUM,
	 .offset = VM(ring),
	 .flags = JSON_OMIT_EMPTY,
	 .names = rings,
	 .doc = "what virtio drivers are offered; default split"},
	{.name = "buses",
	 .kind = JSON_OBJECT,
	 .offset = VM(buses),
	 .flags = JSON_OMIT_EMPTY,
	 .sub = bus_fields,
	 .doc = "how virtio devices that are built in are reached; disks, nics "
		"and filesystems have a bus of their own",
	 .example = "{ \"console\": \"mmio\" }"},
	{.name = "vcpus",
	 .kind = JSON_U32,
	 .offset = VM(vcpus),
	 .min = 1,
	 .max = VM_VCPUS_MAX,
	 .doc = "number of virtual CPUs; default 1"},
	{.name = "cpu_weight",
	 .kind = JSON_U32,
	 .offset = VM(cpu_weight),
	 .flags = JSON_OMIT_EMPTY,
	 .min = 1,
	 .max = 10000,
	 .doc = "its share of busy CPUs beside others', as CPUWeight of "
		"systemd.resource-control(5); default 100"},
	{.name = "host_cpus",
	 .kind = JSON_STRING,
	 .offset = VM(host_cpus),
	 .flags = JSON_OMIT_EMPTY,
	 .max = HOST_CPUS_BYTES_MAX,
	 .check = host_cpus_check,
	 .doc = "the host's CPUs it may run on; default all",
	 .example = "\"0-3,8\""},
	{.name = "memory",
	 .kind = JSON_SIZE,
	 .offset = VM(memory_bytes),
	 .doc = "at least 128 MiB, whole MiB; default 1 GiB",
	 .example = "\"2GiB\""},
	{.name = "memory_backing",
	 .kind = JSON_ENUM,
	 .offset = VM(memory_backing),
	 .flags = JSON_OMIT_EMPTY,
	 .names = backings,
	 .doc = "anonymous (in transparent huge pages where they can be had), "
		"hugepages (of 2 MiB, which the host has set aside) or memfd "
		"(can be shared)"},
	{.name = "on_watchdog",
	 .kind = JSON_ENUM,
	 .offset = VM(on_watchdog),
	 .flags = JSON_OMIT_EMPTY,
	 .names = watchdogs,
	 .doc = "when the guest lets its watchdog expire; default reset"},
	{.name = "free_page_reporting",
	 .kind = JSON_BOOL,
	 .offset = VM(free_page_reporting),
	 .flags = JSON_OMIT_EMPTY,
	 .doc = "memory the guest frees goes back to the host"},
	{.name = "firmware",
	 .kind = JSON_STRING,
	 .offset = VM(firmware),
	 .flags = JSON_OMIT_EMPTY,
	 .max = PATH_BYTES_MAX,
	 .check = vm_path_check,
	 .doc = "absolute path; default the distribution's for arch",
	 .example = "\"/usr/share/AAVMF/AAVMF_CODE.fd\""},
	{.name = "kernel",
	 .kind = JSON_STRING,
	 .offset = VM(kernel),
	 .flags = JSON_OMIT_EMPTY,
	 .max = PATH_BYTES_MAX,
	 .check = vm_path_check,
	 .doc = "absolute path of a Linux kernel to start without firmware",
	 .example = "\"/boot/vmlinuz\""},
	{.name = "initrd",
	 .kind = JSON_STRING,
	 .offset = VM(initrd),
	 .flags = JSON_OMIT_EMPTY,
	 .max = PATH_BYTES_MAX,
	 .check = vm_path_check,
	 .doc = "absolute path; only with kernel",
	 .example = "\"/boot/initrd.img\""},
	{.name = "cmdline",
	 .kind = JSON_STRING,
	 .offset = VM(cmdline),
	 .flags = JSON_OMIT_EMPTY,
	 .max = VM_CMDLINE_MAX,
	 .doc = "the kernel's command line; only with kernel",
	 .example = "\"console=ttyAMA0 root=/dev/vda1\""},
	{.name = "disks",
	 .kind = JSON_ARRAY,
	 .offset = VM(disks),
	 .flags = JSON_OMIT_EMPTY,
	 .max = VM_DISKS_MAX,
	 .sub = vm_disk_fields,
	 .element_size = sizeof(struct disk_config),
	 .count_offset = VM(n_disks),
	 .doc = "in boot order",
	 .example = "[ { \"path\": \"/srv/vm/web.raw\" } ]"},
	{.name = "nics",
	 .kind = JSON_ARRAY,
	 .offset = VM(nics),
	 .flags = JSON_OMIT_EMPTY,
	 .max = VM_NICS_MAX,
	 .sub = vm_nic_fields,
	 .element_size = sizeof(struct nic_config),
	 .count_offset = VM(n_nics),
	 .doc = "network interfaces",
	 .example = "[ { \"bridge\": \"br0\" } ]"},
	{.name = "vsock",
	 .kind = JSON_OBJECT,
	 .offset = VM(vsock),
	 .flags = JSON_OMIT_EMPTY,
	 .sub = vm_vsock_fields,
	 .doc = "sockets between host and guest (AF_VSOCK); default none",
	 .example = "{ \"cid\": \"auto\" }"},
	{.name = "filesystems",
	 .kind = JSON_ARRAY,
	 .offset = VM(filesystems),
	 .flags = JSON_OMIT_EMPTY,
	 .max = VM_FILESYSTEMS_MAX,
	 .sub = vm_filesystem_fields,
	 .element_size = sizeof(struct filesystem_config),
	 .count_offset = VM(n_filesystems),
	 .doc = "folders of the host (virtio-fs); memory_backing is memfd "
		"then",
	 .example = "[ { \"tag\": \"src\", \"path\": \"/usr/src\" } ]"},
	{.name = "labels",
	 .kind = JSON_ANY,
	 .offset = VM(labels),
	 .flags = JSON_OMIT_EMPTY,
	 .doc = "object of up to 32 strings; lists filter by them",
	 .example = "{ \"role\": \"web\", \"team\": \"shop\" }"},
	{.name = "transient",
	 .kind = JSON_BOOL,
	 .offset = VM(transient),
	 .flags = JSON_OMIT_EMPTY,
	 .doc = "the VM is deleted, with its variables, when it stops"},
	{.name = "autostart",
	 .kind = JSON_BOOL,
	 .offset = VM(autostart),
	 .flags = JSON_OMIT_EMPTY,
	 .doc = "start it after the host was started"},
	{.name = "autostart_order",
	 .kind = JSON_U32,
	 .offset = VM(autostart_order),
	 .flags = JSON_OMIT_EMPTY,
	 .min = 0,
	 .max = AUTOSTART_ORDER_MAX,
	 .doc = "lower ones are started first; default 0"},
	{.name = "autostart_delay_ms",
	 .kind = JSON_U32,
	 .offset = VM(autostart_delay_ms),
	 .flags = JSON_OMIT_EMPTY,
	 .min = 0,
	 .max = AUTOSTART_DELAY_MAX_MS,
	 .doc = "wait this long after it was started, before the next"},
	{.name = "on_crash",
	 .kind = JSON_ENUM,
	 .offset = VM(on_crash),
	 .flags = JSON_OMIT_EMPTY,
	 .names = crash_policies,
	 .doc = "of the guest or its supervisor: default stop; restart (at "
		"most 5 times in 10 minutes); preserve pauses a panicked "
		"guest"},
	{.name = "on_reboot",
	 .kind = JSON_ENUM,
	 .offset = VM(on_reboot),
	 .flags = JSON_OMIT_EMPTY,
	 .names = reboot_policies,
	 .doc = "when the guest resets itself: default restart; preserve "
		"pauses it"},
	{.name = "max_hotplug",
	 .kind = JSON_U32,
	 .offset = VM(max_hotplug),
	 .max = VM_HOTPLUG_MAX,
	 .doc = "free slots for disks and network interfaces that are added "
		"while it runs; default 8"},
	JSON_END,
};

int vm_config_from_json(json_object *object, struct vm_config *ret,
			struct error *e)
{
	_cleanup_vm_config_ struct vm_config c = {
		.vcpus = 1,
		.memory_bytes = GIB(1),
		.max_hotplug = VM_HOTPLUG_DEFAULT,
	};
	int r;

	r = json_decode(object, vm_config_fields, &c, "", e);
	if (r < 0)
		return r;
	r = vm_config_complete(&c, e);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct vm_config){0};
	return 0;
}

json_object *vm_config_to_json(const struct vm_config *c)
{
	return json_encode(vm_config_fields, c);
}

void vm_config_done(struct vm_config *c)
{
	json_release(vm_config_fields, c);
	*c = (struct vm_config){0};
}
