#include "cli/cli.h"

#include "lib/base/parse.h"

#define TIMEOUT_DEFAULT_MS 60000

static int shutdown_vm(struct cli *cli, const struct cli_args *args,
		       uint64_t timeout_ms, json_object **ret_vm,
		       struct error *e)
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
	snprintf(what, sizeof(what), "%s: waiting for the guest to shut down",
		 name);
	return cli_call_long(cli, args, "vm.shutdown", params, what, ret_vm, e);
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	const char *timeout = cli_option(args, "timeout");
	uint64_t timeout_ms = TIMEOUT_DEFAULT_MS;
	const char *state;
	int r = 0;

	if (timeout)
		r = parse_duration(timeout, "--timeout", &timeout_ms, e);
	if (r == 0)
		r = shutdown_vm(cli, args, timeout_ms, &vm, e);
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
