#include "cli/cli.h"

/* After a start that was refused for the VM's state: whether that is because
 * there is nothing to do. */
static int runs_already(struct cli *cli, const char *name, json_object **ret,
			struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	struct error other = ERROR_INIT;

	if (cli_call(cli, "vm.get", cli_name_params(name), &vm, NULL, &other) <
		    0 ||
	    field_u64(vm, "pid") == 0)
		return -e->err;
	*ret = TAKE_PTR(vm);
	return 0;
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	const char *name = args->operands[0];
	int64_t began = cli_now_ms();
	char what[160];
	int r;

	snprintf(what, sizeof(what), "%s: starting", name);
	r = cli_call_long(cli, args, "vm.start", cli_name_params(name), what,
			  &vm, e);
	if (r == -EPROTO && cli_option(args, "if-stopped"))
		r = runs_already(cli, name, &vm, e);
	if (r < 0 || !vm)
		return r;
	if (cli->format == OUTPUT_TABLE)
		output_line(stdout, "%s: %s after %.1f s",
			    field_text(vm, "name"), field_text(vm, "state"),
			    (double)(cli_now_ms() - began) / 1000);
	else
		r = output_object(cli->format, vm, e);
	if (r == 0)
		r = output_flush(e);
	if (r == 0 && cli_option(args, "console"))
		r = cli_console(cli, name, &(struct cli_console_options){0}, e);
	return r;
}

static const struct cli_option options[] = {
	{"console", NULL, "attach to the console once it runs"},
	CLI_LONG_OPTIONS,
	{"if-stopped", NULL, "succeed when it runs already"},
	{NULL},
};

const struct cli_command cli_command_start = {
	.name = "start",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Start a VM and wait until its guest is started",
	.detail = "What the guest then does (firmware, boot loader, operating "
		  "system) is to be seen on its console.",
	.examples = "  armvmctl start web\n"
		    "  armvmctl start web --console\n"
		    "  armvmctl start web --no-wait\n",
	.options = options,
	.run = run,
};
