#include "cli/cli.h"

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	json_object *params = cli_name_params(args->operands[0]);
	int r;

	json_object_object_add(params, "new_name",
			       json_object_new_string(args->operands[1]));
	r = cli_call(cli, "vm.rename", params, &vm, NULL, e);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, vm, e);
	output_line(stdout, "%s is now %s", args->operands[0],
		    field_text(vm, "name"));
	return output_flush(e);
}

const struct cli_command cli_command_rename = {
	.name = "rename",
	.operands = "NAME NEW-NAME",
	.min_operands = 2,
	.max_operands = 2,
	.complete = COMPLETE_VM,
	.summary = "Give a stopped VM another name",
	.examples = "  armvmctl rename web web-old\n",
	.run = run,
};
