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

/* --limit and --before. */
static int list_numbers(const struct cli_args *args, json_object *params,
			struct error *e)
{
	static const struct {
		const char *name;
		uint64_t max;
	} numbers[] = {{"limit", 1000}, {"before", INT64_MAX}};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(numbers) && r == 0; i++) {
		const char *text = cli_option(args, numbers[i].name);
		uint64_t n;

		if (!text)
			continue;
		r = parse_u64(text, numbers[i].name, 1, numbers[i].max, &n, e);
		if (r == 0)
			json_object_object_add(params, numbers[i].name,
					       json_object_new_uint64(n));
	}
	return r;
}

static int run_list(struct cli *cli, const struct cli_args *args,
		    struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	json_object *params = json_object_new_object();
	int r;

	if (cli_option(args, "running"))
		json_object_object_add(params, "running",
				       json_object_new_boolean(true));
	r = list_numbers(args, params, e);
	if (r < 0) {
		json_object_put(params);
		return r;
	}
	r = cli_call(cli, "job.list", params, &result, NULL, e);
	return r < 0 ? r
		     : output_rows(cli->format, field_get(result, "jobs"),
				   result, columns, ARRAY_SIZE(columns), e);
}

static const struct cli_option list_options[] = {
	{"running", NULL, "only those that have not ended"},
	{"limit", "N", "no more than N (default: 100)", .letter = 'n'},
	{"before", "JOB", "only older ones"},
	{NULL},
};

const struct cli_command cli_command_job_list = {
	.name = "job list",
	.operands = "",
	.summary = "List jobs, the newest first",
	.detail = "Jobs are kept for 24 hours after their end.",
	.examples = "  armvmctl job list\n"
		    "  armvmctl job list --running\n"
		    "  armvmctl job list -n 20 --before 412\n",
	.options = list_options,
	.run = run_list,
};

static int job_number(const struct cli_args *args, uint64_t *ret,
		      struct error *e)
{
	return parse_u64(args->operands[0], "the job's number", 1, INT64_MAX,
			 ret, e);
}

static int job_call(struct cli *cli, const struct cli_args *args,
		    const char *name, json_object **ret, struct error *e)
{
	json_object *params;
	uint64_t id;
	int r = job_number(args, &id, e);

	if (r < 0)
		return r;
	params = json_object_new_object();
	json_object_object_add(params, "id", json_object_new_uint64(id));
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
	int r = job_call(cli, args, "job.get", &job, e);

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
	int r = job_call(cli, args, "job.cancel", &job, e);

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
static void show_progress(const struct cli *cli, json_object *job,
			  const char *what, int64_t began, char *last,
			  size_t size)
{
	static const char full[] = "########################";
	const char *now = field_text(job, "step");
	int percent = (int)field_u64(job, "progress");

	if (cli->format != OUTPUT_TABLE)
		return;
	if (isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r\033[K%s [%-*.*s] %d %% %s ... %d s", what,
			BAR_WIDTH, BAR_WIDTH * MIN(percent, 100) / 100, full,
			percent, now, (int)((cli_now_ms() - began) / 1000));
	} else if (*now && !streq(now, last)) {
		output_line(stderr, "%s: %s", what, now);
		snprintf(last, size, "%s", now);
	}
}

/* `what` may be NULL: what the job says of itself. */
static int wait_for_end(struct cli *cli, uint64_t id, const char *what,
			json_object **ret, struct error *e)
{
	_cleanup_json_ json_object *job = NULL;
	char last[32] = "", own[128] = "";
	int64_t began = cli_now_ms();
	int r;

	for (;;) {
		json_object *params = json_object_new_object();

		json_object_put(TAKE_PTR(job));
		json_object_object_add(params, "id",
				       json_object_new_uint64(id));
		json_object_object_add(params, "timeout_ms",
				       json_object_new_int(POLL_MS));
		r = cli_call(cli, "job.wait", params, &job, NULL, e);
		if (r < 0 || !streq(field_text(job, "state"), "running"))
			break;
		snprintf(own, sizeof(own), "%s %s", field_text(job, "method"),
			 field_text(job, "vm"));
		show_progress(cli, job, what ? what : own, began, last,
			      sizeof(last));
	}
	if (cli->format == OUTPUT_TABLE && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (r == 0)
		*ret = TAKE_PTR(job);
	return r;
}

static int job_error(json_object *job, struct error *e)
{
	json_object *error = field_get(job, "error");

	if (!error)
		return 0;
	return error_set_code(e, error_code_by_name(field_text(error, "code")),
			      "%s", field_text(error, "message"));
}

static int call_job(struct cli *cli, const char *method, json_object *params,
		    const char *what, json_object **ret_result, struct error *e)
{
	_cleanup_json_ json_object *begun = NULL, *job = NULL;
	int r;

	json_object_object_add(params, "async", json_object_new_boolean(true));
	r = cli_call(cli, method, params, &begun, NULL, e);
	if (r == 0)
		r = wait_for_end(cli, field_u64(begun, "id"), what, &job, e);
	if (r == 0)
		r = job_error(job, e);
	if (r == 0)
		*ret_result = json_object_get(field_get(job, "result"));
	return r;
}

int cli_call_long(struct cli *cli, const struct cli_args *args,
		  const char *method, json_object *params, const char *what,
		  json_object **ret_result, struct error *e)
{
	if (cli_option(args, "no-wait"))
		return cli_vm_begin(cli, method, params, e);
	if (cli->format == OUTPUT_TABLE &&
	    (isatty(STDERR_FILENO) || cli_option(args, "wait")))
		return call_job(cli, method, params, what, ret_result, e);
	return cli_call(cli, method, params, ret_result, NULL, e);
}

static int run_wait(struct cli *cli, const struct cli_args *args,
		    struct error *e)
{
	_cleanup_json_ json_object *job = NULL;
	uint64_t id;
	int r = job_number(args, &id, e);

	if (r == 0)
		r = wait_for_end(cli, id, NULL, &job, e);
	if (r == 0)
		r = job_error(job, e);
	return r < 0 ? r : print_job(cli, job, e);
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
