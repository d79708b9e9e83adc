#include "cli/cli.h"

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	return cli_vm_call(cli, args, "vm.pause", "paused", e);
}

const struct cli_command cli_command_pause = {
	.name = "pause",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Halt a VM's CPUs until it is resumed",
	.detail = "Memory stays in use; the guest does not notice, except that "
		  "time jumps.",
	.examples = "  armvmctl pause web\n",
	.run = run,
};
