#include "cli/stats.h"

#include <time.h>
#include <unistd.h>

#include "lib/base/parse.h"

#define INTERVAL_S 2
/* A guest is asked for its figures with each call, and answers a little later:
 * those in the first answer may be old, or none. */
#define FRESH_NS     2000000000ull
#define ASK_AGAIN_MS 100

static void sleep_ms(uint64_t ms)
{
	const struct timespec t = {(time_t)(ms / 1000),
				   (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static int ask(struct cli *cli, const char *name, json_object **ret_vm,
	       struct vm_stats *ret, struct error *e)
{
	int r = cli_call(cli, "vm.stats", cli_name_params(name), ret_vm, NULL,
			 e);

	if (r == 0)
		r = json_decode(field_get(*ret_vm, "stats"), vm_stats_fields,
				ret, "stats", e);
	return r;
}

static bool guest_is_stale(const struct vm_stats *s)
{
	return s->balloon.driver && s->balloon.guest_ns + FRESH_NS < s->time_ns;
}

static int ask_once(struct cli *cli, const char *name, json_object **ret_vm,
		    struct vm_stats *ret, struct error *e)
{
	int r = ask(cli, name, ret_vm, ret, e);

	if (r < 0 || !guest_is_stale(ret))
		return r;
	vm_stats_done(ret);
	json_object_put(TAKE_PTR(*ret_vm));
	*ret = (struct vm_stats){0};
	sleep_ms(ASK_AGAIN_MS);
	return ask(cli, name, ret_vm, ret, e);
}

static int show(const struct cli *cli, json_object *vm,
		const struct vm_stats *now, double seconds, struct error *e)
{
	if (cli->format == OUTPUT_TABLE) {
		stats_print(vm, now, seconds);
		return output_flush(e);
	}
	/* Many, one after the other, are lines. */
	return output_object(seconds > 0 ? OUTPUT_JSONL : cli->format, vm, e);
}

/* Until interrupted, or the VM stops. */
static int watch(struct cli *cli, const char *name, struct vm_stats *before,
		 uint64_t interval_ms, struct error *e)
{
	bool screen = cli->format == OUTPUT_TABLE && isatty(STDOUT_FILENO);
	int r = 0;

	while (r == 0) {
		_cleanup_json_ json_object *vm = NULL;
		struct vm_stats now = {0}, added = {0};
		double seconds;

		sleep_ms(interval_ms);
		r = ask(cli, name, &vm, &now, e);
		if (r == 0)
			r = json_decode(field_get(vm, "stats"), vm_stats_fields,
					&added, "stats", e);
		seconds = now.time_ns > before->time_ns
				  ? (double)(now.time_ns - before->time_ns) /
					    1e9
				  : 1;
		stats_since(&added, before);
		if (r == 0 && screen)
			fputs("\033[H\033[2J", stdout);
		if (r == 0)
			r = show(cli, vm, &added, seconds, e);
		if (r == 0 && cli->format == OUTPUT_TABLE && !screen)
			output_line(stdout, "%s", "");
		vm_stats_done(&added);
		vm_stats_done(before);
		*before = now;
	}
	return r;
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	const char *interval = cli_option(args, "interval");
	_cleanup_json_ json_object *vm = NULL;
	struct vm_stats s = {0};
	uint64_t ms = INTERVAL_S * 1000;
	int r = 0;

	if (interval)
		r = parse_duration(interval, "--interval", &ms, e);
	if (r == 0 && ms < 100)
		r = error_set(e, -EINVAL,
			      "--interval \"%s\" is shorter than 100ms",
			      interval);
	if (r == 0)
		r = ask_once(cli, args->operands[0], &vm, &s, e);
	if (r == 0 && cli_option(args, "watch"))
		r = watch(cli, args->operands[0], &s, ms, e);
	else if (r == 0)
		r = show(cli, vm, &s, 0, e);
	vm_stats_done(&s);
	return r;
}

static const struct cli_option options[] = {
	{"watch", NULL, "go on with what is added, until interrupted"},
	{"interval", "TIME", "how often (default: 2s)"},
	{NULL},
};

const struct cli_command cli_command_stats = {
	.name = "stats",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Show what a running VM did: CPU, exits, disks, network",
	.detail = "Figures count from the VM's start; with --watch they are "
		  "per second. Latencies are\nthose of the host, in buckets "
		  "of powers of two; a line is of those that took less than\n"
		  "its time: of a disk from request to end, of a frame from "
		  "being noticed to being written\n(send), or from being read "
		  "to being handed over (receive). With --output json --watch: "
		  "one object a line, "
		  "of counters since the start.",
	.examples = "  armvmctl stats web\n"
		    "  armvmctl stats web --watch --interval 500ms\n"
		    "  armvmctl stats web --output json\n",
	.options = options,
	.run = run,
};
