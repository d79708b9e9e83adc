#include "cli/cli.h"

/* Each try begins from what the definition is then. */
#define TRIES 5

static int change(struct cli *cli, const struct cli_args *args,
		  json_object **ret_vm, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	const char *name = args->operands[0];
	json_object *params, *config;
	int r = cli_call(cli, "vm.get", cli_name_params(name), &vm, NULL, e);

	if (r < 0)
		return r;
	config = field_get(vm, "config");
	if (!json_object_is_type(config, json_type_object))
		return error_set_code(e, ERROR_INTERNAL,
				      "armvmd's reply has no definition");
	r = cli_definition_apply(args, config, e);
	if (r < 0)
		return r;
	params = cli_name_params(name);
	json_object_object_add(params, "revision",
			       json_object_get(field_get(vm, "revision")));
	json_object_object_add(params, "config", json_object_get(config));
	return cli_call(cli, "vm.update", params, ret_vm, NULL, e);
}

static const struct cli_option options[] = {
	CLI_POLICY_OPTIONS,
	{"memory", "SIZE", "as 2G or 512M"},
	{"vcpus", "N", "number of virtual CPUs"},
	{"host-cpus", "LIST", "CPUs of the host it may run on, as 0-3,8"},
	{"max-hotplug", "N", "disks and nics to add while it runs"},
	{NULL},
};

static bool sets_anything(const struct cli_args *args)
{
	const struct cli_option *o = options;

	while (o->name && !cli_option(args, o->name))
		o++;
	return o->name;
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	int r = -ESTALE;

	if (!sets_anything(args))
		return error_set(e, -EINVAL,
				 "set needs what to change (see: armvmctl set "
				 "--help)");
	for (int i = 0; i < TRIES && r < 0; i++) {
		r = change(cli, args, &vm, e);
		if (r < 0 && e->code != ERROR_CONFLICT)
			return r;
	}
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, vm, e);
	output_line(stdout, "%s: revision %s", field_text(vm, "name"),
		    field_text(vm, "revision"));
	return output_flush(e);
}

const struct cli_command cli_command_set = {
	.name = "set",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Change parts of a VM's definition",
	.detail = "--label KEY= takes a label away. Memory and vCPUs can only "
		  "be changed while the VM is stopped.",
	.examples = "  armvmctl set web --memory 4G --vcpus 4\n"
		    "  armvmctl set web --label role=db --autostart yes\n",
	.options = options,
	.run = run,
};
