#include "cli/cli.h"

#include "lib/base/parse.h"

static void print_hypervisor(json_object *h)
{
	bool available = json_object_get_boolean(field_get(h, "available"));
	const char *reason = field_text(h, "reason");
	json_object *version = field_get(h, "version");

	output_line(stdout, "%-12s %s%s%s%s%s", field_text(h, "name"),
		    available ? "available" : "not available",
		    version ? ", version " : "",
		    version ? field_text(h, "version") : "",
		    *reason ? ": " : "", reason);
}

/* "up to 512 vCPUs and 511 GiB, GICv3, AArch32, PMU" */
static void print_guest(json_object *guest)
{
	static const struct {
		const char *field, *text;
	} can[] = {
		{"gic_v2", "GICv2"},	{"gic_v3", "GICv3"},
		{"aarch32", "AArch32"}, {"pmu", "PMU"},
		{"sve", "SVE"},		{"pauth", "pointer authentication"},
		{"mte", "MTE"},		{"steal_time", "steal time"},
	};
	char line[256], size[OUTPUT_CELL_SIZE];
	size_t at;

	if (!json_object_is_type(guest, json_type_object))
		return;
	format_size(field_u64(guest, "memory_max"), size, sizeof(size));
	at = (size_t)snprintf(line, sizeof(line), "up to %s vCPUs and %s",
			      field_text(guest, "vcpus_max"), size);
	for (size_t i = 0; i < ARRAY_SIZE(can) && at < sizeof(line); i++)
		if (json_object_get_boolean(field_get(guest, can[i].field)))
			at += (size_t)snprintf(line + at, sizeof(line) - at,
					       ", %s", can[i].text);
	output_line(stdout, "%-12s %s", "guests", line);
}

static void print_info(json_object *info)
{
	json_object *firmware = field_get(info, "firmware");
	json_object *list = field_get(info, "hypervisors");
	bool found = json_object_get_boolean(field_get(firmware, "found"));
	char buf[OUTPUT_CELL_SIZE];

	output_line(stdout, "%-12s %s", "armvmd", field_text(info, "version"));
	output_line(stdout, "%-12s %s, Linux %s", "host",
		    field_text(info, "machine"), field_text(info, "kernel"));
	output_line(stdout, "%-12s %s", "CPUs", field_text(info, "cpus"));
	output_line(stdout, "%-12s %s", "memory",
		    format_size(field_u64(info, "memory"), buf, sizeof(buf)));
	for (size_t i = 0; i < field_count(list); i++)
		print_hypervisor(json_object_array_get_idx(list, i));
	/* At most one of them is there. */
	print_guest(field_get(info, "guest"));
	for (size_t i = 0; i < field_count(list); i++)
		print_guest(
			field_get(json_object_array_get_idx(list, i), "guest"));
	output_line(stdout, "%-12s %s%s", "firmware",
		    field_text(firmware, "path"),
		    found ? "" : " (missing: install qemu-efi-aarch64)");
	output_line(stdout, "%-12s %s", "state in",
		    field_text(info, "state_dir"));
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *info = NULL;
	int r = cli_call(cli, "host.info", NULL, &info, NULL, e);

	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, info, e);
	print_info(info);
	return output_flush(e);
}

const struct cli_command cli_command_host_info = {
	.name = "host info",
	.operands = "",
	.summary = "Show what this host and armvmd can do",
	.examples = "  armvmctl host info\n",
	.run = run,
};
