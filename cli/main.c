#include "cli/cli.h"

static enum output_format format_of(const struct cli_args *args)
{
	const char *name = cli_option(args, "output");
	int i = 0;

	while (name && output_format_names[i] &&
	       !streq(output_format_names[i], name))
		i++;
	return (enum output_format)i;
}

static const char *socket_of(const struct cli_args *args)
{
	const char *path = cli_option(args, "socket");

	if (!path)
		path = getenv("ARMVM_SOCKET");
	return path && *path ? path : API_SOCKET_DEFAULT;
}

/* For scripts that read JSON the error is JSON, too. */
static void print_error(enum output_format format, const struct error *e)
{
	json_object *o, *inner;

	if (format == OUTPUT_TABLE) {
		output_line(stderr, "armvmctl: %s", e->message);
		return;
	}
	o = json_object_new_object();
	inner = json_object_new_object();
	json_object_object_add(
		inner, "code",
		json_object_new_string(error_code_name(e->code)));
	json_object_object_add(inner, "message",
			       json_object_new_string(e->message));
	json_object_object_add(o, "error", inner);
	fprintf(stderr, "%s\n", json_text(o));
	json_object_put(o);
}

/* Of a VM's name its beginning is enough while no other begins so. A command
 * that finds no VM has not done anything yet. */
static int run_command(struct cli *cli, struct cli_args *args, struct error *e)
{
	const struct cli_command *c = args->command;
	_cleanup_free_ char *name = NULL;
	int r = c->run(cli, args, e);

	if (r != -ENOENT || c->complete != COMPLETE_VM || c->exact ||
	    args->n_operands == 0 ||
	    cli_name_resolve(cli, args->operands[0], &name, e) < 0)
		return r;
	*e = ERROR_INIT;
	args->operands[0] = name;
	r = c->run(cli, args, e);
	args->operands[0] = NULL;
	return r;
}

static int run(struct cli *cli, struct cli_args *args, struct error *e)
{
	if (cli_option(args, "version")) {
		puts("armvmctl " ARMVM_VERSION);
		return 0;
	}
	if (cli_option(args, "help")) {
		if (args->command)
			cli_help_command(stdout, args->command);
		else
			cli_help(stdout);
		return 0;
	}
	if (!args->command) {
		cli_help(stderr);
		return error_set(e, -EINVAL, "no command given");
	}
	return run_command(cli, args, e);
}

int main(int argc, char **argv)
{
	struct error e = ERROR_INIT;
	struct cli_args args;
	struct cli cli = {0};
	int r = cli_args_parse(argc, argv, &args, &e);

	cli.format = format_of(&args);
	cli.socket = socket_of(&args);
	if (r == 0)
		r = run(&cli, &args, &e);
	api_client_close(cli.client);
	if (r < 0)
		print_error(cli.format, &e);
	return r < 0 ? error_code_exit(e.code) : 0;
}
