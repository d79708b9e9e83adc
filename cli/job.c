#include "cli/cli.h"

#include <time.h>
#include <unistd.h>

#include "lib/base/parse.h"

#define POLL_MS	  200
#define BAR_WIDTH 24

static const char *id(json_object *job, char *buf, size_t size)
{
	return field_text(job, "id");
}

static const char *method(json_object *job, char *buf, size_t size)
{
	return field_text(job, "method");
}

static const char *vm(json_object *job, char *buf, size_t size)
{
	return field_text(job, "vm");
}

static const char *state(json_object *job, char *buf, size_t size)
{
	return field_text(job, "state");
}

static const char *step(json_object *job, char *buf, size_t size)
{
	return field_text(job, "step");
}

static const char *progress(json_object *job, char *buf, size_t size)
{
	snprintf(buf, size, "%s %%", field_text(job, "progress"));
	return buf;
}

static const char *when(json_object *job, char *buf, size_t size)
{
	time_t t = (time_t)(field_u64(job, "created_ms") / 1000);
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm);
	return buf;
}

static const struct output_column columns[] = {
	{"JOB", id, .right = true},
	{"METHOD", method},
	{"VM", vm},
	{"STATE", state},
	{"STEP", step},
	{"PROGRESS", progress, .right = true},
	{"BEGAN", when}};

static int run_list(struct cli *cli, const struct cli_args *args,
		    struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	json_object *params = json_object_new_object();
	int r;

	if (cli_option(args, "running"))
		json_object_object_add(params, "running",
				       json_object_new_boolean(true));
	r = cli_call(cli, "job.list", params, &result, NULL, e);
	return r < 0 ? r
		     : output_rows(cli->format, field_get(result, "jobs"),
				   result, columns, ARRAY_SIZE(columns), e);
}

static const struct cli_option list_options[] = {
	{"running", NULL, "only those that have not ended"},
	{NULL},
};

const struct cli_command cli_command_job_list = {
	.name = "job list",
	.operands = "",
	.summary = "List jobs, the newest first",
	.detail = "Jobs are kept for 24 hours after their end.",
	.examples = "  armvmctl job list\n"
		    "  armvmctl job list --running\n",
	.options = list_options,
	.run = run_list,
};

static int job_call(struct cli *cli, const struct cli_args *args,
		    const char *name, uint64_t timeout_ms, json_object **ret,
		    struct error *e)
{
	json_object *params = json_object_new_object();
	uint64_t number;
	int r = parse_u64(args->operands[0], "the job's number", 1, INT64_MAX,
			  &number, e);

	json_object_object_add(params, "id", json_object_new_uint64(number));
	if (timeout_ms)
		json_object_object_add(params, "timeout_ms",
				       json_object_new_uint64(timeout_ms));
	if (r < 0) {
		json_object_put(params);
		return r;
	}
	return cli_call(cli, name, params, ret, NULL, e);
}

static int print_job(struct cli *cli, json_object *job, struct error *e)
{
	json_object *error = field_get(job, "error");
	char buf[OUTPUT_CELL_SIZE];

	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, job, e);
	output_line(stdout, "%-9s %s", "Job", field_text(job, "id"));
	output_line(stdout, "%-9s %s %s", "Request", field_text(job, "method"),
		    field_text(job, "vm"));
	output_line(stdout, "%-9s %s", "State", field_text(job, "state"));
	if (*field_text(job, "step"))
		output_line(stdout, "%-9s %s", "Step", field_text(job, "step"));
	output_line(stdout, "%-9s %s %%", "Progress",
		    field_text(job, "progress"));
	output_line(stdout, "%-9s %s", "Began", when(job, buf, sizeof(buf)));
	if (error)
		output_line(stdout, "%-9s %s (%s)", "Error",
			    field_text(error, "message"),
			    field_text(error, "code"));
	return output_flush(e);
}

static int run_show(struct cli *cli, const struct cli_args *args,
		    struct error *e)
{
	_cleanup_json_ json_object *job = NULL;
	int r = job_call(cli, args, "job.get", 0, &job, e);

	return r < 0 ? r : print_job(cli, job, e);
}

const struct cli_command cli_command_job_show = {
	.name = "job show",
	.operands = "JOB",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_JOB,
	.summary = "Show one job",
	.examples = "  armvmctl job show 7\n",
	.run = run_show,
};

static int run_cancel(struct cli *cli, const struct cli_args *args,
		      struct error *e)
{
	_cleanup_json_ json_object *job = NULL;
	int r = job_call(cli, args, "job.cancel", 0, &job, e);

	return r < 0 ? r : print_job(cli, job, e);
}

const struct cli_command cli_command_job_cancel = {
	.name = "job cancel",
	.operands = "JOB",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_JOB,
	.summary = "Give a job up; what it did is undone",
	.detail = "A start can be cancelled until the guest runs, a shutdown "
		  "while the guest has not followed.",
	.examples = "  armvmctl job cancel 7\n",
	.run = run_cancel,
};

/* A bar on a terminal; elsewhere a line whenever the step is another. */
static void show_progress(const struct cli *cli, json_object *job, char *last,
			  size_t size)
{
	static const char full[] = "########################";
	const char *now = field_text(job, "step");
	int percent = (int)field_u64(job, "progress");

	if (cli->format != OUTPUT_TABLE)
		return;
	if (isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r\033[K%s %s [%-*.*s] %d %% %s",
			field_text(job, "method"), field_text(job, "vm"),
			BAR_WIDTH, BAR_WIDTH * MIN(percent, 100) / 100, full,
			percent, now);
	} else if (*now && !streq(now, last)) {
		output_line(stderr, "%s %s: %s", field_text(job, "method"),
			    field_text(job, "vm"), now);
		snprintf(last, size, "%s", now);
	}
}

static int wait_for_end(struct cli *cli, const struct cli_args *args,
			json_object **ret, struct error *e)
{
	_cleanup_json_ json_object *job = NULL;
	char last[32] = "";
	int r;

	for (;;) {
		json_object_put(TAKE_PTR(job));
		r = job_call(cli, args, "job.wait", POLL_MS, &job, e);
		if (r < 0 || !streq(field_text(job, "state"), "running"))
			break;
		show_progress(cli, job, last, sizeof(last));
	}
	if (cli->format == OUTPUT_TABLE && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (r == 0)
		*ret = TAKE_PTR(job);
	return r;
}

static int run_wait(struct cli *cli, const struct cli_args *args,
		    struct error *e)
{
	_cleanup_json_ json_object *job = NULL;
	json_object *error;
	int r = wait_for_end(cli, args, &job, e);

	if (r < 0)
		return r;
	error = field_get(job, "error");
	if (error)
		return error_set_code(
			e, error_code_by_name(field_text(error, "code")), "%s",
			field_text(error, "message"));
	return print_job(cli, job, e);
}

const struct cli_command cli_command_job_wait = {
	.name = "job wait",
	.operands = "JOB",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_JOB,
	.summary = "Wait for a job's end, showing how far it is",
	.detail = "The exit status is the job's.",
	.examples = "  armvmctl start web --no-wait\n"
		    "  armvmctl job wait 7\n",
	.run = run_wait,
};
