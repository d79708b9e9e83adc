#include "cli/cli.h"

#include "lib/base/parse.h"

#define TIMEOUT_DEFAULT_MS 60000

int cli_ask_guest(struct cli *cli, const struct cli_args *args,
		  const char *method, const char *what, bool *ret_waited,
		  json_object **ret_vm, struct error *e)
{
	const char *timeout = cli_option(args, "timeout");
	const char *fallback = cli_option(args, "fallback");
	uint64_t timeout_ms = TIMEOUT_DEFAULT_MS;
	json_object *params;
	char waiting[160];
	int r = 0;

	if (timeout)
		r = parse_duration(timeout, "--timeout", &timeout_ms, e);
	if (r < 0)
		return r;
	*ret_waited = timeout_ms > 0;
	params = cli_name_params(args->operands[0]);
	json_object_object_add(params, "timeout_ms",
			       json_object_new_uint64(timeout_ms));
	if (fallback)
		json_object_object_add(params, "fallback",
				       json_object_new_string(fallback));
	snprintf(waiting, sizeof(waiting), "%s: waiting for the guest to %s",
		 args->operands[0], what);
	return cli_call_long(cli, args, method, params, waiting, ret_vm, e);
}
