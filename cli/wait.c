#include "cli/cli.h"

#include <unistd.h>

#define RETRY_USEC 500000

/* Whether the VM is at rest; -EPROTO when it got there by a crash. */
static int look(struct cli *cli, const char *name, bool *ret_rests,
		struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	int r = cli_call(cli, "vm.get", cli_name_params(name), &vm, NULL, e);

	if (r < 0)
		return r;
	*ret_rests = field_u64(vm, "pid") == 0;
	if (streq(field_text(vm, "state"), "crashed"))
		return error_set(e, -EPROTO, "%s crashed: %s", name,
				 field_text(vm, "reason"));
	return 0;
}

/* First the subscription, then a look: nothing falls between. */
static int follow(struct cli *cli, const char *name, struct error *e)
{
	_cleanup_json_ json_object *result = NULL;
	json_object *params = json_object_new_object();
	bool rests = false;
	int r;

	json_object_object_add(params, "since", json_object_new_int64(-1));
	r = cli_call(cli, "event.subscribe", params, &result, NULL, e);
	while (r == 0) {
		_cleanup_json_ json_object *event = NULL;

		r = look(cli, name, &rests, e);
		if (r == 0 && rests)
			return 0;
		if (r == 0)
			r = api_client_event(cli->client, -1, &event, e);
	}
	return r;
}

/* The VM outlives the daemon, and so does this. */
static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	int r = cli_connect(cli, e);

	while (r == 0) {
		r = follow(cli, args->operands[0], e);
		if (r == 0 || e->code != ERROR_NO_DAEMON)
			break;
		do {
			cli->client = api_client_close(cli->client);
			usleep(RETRY_USEC);
			*e = ERROR_INIT;
			r = cli_connect(cli, e);
		} while (r < 0 && e->code == ERROR_NO_DAEMON);
	}
	return r;
}

const struct cli_command cli_command_wait = {
	.name = "wait",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Wait until a VM is stopped",
	.detail = "Also while armvmd is restarted. Fails when the VM crashed; "
		  "armvm@.service lives as long as this does.",
	.examples = "  armvmctl wait web\n"
		    "  armvmctl wait web && cp web.raw backup.raw\n",
	.run = run,
};
