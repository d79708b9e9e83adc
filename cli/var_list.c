#include "cli/cli.h"

static const char *name(json_object *var, char *buf, size_t size)
{
	return field_text(var, "name");
}

static const char *guid(json_object *var, char *buf, size_t size)
{
	return field_text(var, "guid");
}

static const char *attributes(json_object *var, char *buf, size_t size)
{
	return field_text(var, "attributes");
}

static const char *size_bytes(json_object *var, char *buf, size_t size)
{
	return field_text(var, "size");
}

static const struct output_column columns[] = {
	{"NAME", name},
	{"GUID", guid},
	{"ATTRIBUTES", attributes},
	{"SIZE", size_bytes, .right = true},
};

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	int r = cli_call(cli, "var.list", cli_name_params(args->operands[0]),
			 &result, NULL, e);

	if (r < 0)
		return r;
	return output_rows(cli->format, field_get(result, "variables"), result,
			   columns, ARRAY_SIZE(columns), e);
}

const struct cli_command cli_command_var_list = {
	.name = "var list",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "List a VM's UEFI variables",
	.detail = "Attributes: NV kept over a restart, BS and RT seen before "
		  "and by the operating system,\nAT written with "
		  "authentication. --output json has the data, too.",
	.examples = "  armvmctl var list web\n"
		    "  armvmctl var list web --output json\n",
	.run = run,
};
