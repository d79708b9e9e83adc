#include "cli/cli.h"

#include "lib/base/parse.h"

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	json_object *params;
	char size[16];
	uint64_t bytes;
	int r = parse_size(args->operands[1], "SIZE", &bytes, e);

	if (r < 0)
		return r;
	params = cli_name_params(args->operands[0]);
	json_object_object_add(params, "target", json_object_new_uint64(bytes));
	r = cli_call(cli, "vm.balloon", params, &vm, NULL, e);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, vm, e);
	output_line(
		stdout,
		"%s: the guest was asked to make do with %s; watch it do so "
		"with: armvmctl events --follow",
		field_text(vm, "name"), format_size(bytes, size, sizeof(size)));
	return output_flush(e);
}

const struct cli_command cli_command_balloon = {
	.name = "balloon",
	.operands = "NAME SIZE",
	.min_operands = 2,
	.max_operands = 2,
	.complete = COMPLETE_VM,
	.summary = "Have a running guest make do with less memory",
	.detail = "SIZE is what is left to the guest, up to the memory it was "
		  "defined with. What it gives up\ngoes back to the host. The "
		  "guest needs virtio_balloon; the event \"balloon\" says that "
		  "it\ndid. It lasts until the VM stops.",
	.examples = "  armvmctl balloon web 512M\n"
		    "  armvmctl balloon web 2G    # all of it again\n",
	.run = run,
};
