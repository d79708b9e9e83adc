#include "cli/cli.h"

#include <inttypes.h>

#include "lib/base/parse.h"

#define TIMEOUT_DEFAULT_MS 60000
/* The daemon keeps the deadline; this is for one that does not answer. */
#define GRACE_MS 10000

static int shutdown_vm(struct cli *cli, const char *name, uint64_t timeout_ms,
		       json_object **ret_vm, struct error *e)
{
	json_object *params = cli_name_params(name);
	char what[160];
	int r;

	json_object_object_add(params, "timeout_ms",
			       json_object_new_uint64(timeout_ms));
	snprintf(what, sizeof(what), "%s: waiting for the guest to shut down",
		 name);
	r = cli_call_progress(cli, "vm.shutdown", params, what,
			      timeout_ms + GRACE_MS, ret_vm, e);
	if (r == -EAGAIN)
		return error_set_code(e, ERROR_TIMEOUT,
				      "%s: armvmd has not answered %" PRIu64
				      " s after the deadline; see how it is "
				      "with: armvmctl show %s",
				      name, (uint64_t)GRACE_MS / 1000, name);
	return r;
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
		r = shutdown_vm(cli, args->operands[0], timeout_ms, &vm, e);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, vm, e);
	state = field_text(vm, "state");
	if (streq(state, "stopped"))
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
		  "time keeps running; stop takes it down at once.",
	.examples = "  armvmctl shutdown web\n"
		    "  armvmctl shutdown web --timeout 10s || armvmctl stop "
		    "web\n",
	.options = options,
	.run = run,
};
