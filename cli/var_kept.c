#include "cli/cli.h"

#include <time.h>

static const char *uuid(json_object *row, char *buf, size_t size)
{
	return field_text(row, "uuid");
}

static const char *name(json_object *row, char *buf, size_t size)
{
	return field_text(row, "name");
}

static const char *variables(json_object *row, char *buf, size_t size)
{
	return field_text(row, "variables");
}

static const char *when(json_object *row, char *buf, size_t size)
{
	time_t t = (time_t)(field_u64(row, "kept_ms") / 1000);
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm);
	return buf;
}

static const struct output_column columns[] = {{"UUID", uuid},
					       {"NAME", name},
					       {"VARIABLES", variables},
					       {"KEPT SINCE", when}};

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	int r = cli_call(cli, "var.kept", NULL, &result, NULL, e);

	return r < 0 ? r
		     : output_rows(cli->format, field_get(result, "kept"),
				   result, columns, ARRAY_SIZE(columns), e);
}

const struct cli_command cli_command_var_kept = {
	.name = "var kept",
	.operands = "",
	.summary = "List the variable stores kept after their VMs",
	.detail = "delete --keep-variables leaves them; a VM created with such "
		  "a uuid (create --from FILE) has its variables again.",
	.examples = "  armvmctl var kept\n",
	.run = run,
};

static int run_forget(struct cli *cli, const struct cli_args *args,
		      struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	json_object *params = json_object_new_object();
	int r;

	json_object_object_add(params, "uuid",
			       json_object_new_string(args->operands[0]));
	r = cli_call(cli, "var.forget", params, &result, NULL, e);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, result, e);
	output_line(stdout, "%s forgotten", args->operands[0]);
	return output_flush(e);
}

const struct cli_command cli_command_var_forget = {
	.name = "var forget",
	.operands = "UUID",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_KEPT,
	.summary = "Delete a variable store that was kept",
	.examples = "  armvmctl var forget "
		    "7c3e9a0e-2b1f-4d11-9a7e-5f0c3f1d2e4a\n",
	.run = run_forget,
};
