#include "cli/cli.h"

#include "lib/base/parse.h"

static const char *name(json_object *vm, char *buf, size_t size)
{
	return field_text(vm, "name");
}

static const char *state(json_object *vm, char *buf, size_t size)
{
	return field_text(vm, "state");
}

static const char *hypervisor(json_object *vm, char *buf, size_t size)
{
	return field_text(vm, "hypervisor");
}

static const char *vcpus(json_object *vm, char *buf, size_t size)
{
	return field_text(vm, "vcpus");
}

static const char *memory(json_object *vm, char *buf, size_t size)
{
	return format_size(field_u64(vm, "memory"), buf, size);
}

static const char *disks(json_object *vm, char *buf, size_t size)
{
	return field_text(vm, "disks");
}

static const char *nics(json_object *vm, char *buf, size_t size)
{
	return field_text(vm, "nics");
}

static const struct output_column columns[] = {
	{"NAME", name},	  {"STATE", state},	    {"HYPERVISOR", hypervisor},
	{"VCPUS", vcpus}, {"MEMORY", memory},	    {"DISKS", disks},
	{"NICS", nics},	  {"UPTIME", field_uptime},
};

static int print_names(json_object *vms, struct error *e)
{
	size_t n = json_object_array_length(vms);

	for (size_t i = 0; i < n; i++)
		output_line(
			stdout, "%s",
			field_text(json_object_array_get_idx(vms, i), "name"));
	return output_flush(e);
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	int r = cli_call(cli, "vm.list", NULL, &result, NULL, e);
	json_object *vms = field_get(result, "vms");

	if (r < 0)
		return r;
	if (cli_option(args, "names") &&
	    json_object_is_type(vms, json_type_array))
		return print_names(vms, e);
	r = output_rows(cli->format, vms, vms, columns, ARRAY_SIZE(columns), e);
	if (r == 0 && cli->format == OUTPUT_TABLE &&
	    json_object_array_length(vms) == 0)
		fputs("No VM yet; make one with: armvmctl create\n", stderr);
	return r;
}

static const struct cli_option options[] = {
	{"names", NULL, "print the names alone, one a line"},
	{NULL},
};

const struct cli_command cli_command_list = {
	.name = "list",
	.operands = "",
	.summary = "List all VMs and how they are",
	.examples = "  armvmctl list\n"
		    "  armvmctl list --output jsonl\n"
		    "  armvmctl list --names\n",
	.options = options,
	.run = run,
};
