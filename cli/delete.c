#include "cli/cli.h"

/* A VM that is not running makes vm.stop fail, which is no failure here. */
static int stop_first(struct cli *cli, const char *name, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	int r = cli_call(cli, "vm.stop", cli_name_params(name), &vm, NULL, e);

	return r < 0 && e->code == ERROR_STATE ? 0 : r;
}

static int offer_force(struct error *e)
{
	const struct error was = *e;

	return error_set_code(e, was.code, "%s; --force stops it first",
			      was.message);
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	const char *name = args->operands[0];
	json_object *params;
	int r = 0;

	if (cli_option(args, "force"))
		r = stop_first(cli, name, e);
	params = cli_name_params(name);
	if (cli_option(args, "keep-variables"))
		json_object_object_add(params, "keep_variables",
				       json_object_new_boolean(true));
	if (r == 0)
		r = cli_call(cli, "vm.delete", params, &result, NULL, e);
	else
		json_object_put(params);
	if (r < 0 && e->code == ERROR_STATE && !cli_option(args, "force"))
		return offer_force(e);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, result, e);
	output_line(stdout, "%s deleted; its disks are untouched", name);
	return output_flush(e);
}

static const struct cli_option options[] = {
	{"force", NULL, "stop it first if it is running"},
	{"keep-variables", NULL,
	 "keep its UEFI variables; see: armvmctl var kept"},
	{NULL},
};

const struct cli_command cli_command_delete = {
	.name = "delete",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.exact = true,
	.summary = "Delete a VM: its definition and its UEFI variables",
	.detail = "Disk images are never deleted.",
	.examples = "  armvmctl delete web\n"
		    "  armvmctl delete web --force\n",
	.options = options,
	.run = run,
};
