/*
 * Shell completion, from the table of commands. `make lint` and a unit test
 * compare cli/armvmctl.bash with what this prints.
 */
#include "cli/cli.h"

const char *const cli_shells[] = {"bash", NULL};

static const struct cli_option *next_list(const struct cli_command *c,
					  const struct cli_option *list)
{
	return list == c->options ? cli_global_options : NULL;
}

/* The first word of a group is printed by its first member alone. */
static bool first_of_group(size_t index)
{
	const char *name = cli_commands[index]->name;
	size_t n = strcspn(name, " ") + 1;

	for (size_t i = 0; i < index; i++)
		if (name[n - 1] && strncmp(cli_commands[i]->name, name, n) == 0)
			return false;
	return true;
}

static void first_words(FILE *out)
{
	for (size_t i = 0; cli_commands[i]; i++) {
		const char *name = cli_commands[i]->name;

		if (first_of_group(i))
			fprintf(out, "%s%.*s", i ? " " : "",
				(int)strcspn(name, " "), name);
	}
}

/* var) list="list" ;; for each command of two words. */
static void second_words(FILE *out)
{
	for (size_t i = 0; cli_commands[i]; i++) {
		const char *name = cli_commands[i]->name;
		size_t n = strcspn(name, " ");

		if (name[n])
			fprintf(out, "\t\t%.*s) list+=\" %s\" ;;&\n", (int)n,
				name, name + n + 1);
	}
}

static void find_command(FILE *out)
{
	for (size_t i = 0; cli_commands[i]; i++)
		fprintf(out, "\t\"%s\" | \"%s \"*) command=\"%s\" ;;\n",
			cli_commands[i]->name, cli_commands[i]->name,
			cli_commands[i]->name);
}

enum value_kind { VALUE_FILE, VALUE_LISTED, VALUE_FREE };

static enum value_kind value_kind(const struct cli_option *o)
{
	if (o->complete == COMPLETE_FILE)
		return VALUE_FILE;
	return o->values ? VALUE_LISTED : VALUE_FREE;
}

/* `"create --disk"`, or `*" --socket"` for an option of every command. */
static void option_pattern(FILE *out, const struct cli_command *c,
			   const struct cli_option *o, const char *before)
{
	fprintf(out, "%s%s%s --%s\"", before, c ? "\"" : "*\"",
		c ? c->name : "", o->name);
}

static void listed_value(FILE *out, const struct cli_command *c,
			 const struct cli_option *o)
{
	option_pattern(out, c, o, "\t");
	fputs(") list=\"", out);
	for (const char *const *v = o->values; *v; v++)
		fprintf(out, "%s%s", v == o->values ? "" : " ", *v);
	fputs("\" ;;\n", out);
}

/* The patterns of all options of a kind, joined; listed ones one by one. */
static void option_values(FILE *out, enum value_kind kind)
{
	const struct cli_option *o;
	const char *before = "\t";
	size_t i = 0;

	do {
		o = cli_commands[i] ? cli_commands[i]->options
				    : cli_global_options;
		for (; o && o->name; o++) {
			if (!o->arg || o->implied || value_kind(o) != kind)
				continue;
			if (kind == VALUE_LISTED) {
				listed_value(out, cli_commands[i], o);
				continue;
			}
			option_pattern(out, cli_commands[i], o, before);
			before = " | \\\n\t\t";
		}
	} while (cli_commands[i++]);
}

static void options_of(FILE *out, const struct cli_command *c)
{
	const struct cli_option *list = c->options;

	fprintf(out, "\t\t\"%s\") list=\"", c->name);
	if (!list)
		list = cli_global_options;
	for (const char *gap = ""; list; list = next_list(c, list))
		for (const struct cli_option *o = list; o->name; o++) {
			fprintf(out, "%s--%s", gap, o->name);
			gap = " ";
		}
	fputs("\" ;;\n", out);
}

static void operands_of(FILE *out, const struct cli_command *c)
{
	fprintf(out, "\t\"%s\")", c->name);
	if (c->complete == COMPLETE_VM)
		fputs(" list=$(armvmctl list --names 2>/dev/null) ;;\n", out);
	else if (c->complete == COMPLETE_COMMAND)
		fputs(" list=$_armvmctl_commands ;;\n", out);
	else if (c->complete == COMPLETE_FILE)
		fputs("\n\t\t_armvmctl_files\n\t\treturn\n\t\t;;\n", out);
	else if (c->values) {
		fputs(" list=\"", out);
		for (const char *const *v = c->values; *v; v++)
			fprintf(out, "%s%s", v == c->values ? "" : " ", *v);
		fputs("\" ;;\n", out);
	}
}

static void valued_options(FILE *out)
{
	const char *gap = "\t\t";

	for (size_t i = 0; cli_commands[i]; i++)
		for (const struct cli_option *o = cli_commands[i]->options;
		     o && o->name; o++)
			if (o->arg && !o->implied) {
				fprintf(out, "%s--%s", gap, o->name);
				gap = " | ";
			}
	for (const struct cli_option *o = cli_global_options; o->name; o++)
		if (o->arg)
			fprintf(out, "%s--%s", gap, o->name);
	fputs(" | -o) i=$((i + 1)) ;;\n", out);
}

static void bash_head(FILE *out)
{
	fputs("# bash completion of armvmctl, made by: armvmctl completion "
	      "bash\n"
	      "# shellcheck shell=bash\n"
	      "_armvmctl_commands=\"",
	      out);
	first_words(out);
	fputs("\"\n\n"
	      "# The words of $list that begin as $cur does.\n"
	      "_armvmctl_words()\n{\n"
	      "\tmapfile -t COMPREPLY < <(compgen -W \"$list\" -- \"$cur\")\n"
	      "}\n\n"
	      "_armvmctl_files()\n{\n"
	      "\tcompopt -o filenames\n"
	      "\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	      "}\n\n"
	      "_armvmctl()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} list=\"\" i\n"
	      "\tlocal prev=${COMP_WORDS[COMP_CWORD - 1]} words=\"\" "
	      "command=\"\"\n\n"
	      "\tCOMPREPLY=()\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n",
	      out);
	valued_options(out);
	fputs("\t\t-*) ;;\n"
	      "\t\t*) words+=\"${words:+ }${COMP_WORDS[i]}\" ;;\n"
	      "\t\tesac\n\tdone\n",
	      out);
}

/* After an option that takes a value: that value. */
static void bash_option_value(FILE *out)
{
	fputs("\tcase \"$command $prev\" in\n", out);
	option_values(out, VALUE_FILE);
	fputs(")\n\t\t_armvmctl_files\n\t\treturn\n\t\t;;\n", out);
	option_values(out, VALUE_FREE);
	fputs(")\n\t\treturn\n\t\t;;\n", out);
	option_values(out, VALUE_LISTED);
	fputs("\tesac\n"
	      "\tif [[ -n $list ]]; then\n"
	      "\t\t_armvmctl_words\n\t\treturn\n\tfi\n",
	      out);
}

static void bash_options(FILE *out)
{
	fputs("\tif [[ $cur == -* ]]; then\n"
	      "\t\tcase $command in\n"
	      "\t\t\"\") list=\"",
	      out);
	for (const struct cli_option *o = cli_global_options; o->name; o++)
		fprintf(out, "--%s ", o->name);
	fputs("\" ;;\n", out);
	for (size_t i = 0; cli_commands[i]; i++)
		options_of(out, cli_commands[i]);
	fputs("\t\tesac\n\t\t_armvmctl_words\n\t\treturn\n\tfi\n", out);
}

static void bash_operands(FILE *out)
{
	fputs("\tcase $command in\n\t\"\")\n\t\tcase $words in\n"
	      "\t\t\"\") list=$_armvmctl_commands ;;\n",
	      out);
	second_words(out);
	fputs("\t\tesac\n\t\t;;\n", out);
	for (size_t i = 0; cli_commands[i]; i++)
		if (cli_commands[i]->complete || cli_commands[i]->values)
			operands_of(out, cli_commands[i]);
	fputs("\tesac\n\t_armvmctl_words\n", out);
}

static void bash(FILE *out)
{
	bash_head(out);
	fputs("\tcase $words in\n", out);
	find_command(out);
	fputs("\tesac\n\n", out);
	bash_option_value(out);
	bash_options(out);
	bash_operands(out);
	fputs("}\n\ncomplete -F _armvmctl armvmctl\n", out);
}

void cli_completion(FILE *out, const char *shell)
{
	bash(out);
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	const char *shell = args->operands[0];

	for (const char *const *s = cli_shells; *s; s++)
		if (streq(*s, shell)) {
			cli_completion(stdout, shell);
			return output_flush(e);
		}
	return error_set(e, -EINVAL, "no completion for \"%s\", only for bash",
			 shell);
}

const struct cli_command cli_command_completion = {
	.name = "completion",
	.operands = "SHELL",
	.min_operands = 1,
	.max_operands = 1,
	.values = cli_shells,
	.summary = "Print a completion script for a shell (bash)",
	.examples = "  source <(armvmctl completion bash)\n"
		    "  armvmctl completion bash "
		    ">/etc/bash_completion.d/armvmctl\n",
	.run = run,
};
