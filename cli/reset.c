#include "cli/cli.h"

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	return cli_vm_call(cli, args, "vm.reset", "reset", e);
}

const struct cli_command cli_command_reset = {
	.name = "reset",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Reset a VM, like its reset button",
	.detail = "The guest is not asked: what it had not written to disk is "
		  "lost.",
	.examples = "  armvmctl reset web\n",
	.run = run,
};
