#include "cli/cli.h"

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	json_object *config, *params;
	int r = cli_definition(args, &config, e);

	if (r < 0)
		return r;
	params = json_object_new_object();
	json_object_object_add(params, "config", config);
	r = cli_call(cli, "vm.define", params, &vm, NULL, e);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, vm, e);
	output_line(stdout,
		    "%s created (uuid %s). Start it with: armvmctl start %s",
		    field_text(vm, "name"), field_text(vm, "uuid"),
		    field_text(vm, "name"));
	return output_flush(e);
}

static const char *const hypervisors[] = {"auto", "kvm", "xen", "null", NULL};
static const char *const gics[] = {"auto", "v2", "v3", NULL};
static const char *const backings[] = {"anonymous", "hugepages", "memfd", NULL};
static const char *const arches[] = {"aarch64", "aarch32", NULL};
static const char *const rings[] = {"split", "packed", NULL};
static const char *const consoles[] = {"pl011", "virtio", "both", NULL};

static const struct cli_option options[] = {
	{"disk", "PATH[,KEY=VALUE]", "a raw image or block device",
	 .repeatable = true, .complete = COMPLETE_FILE},
	{"memory", "SIZE", "as 2G or 512M"},
	{"vcpus", "N", "number of virtual CPUs"},
	{"host-cpus", "LIST", "CPUs of the host it may run on, as 0-3,8"},
	{"max-hotplug", "N", "disks and nics to add while it runs (default 8)"},
	{"nic", "tap=IF|bridge=IF|user", "a network card", .repeatable = true},
	{"fs", "TAG=PATH", "a folder of this host", .repeatable = true,
	 .complete = COMPLETE_FILE},
	{"vsock", "CID", "sockets between host and guest (default: a free CID)",
	 .implied = "auto"},
	{"firmware", "PATH", "UEFI code (default: the distribution's)",
	 .complete = COMPLETE_FILE},
	{"kernel", "PATH", "start this Linux kernel, without firmware",
	 .complete = COMPLETE_FILE},
	{"initrd", "PATH", "with --kernel: its initial RAM disk",
	 .complete = COMPLETE_FILE},
	{"cmdline", "TEXT", "with --kernel: its command line"},
	{"hypervisor", "TYPE", "auto, kvm, xen or null (no guest runs)",
	 .values = hypervisors},
	{"arch", "ARCH", "aarch64 or aarch32", .values = arches},
	{"gic", "VERSION", "interrupt controller: auto, v2 or v3",
	 .values = gics},
	{"feature", "NAME=on|off|auto", "pmu, sve, pauth, mte or steal_time",
	 .repeatable = true},
	{"memory-backing", "KIND", "anonymous, hugepages or memfd",
	 .values = backings},
	{"console", "DEVICE", "pl011, virtio or both", .values = consoles},
	{"ring", "KIND", "virtio queues: split or packed", .values = rings},
	{"bus", "DEVICE=pcie|mmio", "of rng, console, balloon or vsock",
	 .repeatable = true},
	CLI_POLICY_OPTIONS,
	{"transient", NULL, "it is deleted when it stops"},
	{"from", "FILE", "read the definition as JSON; - is standard input",
	 .complete = COMPLETE_FILE},
	{NULL},
};

const struct cli_command cli_command_create = {
	.name = "create",
	.alias = "define",
	.operands = "NAME",
	.max_operands = 1,
	.summary = "Define a VM; nothing runs until start",
	.detail = "--disk also takes ,serial=TEXT ,id=TEXT ,bus=mmio ,queues=N "
		  ",on_error=POLICY "
		  "and "
		  ",readonly; a comma in a path is written twice.\n"
		  "--nic also takes ,mac=MAC ,id=TEXT and ,bus=mmio; a tap "
		  "that does not "
		  "exist is made when the VM starts.\n"
		  "--fs TAG=PATH also takes ,ro ,bus=mmio and ,queues=N; --fs "
		  "TAG,socket=PATH is a folder that another virtiofsd serves."
		  "\n"
		  "With --from, options add to or replace what the file says.",
	.examples =
		"  armvmctl create web --disk debian.raw --memory 2G --vcpus 2 "
		"--nic bridge=br0\n"
		"  armvmctl create db --disk db.raw,serial=root --disk "
		"data.raw,readonly\n"
		"  armvmctl show web --output json | jq .config |\n"
		"      armvmctl create web2 --from -\n"
		"  armvmctl create tiny --kernel vmlinuz --initrd initrd.img "
		"--cmdline quiet\n"
		"  armvmctl create db --disk db.raw --vsock --fs "
		"src=/usr/src,ro\n",
	.options = options,
	.run = run,
};
