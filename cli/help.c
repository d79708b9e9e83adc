#include "cli/cli.h"

#define LEFT_COLUMN 26
#define WIDTH	    90

/* What is too long for its column has a line of its own. */
static void print_row(FILE *out, const char *left, const char *right,
		      const char *more)
{
	if (strlen(left) > LEFT_COLUMN)
		fprintf(out, "  %s\n  %-*s %s%s\n", left, LEFT_COLUMN, "",
			right, more);
	else
		fprintf(out, "  %-*s %s%s\n", LEFT_COLUMN, left, right, more);
}

static void print_options(FILE *out, const struct cli_option *list)
{
	char left[40];

	for (; list && list->name; list++) {
		const char letter[] = {'-', list->letter, ',', ' ', 0};

		snprintf(left, sizeof(left),
			 list->implied ? "%s--%s[=%s%s]" : "%s--%s%s%s",
			 list->letter ? letter : "", list->name,
			 list->arg && !list->implied ? " " : "",
			 list->arg ? list->arg : "");
		print_row(out, left, list->help,
			  list->repeatable ? " (may be repeated)" : "");
	}
}

/* How much of a text goes on one line: up to a break, or to its last blank. */
static size_t line_length(const char *text)
{
	size_t n = strcspn(text, "\n"), at = MIN(n, (size_t)WIDTH);

	while (n > WIDTH && at > 0 && text[at] != ' ')
		at--;
	return at ? at : n;
}

static void print_text(FILE *out, const char *text)
{
	while (*text) {
		size_t n = line_length(text);

		fprintf(out, "%.*s\n", (int)n, text);
		text += n;
		text += *text != '\0'; /* the blank or the break */
	}
}

void cli_help(FILE *out)
{
	char left[40];

	fputs("Usage: armvmctl [--socket PATH] [--output table|json|jsonl] "
	      "COMMAND ...\n\nManage the virtual machines of armvmd.\n\n"
	      "Commands:\n",
	      out);
	for (size_t i = 0; cli_commands[i]; i++) {
		snprintf(left, sizeof(left), "%s %s", cli_commands[i]->name,
			 cli_commands[i]->operands);
		print_row(out, left, cli_commands[i]->summary, "");
	}
	fputs("\nOptions of every command:\n", out);
	print_options(out, cli_global_options);
	fputs("\nA first VM:\n"
	      "  armvmctl create web --disk debian.raw --memory 2G --vcpus 2\n"
	      "  armvmctl start web --console\n"
	      "\nMore about one command: armvmctl help COMMAND\n",
	      out);
}

void cli_help_command(FILE *out, const struct cli_command *c)
{
	fprintf(out, "Usage: armvmctl %s%s%s%s\n\n%s.\n", c->name,
		*c->operands ? " " : "", c->operands,
		c->options && c->options->name ? " [OPTIONS]" : "", c->summary);
	if (c->alias)
		fprintf(out, "Also called: armvmctl %s.\n", c->alias);
	if (c->detail)
		print_text(out, c->detail);
	if (c->options && c->options->name) {
		fputs("\nOptions:\n", out);
		print_options(out, c->options);
	}
	fputs("\nOptions of every command:\n", out);
	print_options(out, cli_global_options);
	fprintf(out, "\nExamples:\n%s", c->examples);
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	const struct cli_command *command;
	size_t words;
	int r;

	if (args->n_operands == 0) {
		cli_help(stdout);
		return 0;
	}
	r = cli_command_find((char *const *)args->operands, args->n_operands,
			     &command, &words, e);
	if (r == 0)
		cli_help_command(stdout, command);
	return r;
}

const struct cli_command cli_command_help = {
	.name = "help",
	.operands = "[COMMAND]",
	.max_operands = 2,
	.complete = COMPLETE_COMMAND,
	.summary = "Show the commands, or how one of them is used",
	.examples = "  armvmctl help create\n  armvmctl help var list\n",
	.run = run,
};
