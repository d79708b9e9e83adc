#include "cli/cli.h"

#include <unistd.h>

#include "cli/plain_text.h"
#include "lib/base/parse.h"

#define FOLLOW_US 300000

struct view {
	struct cli *cli;
	const char *name;
	bool plain; /* on a terminal: no guest may control it */
	bool follow;
	struct plain_text filter;
	uint64_t position;
};

static int print_text(struct view *v, json_object *text, struct error *e)
{
	const char *data = json_object_get_string(text);
	size_t size = (size_t)json_object_get_string_len(text);
	_cleanup_buf_ struct buf out = {0};

	if (v->plain) {
		if (plain_text_filter(&v->filter, data, size, &out) < 0)
			return error_set(e, -ENOMEM, "out of memory");
		data = out.data;
		size = out.size;
	}
	if (size > 0)
		fwrite(data, 1, size, stdout);
	return output_flush(e);
}

static int print_page(struct view *v, json_object *page, struct error *e)
{
	json_object *text = field_get(page, "text");

	if (field_u64(page, "lost") > 0)
		output_line(stderr,
			    "armvmctl: %s bytes of the log of %s are no longer "
			    "kept",
			    field_text(page, "lost"), v->name);
	if (v->cli->format != OUTPUT_TABLE)
		return json_object_get_string_len(text) > 0
			       ? output_object(v->cli->format, page, e)
			       : 0;
	if (field_u64(page, "end") == 0 && !v->follow)
		output_line(stderr, "armvmctl: nothing is logged of %s",
			    v->name);
	return text ? print_text(v, text, e) : 0;
}

static int show(struct view *v, json_object *first, struct error *e)
{
	json_object *params = first;
	bool end = false;
	int r = 0;

	while (r == 0 && (!end || v->follow)) {
		_cleanup_json_ json_object *page = NULL;

		if (end)
			usleep(FOLLOW_US);
		if (!params) {
			params = cli_name_params(v->name);
			json_object_object_add(
				params, "position",
				json_object_new_uint64(v->position));
		}
		r = cli_call(v->cli, "vm.log", params, &page, NULL, e);
		params = NULL;
		if (r == 0)
			r = print_page(v, page, e);
		v->position = field_u64(page, "next");
		end = v->position >= field_u64(page, "end");
	}
	return r;
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	const char *lines = cli_option(args, "lines");
	const char *since = cli_option(args, "since");
	json_object *params = cli_name_params(args->operands[0]);
	struct view v = {
		.cli = cli,
		.name = args->operands[0],
		.plain = isatty(STDOUT_FILENO),
		.follow = cli_option(args, "follow"),
	};
	uint64_t n = 0;
	int r = lines ? parse_u64(lines, "--lines", 1, 1000000, &n, e) : 0;

	if (r < 0) {
		json_object_put(params);
		return r;
	}
	if (lines)
		json_object_object_add(params, "lines",
				       json_object_new_uint64(n));
	if (since)
		json_object_object_add(params, "since",
				       json_object_new_string(since));
	return show(&v, params, e);
}

static const char *const sinces[] = {"all", "boot", NULL};

static const struct cli_option options[] = {
	{"follow", NULL, "go on with what is printed, until interrupted",
	 .letter = 'f'},
	{"lines", "N", "only the last N lines", .letter = 'n'},
	{"since", "WHEN", "boot: since the last start or reset; default all",
	 .values = sinces},
	{NULL},
};

const struct cli_command cli_command_log = {
	.name = "log",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Show what a VM printed on its console",
	.detail = "Also while it is stopped, and over many starts, as far as "
		  "the log is kept (armvmd.conf(5),\nconsole-log). On a "
		  "terminal without the guest's colours and control "
		  "characters; elsewhere as it was.",
	.examples = "  armvmctl log web\n"
		    "  armvmctl log web --since boot\n"
		    "  armvmctl log web -n 20 -f\n",
	.options = options,
	.run = run,
};
