#include "cli/cli.h"

#include <unistd.h>

#include "lib/base/parse.h"

/* The daemon keeps the deadline; this is for one that does not answer. */
#define DEFAULT_TIMEOUT_MS 20000
#define GRACE_MS	   30000
#define TURN_MS		   50

/* One call and what its events told so far. */
struct watch {
	const char *vm; /* name or uuid */
	const char *type;
	char device[64]; /* its id, once known */
	char steps[256]; /* as words */
	size_t shown;	 /* of them, on a terminal */
	bool terminal;	 /* standard error is one */
};

static void add_step(struct watch *w, const char *fmt, const char *a,
		     const char *b)
{
	size_t used = strlen(w->steps);

	if (used > 0)
		used += (size_t)snprintf(w->steps + used,
					 sizeof(w->steps) - used, " … ");
	if (used < sizeof(w->steps))
		snprintf(w->steps + used, sizeof(w->steps) - used, fmt, a, b);
}

static void take_event(struct watch *w, json_object *event)
{
	const char *state = field_text(event, "state");
	const char *address = field_text(event, "address");

	if (!streq(field_text(event, "kind"), "device") ||
	    !streq(field_text(event, "type"), w->type) ||
	    (!streq(field_text(event, "name"), w->vm) &&
	     !streq(field_text(event, "vm"), w->vm)))
		return;
	if (!w->device[0])
		snprintf(w->device, sizeof(w->device), "%s",
			 field_text(event, "device"));
	if (!streq(field_text(event, "device"), w->device))
		return;
	if (streq(state, "offered"))
		add_step(w, "offered%s%s", "", "");
	else if (streq(state, "acknowledged"))
		add_step(w, "acknowledged by the guest%s%s", "", "");
	else if (streq(state, "active"))
		add_step(w, *address ? "active on %s as %s" : "active%s%s",
			 address, *address ? field_text(event, "driver") : "");
	else if (streq(state, "releasing"))
		add_step(w, "the guest is asked to release it%s%s", "", "");
	else if (streq(state, "released"))
		add_step(w, "released%s%s", "", "");
}

static void show(struct watch *w)
{
	if (!w->terminal || strlen(w->steps) == w->shown)
		return;
	w->shown = strlen(w->steps);
	fprintf(stderr, "\r%s: %s %s ... ", w->vm, w->device, w->steps);
}

static void take_events(struct cli *cli, struct watch *w)
{
	struct error ignored = ERROR_INIT;
	json_object *event;

	while (api_client_event(cli->client, 0, &event, &ignored) == 0) {
		take_event(w, event);
		json_object_put(event);
	}
	show(w);
}

static int subscribe(struct cli *cli, struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	json_object *params = json_object_new_object();

	json_object_object_add(params, "since", json_object_new_int64(-1));
	return cli_call(cli, "event.subscribe", params, &result, NULL, e);
}

static int call_and_watch(struct cli *cli, const char *method,
			  json_object *params, uint64_t limit_ms,
			  struct watch *w, json_object **ret, struct error *e)
{
	int64_t began = cli_now_ms(), id;
	int r = api_client_send(cli->client, method, params, &id, e);

	if (r < 0)
		return r;
	do {
		r = api_client_wait(cli->client, id, TURN_MS, ret, NULL, e);
		take_events(cli, w);
	} while (r == -EAGAIN && cli_now_ms() - began < (int64_t)limit_ms);
	if (r == -EAGAIN)
		return error_set_code(e, ERROR_TIMEOUT,
				      "%s: armvmd has not answered long after "
				      "the deadline; see how it is with: "
				      "armvmctl %s list %s",
				      w->vm, w->type, w->vm);
	return r;
}

static void print_end(const struct watch *w, json_object *device,
		      int64_t spent_ms)
{
	bool persistent = json_object_get_boolean(
		field_get(device, "persistent"));
	const char *id = field_text(device, "id");

	if (!w->steps[0]) {
		output_line(stdout, "%s: %s %s", w->vm, id,
			    persistent ? "added; it is there at the next start"
				       : "removed from the definition");
		return;
	}
	output_line(stdout, "%s: %s %s (%.1f s)", w->vm, id, w->steps,
		    (double)spent_ms / 1000);
}

int cli_device_call(struct cli *cli, const char *method, json_object *params,
		    uint64_t timeout_ms, struct error *e)
{
	_cleanup_free_ char *vm = strdup(field_text(params, "name"));
	_cleanup_json_ json_object *device = NULL;
	uint64_t limit_ms = timeout_ms ? timeout_ms : DEFAULT_TIMEOUT_MS;
	int64_t began = cli_now_ms();
	struct watch w = {
		.vm = vm ? vm : "",
		.type = method[0] == 'd' ? "disk" : "nic",
		.terminal = cli->format == OUTPUT_TABLE &&
			    isatty(STDERR_FILENO),
	};
	int r = cli_connect(cli, e);

	if (r == 0)
		r = subscribe(cli, e);
	if (r < 0) {
		json_object_put(params);
		return r;
	}
	snprintf(w.device, sizeof(w.device), "%s", field_text(params, "id"));
	r = call_and_watch(cli, method, params, limit_ms + GRACE_MS, &w,
			   &device, e);
	if (w.shown > 0)
		fputs("\r\033[K", stderr);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, device, e);
	print_end(&w, device, cli_now_ms() - began);
	return output_flush(e);
}

int cli_device_options(const struct cli_args *args, json_object *params,
		       uint64_t *ret_timeout_ms, struct error *e)
{
	static const char *const flags[] = {"live", "force"};
	const char *timeout = cli_option(args, "timeout");
	int r = 0;

	*ret_timeout_ms = 0;
	if (timeout)
		r = parse_duration(timeout, "--timeout", ret_timeout_ms, e);
	if (r == 0 && timeout && *ret_timeout_ms == 0)
		r = error_set(e, -EINVAL,
			      "--timeout 0 leaves the guest no time; give for "
			      "example 10s");
	if (r < 0)
		return r;
	if (*ret_timeout_ms)
		json_object_object_add(params, "timeout_ms",
				       json_object_new_uint64(*ret_timeout_ms));
	if (cli_option(args, "live") && cli_option(args, "persistent"))
		return error_set(e, -EINVAL,
				 "--live and --persistent exclude each other");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (cli_option(args, flags[i]))
			json_object_object_add(params, flags[i],
					       json_object_new_boolean(true));
	return 0;
}
