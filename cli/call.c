#include "cli/cli.h"

#include <time.h>

int64_t cli_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

json_object *cli_name_params(const char *name)
{
	json_object *params = json_object_new_object();

	json_object_object_add(params, "name", json_object_new_string(name));
	return params;
}

int cli_connect(struct cli *cli, struct error *e)
{
	return cli->client ? 0 : api_client_open(cli->socket, &cli->client, e);
}

int cli_call(struct cli *cli, const char *method, json_object *params,
	     json_object **ret_result, int *ret_fd, struct error *e)
{
	int r = cli_connect(cli, e);

	if (r < 0) {
		json_object_put(params);
		return r;
	}
	return api_client_call(cli->client, method, params, ret_result, ret_fd,
			       e);
}

int cli_vm_call(struct cli *cli, const struct cli_args *args,
		const char *method, const char *done, struct error *e)
{
	_cleanup_json_ json_object *vm = NULL;
	int r = cli_call(cli, method, cli_name_params(args->operands[0]), &vm,
			 NULL, e);

	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, vm, e);
	output_line(stdout, "%s: %s", field_text(vm, "name"), done);
	return output_flush(e);
}

int cli_vm_begin(struct cli *cli, const char *method, json_object *params,
		 struct error *e)
{
	_cleanup_json_ json_object *job = NULL;
	int r;

	json_object_object_add(params, "async", json_object_new_boolean(true));
	r = cli_call(cli, method, params, &job, NULL, e);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_object(cli->format, job, e);
	output_line(stdout,
		    "job %s began. Wait for it with: armvmctl job wait %s",
		    field_text(job, "id"), field_text(job, "id"));
	return output_flush(e);
}
