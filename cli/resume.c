#include "cli/cli.h"

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	return cli_vm_call(cli, args, "vm.resume", "running", e);
}

const struct cli_command cli_command_resume = {
	.name = "resume",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Let a paused VM go on",
	.detail = "It continues where pause halted it.",
	.examples = "  armvmctl resume web\n",
	.run = run,
};
