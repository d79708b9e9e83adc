#include "cli/cli.h"

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	const char *name;
	bool waited;
	int r = cli_ask_guest(cli, args, "vm.reboot", "reboot", &waited, &vm,
			      e);

	if (r < 0 || !vm)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, vm, e);
	name = field_text(vm, "name");
	if (!waited)
		output_line(stdout,
			    "%s: the guest was asked to reboot; watch it with: "
			    "armvmctl events --follow",
			    name);
	else if (streq(field_text(vm, "state"), "stopped"))
		output_line(stdout, "%s: stopped: %s", name,
			    field_text(vm, "reason"));
	else
		output_line(stdout, "%s: rebooted", name);
	return output_flush(e);
}

static const struct cli_option options[] = {
	{"timeout", "TIME",
	 "how long to wait, as 30s or 2m (default 1m); 0: do not wait"},
	{"fallback", "none|reset",
	 "what follows when the guest does not (default none: it runs on)"},
	CLI_LONG_OPTIONS,
	{NULL},
};

const struct cli_command cli_command_reboot = {
	.name = "reboot",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Ask a guest to reboot and wait until it did",
	.detail = "On KVM this asks the guest's agent, which has to run; on "
		  "Xen the guest is asked through\nxenstore. What the VM's "
		  "on_reboot says follows. A guest that does not follow in "
		  "time\nkeeps running, unless --fallback says to reset it.",
	.examples = "  armvmctl reboot web\n"
		    "  armvmctl reboot web --timeout 30s --fallback reset\n",
	.options = options,
	.run = run,
};
