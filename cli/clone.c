#include "cli/cli.h"

static json_object *disk_paths(const struct cli_args *args)
{
	json_object *paths = NULL;

	for (size_t i = 0; i < args->n_options; i++) {
		_cleanup_free_ char *full = NULL;

		if (!streq(args->options[i].option->name, "disk"))
			continue;
		/* A path that does not exist is the daemon's to refuse. */
		full = realpath(args->options[i].value, NULL);
		if (!paths)
			paths = json_object_new_array();
		json_object_array_add(
			paths, json_object_new_string(
				       full ? full : args->options[i].value));
	}
	return paths;
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	json_object *params = cli_name_params(args->operands[0]);
	json_object *paths = disk_paths(args);
	int r;

	json_object_object_add(params, "new_name",
			       json_object_new_string(args->operands[1]));
	if (paths)
		json_object_object_add(params, "disks", paths);
	r = cli_call(cli, "vm.clone", params, &vm, NULL, e);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, vm, e);
	output_line(stdout, "%s created from %s (uuid %s)",
		    field_text(vm, "name"), args->operands[0],
		    field_text(vm, "uuid"));
	return output_flush(e);
}

static const struct cli_option options[] = {
	{"disk", "PATH", "an image of the clone's own, for each disk in order",
	 .repeatable = true, .complete = COMPLETE_FILE},
	{NULL},
};

const struct cli_command cli_command_clone = {
	.name = "clone",
	.operands = "NAME NEW-NAME",
	.min_operands = 2,
	.max_operands = 2,
	.complete = COMPLETE_VM,
	.summary = "Define a copy of a VM, with its UEFI variables",
	.detail = "The copy has a uuid, MAC addresses and a variable store of "
		  "its own. Images are not copied: without --disk both VMs "
		  "name the same ones and only one of them can run.",
	.examples = "  cp --reflink=auto web.raw web2.raw\n"
		    "  armvmctl clone web web2 --disk web2.raw\n",
	.options = options,
	.run = run,
};
