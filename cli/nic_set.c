#include "cli/cli.h"

static const char *const links[] = {"up", "down", NULL};

static const struct cli_option options[] = {
	{"link", "up|down", "plug the cable in or out", .values = links},
	{"live", NULL, "only until the VM stops"},
	{NULL},
};

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *nic = NULL;
	const char *link = cli_option(args, "link");
	json_object *params;
	int r;

	if (!link)
		return error_set(e, -EINVAL,
				 "nic set needs what to set: --link up or "
				 "--link down");
	params = cli_name_params(args->operands[0]);
	json_object_object_add(params, "id",
			       json_object_new_string(args->operands[1]));
	json_object_object_add(params, "link", json_object_new_string(link));
	if (cli_option(args, "live"))
		json_object_object_add(params, "live",
				       json_object_new_boolean(true));
	r = cli_call(cli, "nic.set", params, &nic, NULL, e);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, nic, e);
	output_line(stdout, "%s: the link of %s is %s", args->operands[0],
		    args->operands[1], link);
	return output_flush(e);
}

const struct cli_command cli_command_nic_set = {
	.name = "nic set",
	.operands = "NAME ID",
	.min_operands = 2,
	.max_operands = 2,
	.complete = COMPLETE_VM,
	.summary = "Plug a network card's cable in or out",
	.detail = "A running guest sees it at once and keeps what it has "
		  "configured. It stays so in the\ndefinition, unless --live "
		  "is given.",
	.examples = "  armvmctl nic set web nic0 --link down\n"
		    "  armvmctl nic set web nic0 --link up --live\n",
	.options = options,
	.run = run,
};
