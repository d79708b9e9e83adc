#include "cli/cli.h"

#include <inttypes.h>

static int ask(struct cli *cli, const struct cli_args *args, const char *method,
	       const char *done, struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	uint64_t count;
	int r = cli_call(cli, method, cli_name_params(args->operands[0]),
			 &result, NULL, e);

	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, result, e);
	count = field_u64(result, "filesystems");
	output_line(stdout, "%s: %" PRIu64 " file system%s %s",
		    args->operands[0], count, count == 1 ? "" : "s", done);
	return output_flush(e);
}

static int run_freeze(struct cli *cli, const struct cli_args *args,
		      struct error *e)
{
	return ask(cli, args, "vm.freeze", "frozen", e);
}

static int run_thaw(struct cli *cli, const struct cli_args *args,
		    struct error *e)
{
	return ask(cli, args, "vm.thaw", "thawed", e);
}

const struct cli_command cli_command_freeze = {
	.name = "freeze",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Have a guest write out and freeze its file systems",
	.detail = "For a copy of its disks that is whole. Writers in the guest "
		  "wait until thaw. It needs\nqemu-guest-agent in the guest.",
	.examples = "  armvmctl freeze web && cp --reflink web.raw copy.raw; "
		    "armvmctl thaw web\n",
	.run = run_freeze,
};

const struct cli_command cli_command_thaw = {
	.name = "thaw",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Let a guest write to its file systems again",
	.examples = "  armvmctl thaw web\n",
	.run = run_thaw,
};
