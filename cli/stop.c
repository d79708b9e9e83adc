#include "cli/cli.h"

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	return cli_vm_call(cli, args, "vm.stop", "stopped", e);
}

const struct cli_command cli_command_stop = {
	.name = "stop",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Stop a VM at once, like pulling its plug",
	.detail = "The guest is not asked: what it had not written to disk is "
		  "lost. Prefer shutdown.",
	.examples = "  armvmctl stop web\n",
	.run = run,
};
