#include "cli/cli.h"

#include <inttypes.h>
#include <time.h>

#include "lib/base/parse.h"

static const char *when(json_object *event, char *buf, size_t size)
{
	time_t t = (time_t)(field_u64(event, "time_ms") / 1000);
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm);
	return buf;
}

static void print_line(json_object *event)
{
	const char *kind = field_text(event, "kind");
	const char *state = field_text(event, "state");
	const char *reason = field_text(event, "reason");
	const char *device = field_text(event, "device");
	char buf[OUTPUT_CELL_SIZE], job[OUTPUT_CELL_SIZE];

	if (!*reason)
		reason = field_text(event, "detail");
	if (streq(kind, "job")) {
		snprintf(job, sizeof(job), "%s %s", field_text(event, "job"),
			 field_text(event, "method"));
		device = job;
	}
	if (streq(kind, "job") && streq(state, "running"))
		reason = field_text(event, "step");
	if (streq(kind, "console"))
		state = *field_text(event, "writer") ? "in use" : "free";
	if (streq(kind, "console") && *field_text(event, "writer"))
		reason = field_text(event, "writer");
	output_line(stdout, "%-6s  %s  %-12s  %-8s  %s%s%s%s%s%s%s%s",
		    field_text(event, "seq"), when(event, buf, sizeof(buf)),
		    field_text(event, "name"), kind, field_text(event, "type"),
		    *device ? " " : "", device, *device ? " " : "", state,
		    *state && *reason ? " (" : "", reason,
		    *state && *reason ? ")" : "");
}

struct shown {
	int64_t last;	/* seq */
	bool following; /* without end, so "json" is lines, too */
	size_t count;
};

/* One at a time in every format. */
static int print_event(const struct cli *cli, json_object *event,
		       struct shown *shown, struct error *e)
{
	int64_t seq = (int64_t)field_u64(event, "seq");

	/* Seen already: it came while older ones were being replayed. */
	if (seq > 0 && seq <= shown->last)
		return 0;
	shown->last = MAX(shown->last, seq);
	if (cli->format == OUTPUT_TABLE)
		print_line(event);
	else if (cli->format == OUTPUT_JSONL || shown->following)
		return output_object(OUTPUT_JSONL, event, e);
	else
		printf("%s%s", shown->count++ ? ",\n" : "", json_text(event));
	return output_flush(e);
}

/* Everything after the last one; the subscription is left in place. */
static int replay(struct cli *cli, struct shown *shown, struct error *e)
{
	bool more = true;
	int r = 0;

	while (r == 0 && more) {
		_cleanup_json_ json_object *result = NULL;
		json_object *params = json_object_new_object(), *events;
		size_t n;

		json_object_object_add(params, "since",
				       json_object_new_int64(shown->last));
		r = cli_call(cli, "event.subscribe", params, &result, NULL, e);
		events = field_get(result, "events");
		if (field_get(result, "gap"))
			output_line(
				stderr,
				"armvmctl: events %s to %s are no longer "
				"kept",
				field_text(field_get(result, "gap"), "from"),
				field_text(field_get(result, "gap"), "to"));
		n = field_count(events);
		for (size_t i = 0; i < n && r == 0; i++)
			r = print_event(cli,
					json_object_array_get_idx(events, i),
					shown, e);
		shown->last = MAX(shown->last,
				  (int64_t)field_u64(result, "last"));
		more = n > 0 &&
		       json_object_get_boolean(field_get(result, "more"));
	}
	return r;
}

static int follow(struct cli *cli, struct shown *shown, struct error *e)
{
	int r = 0;

	while (r == 0) {
		_cleanup_json_ json_object *event = NULL;

		r = api_client_event(cli->client, -1, &event, e);
		if (r == 0)
			r = print_event(cli, event, shown, e);
	}
	return r;
}

/* Of a table its heading, of one JSON text its brackets. */
static int frame(const struct cli *cli, const struct shown *shown, bool begin,
		 struct error *e)
{
	if (cli->format == OUTPUT_TABLE && begin)
		printf("%-6s  %-19s  %-12s  %-8s  %s\n", "SEQ", "WHEN", "NAME",
		       "KIND", "WHAT");
	if (cli->format == OUTPUT_JSON && !shown->following)
		fputs(begin ? "[\n" : "\n]\n", stdout);
	return output_flush(e);
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	const char *since = cli_option(args, "since");
	struct shown shown = {.following = cli_option(args, "follow")};
	uint64_t number;
	int r = 0;

	shown.last = shown.following ? -1 : 0;
	if (since) {
		r = parse_u64(since, "--since", 0, INT64_MAX, &number, e);
		shown.last = r == 0 ? (int64_t)number : 0;
	}
	if (r == 0)
		r = cli_connect(cli, e);
	if (r == 0)
		r = frame(cli, &shown, true, e);
	if (r == 0)
		r = replay(cli, &shown, e);
	if (r == 0)
		r = frame(cli, &shown, false, e);
	if (r == 0 && shown.following)
		r = follow(cli, &shown, e);
	return r;
}

static const struct cli_option options[] = {
	{"follow", NULL, "go on with what happens, until interrupted"},
	{"since", "N",
	 "begin after event N (default: all, or with --follow only new ones)"},
	{NULL},
};

const struct cli_command cli_command_events = {
	.name = "events",
	.operands = "",
	.summary = "Show what happened to the VMs, or follow it live",
	.detail = "With --follow and --output json: one event a line.",
	.examples = "  armvmctl events\n"
		    "  armvmctl events --follow --since 4711\n",
	.options = options,
	.run = run,
};
