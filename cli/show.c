#include "cli/cli.h"

#include "lib/base/parse.h"

static void print(const char *label, const char *value)
{
	if (*value)
		output_line(stdout, "%-12s %s", label, value);
}

static void print_disk(json_object *disk)
{
	json_object *readonly = field_get(disk, "readonly");
	const char *serial = field_text(disk, "serial");

	output_line(stdout, "%-12s %s  %s%s%s%s", "Disk",
		    field_text(disk, "id"), field_text(disk, "path"),
		    *serial ? "  serial " : "", serial,
		    json_object_get_boolean(readonly) ? "  read-only" : "");
}

static void print_nic(json_object *nic)
{
	const char *bridge = field_text(nic, "bridge");
	const char *tap = field_text(nic, "tap");

	output_line(stdout, "%-12s %s  %s  %s%s%s%s%s", "NIC",
		    field_text(nic, "id"), field_text(nic, "mac"),
		    *tap ? "tap " : "", tap, *tap && *bridge ? "  " : "",
		    *bridge ? "bridge " : "", bridge);
}

static void print_vsock(json_object *vsock)
{
	if (vsock)
		output_line(stdout, "%-12s CID %s", "Vsock",
			    field_text(vsock, "cid"));
}

static void print_filesystem(json_object *fs)
{
	json_object *readonly = field_get(fs, "readonly");
	const char *path = field_text(fs, "path");

	output_line(stdout, "%-12s %s  %s%s%s", "Filesystem",
		    field_text(fs, "tag"), *path ? path : "server at ",
		    *path ? "" : field_text(fs, "socket"),
		    json_object_get_boolean(readonly) ? "  read-only" : "");
}

static void print_each(json_object *list, void (*print_one)(json_object *))
{
	for (size_t i = 0; i < field_count(list); i++)
		print_one(json_object_array_get_idx(list, i));
}

static void print_labels(json_object *labels)
{
	if (!json_object_is_type(labels, json_type_object))
		return;
	json_object_object_foreach (labels, key, value)
		output_line(stdout, "%-12s %s=%s", "Label", key,
			    json_object_get_string(value));
}

static void print_addresses(json_object *interface)
{
	json_object *list = field_get(interface, "addresses");

	for (size_t i = 0; i < field_count(list); i++) {
		json_object *a = json_object_array_get_idx(list, i);

		output_line(stdout, "%-12s %s  %s/%s", "Address",
			    field_text(interface, "name"),
			    field_text(a, "address"), field_text(a, "prefix"));
	}
}

/* What the guest's agent says, when there is one. */
static void print_guest(json_object *guest)
{
	if (!json_object_get_boolean(field_get(guest, "agent")))
		return;
	print("Guest agent", field_text(guest, "version"));
	print("Host name", field_text(guest, "hostname"));
	print_each(field_get(guest, "interfaces"), print_addresses);
}

static void print_vm(json_object *vm)
{
	json_object *config = field_get(vm, "config");
	char buf[OUTPUT_CELL_SIZE];

	print("Name", field_text(vm, "name"));
	print("Description", field_text(config, "description"));
	print("UUID", field_text(vm, "uuid"));
	print("State", field_text(vm, "state"));
	print("Reason", field_text(vm, "reason"));
	if (field_u64(vm, "started_ms") > 0)
		print("Uptime", field_uptime(vm, buf, sizeof(buf)));
	if (field_u64(vm, "pid") > 0)
		print("Process", field_text(vm, "pid"));
	print("Hypervisor", field_text(vm, "hypervisor"));
	print("Architecture", field_text(config, "arch"));
	print("vCPUs", field_text(vm, "vcpus"));
	print("Host CPUs", field_text(config, "host_cpus"));
	print("Memory", format_size(field_u64(vm, "memory"), buf, sizeof(buf)));
	print("Firmware", field_text(config, "firmware"));
	print_each(field_get(config, "disks"), print_disk);
	print_each(field_get(config, "nics"), print_nic);
	print_each(field_get(config, "filesystems"), print_filesystem);
	print_vsock(field_get(config, "vsock"));
	print_labels(field_get(config, "labels"));
	if (json_object_get_boolean(field_get(config, "autostart")))
		print("Autostart", "yes");
	if (json_object_get_boolean(field_get(config, "transient")))
		print("Transient", "deleted when it stops");
	print("On crash", field_text(config, "on_crash"));
	print("On reboot", field_text(config, "on_reboot"));
	print("Revision", field_text(vm, "revision"));
	print_guest(field_get(vm, "guest"));
}

/* A VM is shown as well when its guest says nothing. */
static void add_guest(struct cli *cli, json_object *vm)
{
	struct error ignored = ERROR_INIT;
	json_object *guest = NULL;

	if (streq(field_text(vm, "state"), "running") &&
	    cli_call(cli, "vm.guest", cli_name_params(field_text(vm, "uuid")),
		     &guest, NULL, &ignored) == 0)
		json_object_object_add(vm, "guest", guest);
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	int r = cli_call(cli, "vm.get", cli_name_params(args->operands[0]), &vm,
			 NULL, e);

	if (r < 0)
		return r;
	add_guest(cli, vm);
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, vm, e);
	print_vm(vm);
	return output_flush(e);
}

const struct cli_command cli_command_show = {
	.name = "show",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Show one VM: its state and its definition",
	.detail = "With --output json, \"config\" is the definition as "
		  "create --from takes it; \"guest\" is what the guest's agent "
		  "says "
		  "(vm.guest).",
	.examples = "  armvmctl show web\n"
		    "  armvmctl show web --output json\n",
	.run = run,
};
