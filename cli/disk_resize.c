#include "cli/cli.h"

#include "lib/base/parse.h"

static int make_params(const struct cli_args *args, json_object *params,
		       struct error *e)
{
	bool rescan = cli_option(args, "rescan");
	uint64_t bytes;
	int r;

	json_object_object_add(params, "id",
			       json_object_new_string(args->operands[1]));
	if (rescan == (args->n_operands == 3))
		return error_set(e, -EINVAL,
				 "disk resize takes either SIZE or --rescan");
	if (rescan) {
		json_object_object_add(params, "rescan",
				       json_object_new_boolean(true));
	} else {
		r = parse_size(args->operands[2], "SIZE", &bytes, e);
		if (r < 0)
			return r;
		json_object_object_add(params, "size",
				       json_object_new_uint64(bytes));
	}
	if (cli_option(args, "force"))
		json_object_object_add(params, "force",
				       json_object_new_boolean(true));
	return 0;
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	json_object *params = cli_name_params(args->operands[0]);
	_cleanup_json_ json_object *result = NULL;
	char before[16], now[16];
	int r = make_params(args, params, e);

	if (r < 0)
		json_object_put(params);
	else
		r = cli_call(cli, "disk.resize", params, &result, NULL, e);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, result, e);
	output_line(stdout, "%s: disk %s has %s (%s before)", args->operands[0],
		    field_text(result, "id"),
		    format_size(field_u64(result, "size"), now, sizeof(now)),
		    format_size(field_u64(result, "previous"), before,
				sizeof(before)));
	return output_flush(e);
}

static const struct cli_option options[] = {
	{"rescan", NULL, "take the size that its image or device now has"},
	{"force", NULL, "also make it smaller: what is behind is lost"},
	{NULL},
};

const struct cli_command cli_command_disk_resize = {
	.name = "disk resize",
	.operands = "NAME ID [SIZE]",
	.min_operands = 2,
	.max_operands = 3,
	.complete = COMPLETE_VM,
	.summary = "Give a disk another size, also while it is in use",
	.detail = "An image file is made larger; a block device is resized "
		  "where it comes from, and then\nrescanned. A running guest "
		  "sees the new size at once; growing the partition and the "
		  "file\nsystem on it is its own affair.",
	.examples = "  armvmctl disk resize web disk0 20G\n"
		    "  lvextend -L +10G vg0/db && armvmctl disk resize db "
		    "disk0 --rescan\n",
	.options = options,
	.run = run,
};
