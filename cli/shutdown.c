#include "cli/cli.h"

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	const char *state;
	bool waited;
	int r = cli_ask_guest(cli, args, "vm.shutdown", "shut down", &waited,
			      &vm, e);

	if (r < 0 || !vm)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, vm, e);
	state = field_text(vm, "state");
	/* By itself, or by the fallback. */
	if (streq(state, "stopped") && cli_option(args, "fallback"))
		output_line(stdout, "%s: stopped: %s", field_text(vm, "name"),
			    field_text(vm, "reason"));
	else if (streq(state, "stopped"))
		output_line(stdout, "%s: stopped", field_text(vm, "name"));
	else
		output_line(stdout,
			    "%s: the guest was asked to shut down and is still "
			    "%s; watch it with: armvmctl events --follow",
			    field_text(vm, "name"), state);
	return output_flush(e);
}

static const struct cli_option options[] = {
	{"timeout", "TIME",
	 "how long to wait, as 30s or 2m (default 1m); 0: do not wait"},
	{"fallback", "none|stop",
	 "what follows when the guest does not (default none: it runs on)"},
	CLI_LONG_OPTIONS,
	{NULL},
};

const struct cli_command cli_command_shutdown = {
	.name = "shutdown",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Ask a guest to shut down and wait until it did",
	.detail = "This presses the VM's power button and asks the guest's "
		  "agent, if one answers; the\noperating system must listen to "
		  "one of them. A guest that does not follow in "
		  "time keeps running,\nunless --fallback says to stop it.",
	.examples = "  armvmctl shutdown web\n"
		    "  armvmctl shutdown web --timeout 30s --fallback stop\n",
	.options = options,
	.run = run,
};
