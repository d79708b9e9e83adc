#include "cli/cli.h"

#include "lib/base/parse.h"

#define TIMEOUT_DEFAULT_MS 60000

static int reboot_vm(struct cli *cli, const struct cli_args *args,
		     uint64_t timeout_ms, json_object **ret_vm, struct error *e)
{
	const char *fallback = cli_option(args, "fallback");
	const char *name = args->operands[0];
	json_object *params = cli_name_params(name);
	char what[160];

	json_object_object_add(params, "timeout_ms",
			       json_object_new_uint64(timeout_ms));
	if (fallback)
		json_object_object_add(params, "fallback",
				       json_object_new_string(fallback));
	snprintf(what, sizeof(what), "%s: waiting for the guest to reboot",
		 name);
	return cli_call_long(cli, args, "vm.reboot", params, what, ret_vm, e);
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	const char *timeout = cli_option(args, "timeout");
	uint64_t timeout_ms = TIMEOUT_DEFAULT_MS;
	const char *name;
	int r = 0;

	if (timeout)
		r = parse_duration(timeout, "--timeout", &timeout_ms, e);
	if (r == 0)
		r = reboot_vm(cli, args, timeout_ms, &vm, e);
	if (r < 0 || !vm)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, vm, e);
	name = field_text(vm, "name");
	if (timeout_ms == 0)
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
