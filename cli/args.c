#include "cli/cli.h"

#include "lib/base/parse.h"

const struct cli_option cli_global_options[] = {
	{"output", "FORMAT", "table (for people), json or jsonl",
	 .values = output_format_names, .letter = 'o'},
	{"socket", "PATH",
	 "armvmd's socket (default $ARMVM_SOCKET or " API_SOCKET_DEFAULT ")",
	 .complete = COMPLETE_FILE},
	{"help", NULL, "show how a command is used", .letter = 'h'},
	{"version", NULL, "show the version"},
	{NULL},
};

const char *cli_option(const struct cli_args *args, const char *name)
{
	for (size_t i = 0; i < args->n_options; i++)
		if (streq(args->options[i].option->name, name))
			return args->options[i].value;
	return NULL;
}

static const struct cli_option *option_in(const struct cli_option *list,
					  const char *name, size_t length)
{
	for (; list && list->name; list++)
		if (strlen(list->name) == length &&
		    memcmp(list->name, name, length) == 0)
			return list;
	return NULL;
}

static size_t option_names(const struct cli_option *list, const char **names,
			   size_t count)
{
	for (; list && list->name && count < CLI_OPTIONS_MAX; list++)
		names[count++] = list->name;
	return count;
}

static int unknown_option(const struct cli_command *command, const char *name,
			  size_t length, struct error *e)
{
	const char *names[CLI_OPTIONS_MAX + 1] = {NULL};
	_cleanup_free_ char *word = strndup(name, length);
	const char *closest;
	size_t count = 0;

	if (command)
		count = option_names(command->options, names, count);
	option_names(cli_global_options, names, count);
	closest = word ? parse_closest(word, names) : NULL;
	return error_set(e, -EINVAL,
			 "unknown option \"--%.*s\"%s%s%s%s%s (see: armvmctl "
			 "%s%s--help)",
			 (int)MIN(length, 64), name, command ? " of " : "",
			 command ? command->name : "",
			 closest ? "; did you mean \"--" : "",
			 closest ? closest : "", closest ? "\"?" : "",
			 command ? command->name : "", command ? " " : "");
}

static int add_option(struct cli_args *args, const struct cli_option *option,
		      const char *value, struct error *e)
{
	const char *const *v = option->values;

	if (!option->repeatable && cli_option(args, option->name))
		return error_set(e, -EINVAL, "--%s is given twice",
				 option->name);
	while (v && *v && !streq(*v, value))
		v++;
	if (v && !*v) {
		char list[128] = "";

		for (v = option->values; *v; v++)
			snprintf(list + strlen(list),
				 sizeof(list) - strlen(list), "%s%s",
				 v == option->values ? ""
				 : v[1]		     ? ", "
						     : " or ",
				 *v);
		return error_set(e, -EINVAL, "--%s must be %s, not \"%s\"",
				 option->name, list, value);
	}
	if (args->n_options == CLI_OPTIONS_MAX)
		return error_set(e, -EINVAL, "more than %d options",
				 CLI_OPTIONS_MAX);
	args->options[args->n_options].option = option;
	args->options[args->n_options++].value = value;
	return 0;
}

/* argv[*at] begins with "--"; moves *at past a value in the next word. */
static int take_long(int argc, char *const *argv, int *at,
		     struct cli_args *args, struct error *e)
{
	const char *name = argv[*at] + 2, *equals = strchr(name, '=');
	size_t length = equals ? (size_t)(equals - name) : strlen(name);
	const struct cli_option *option = NULL;

	if (args->command)
		option = option_in(args->command->options, name, length);
	if (!option)
		option = option_in(cli_global_options, name, length);
	if (!option)
		return unknown_option(args->command, name, length, e);
	if (!option->arg && equals)
		return error_set(e, -EINVAL, "--%s takes no value",
				 option->name);
	if (!option->arg)
		return add_option(args, option, "", e);
	if (equals)
		return add_option(args, option, equals + 1, e);
	if (option->implied)
		return add_option(args, option, option->implied, e);
	if (*at + 1 >= argc)
		return error_set(e, -EINVAL, "--%s needs a value: --%s %s",
				 option->name, option->name, option->arg);
	return add_option(args, option, argv[++*at], e);
}

static const struct cli_option *letter_in(const struct cli_option *list,
					  char letter)
{
	for (; list && list->name; list++)
		if (list->letter == letter)
			return list;
	return NULL;
}

/* -h, -o FORMAT and the like, for fingers used to them. */
static int take_short(int argc, char *const *argv, int *at,
		      struct cli_args *args, struct error *e)
{
	const char *word = argv[*at];
	const struct cli_option *option = NULL;

	if (args->command)
		option = letter_in(args->command->options, word[1]);
	if (!option)
		option = letter_in(cli_global_options, word[1]);
	if (!option || (!option->arg && word[2]))
		return error_set(e, -EINVAL,
				 "unknown option \"%.64s\"; options have two "
				 "dashes, see: armvmctl --help",
				 word);
	if (!option->arg)
		return add_option(args, option, "", e);
	if (word[2])
		return add_option(args, option, word + 2, e);
	if (*at + 1 >= argc)
		return error_set(e, -EINVAL, "-%c needs a value: -%c %s",
				 word[1], word[1], option->arg);
	return add_option(args, option, argv[++*at], e);
}

static int take_word(int argc, char *const *argv, int *at,
		     struct cli_args *args, struct error *e)
{
	size_t words = 0;
	int r;

	if (!args->command) {
		r = cli_command_find(argv + *at, (size_t)(argc - *at),
				     &args->command, &words, e);
		*at += (int)words - (r == 0);
		return r;
	}
	if (args->n_operands >= args->command->max_operands)
		return error_set(e, -EINVAL,
				 "\"%s\" is one word too many: armvmctl %s%s%s",
				 argv[*at], args->command->name,
				 *args->command->operands ? " " : "",
				 args->command->operands);
	args->operands[args->n_operands++] = argv[*at];
	return 0;
}

int cli_args_parse(int argc, char *const *argv, struct cli_args *ret,
		   struct error *e)
{
	bool only_words = false;
	int r = 0;

	*ret = (struct cli_args){0};
	for (int i = 1; i < argc && r == 0; i++) {
		const char *word = argv[i];

		if (!only_words && streq(word, "--"))
			only_words = true;
		else if (!only_words && strncmp(word, "--", 2) == 0)
			r = take_long(argc, argv, &i, ret, e);
		else if (!only_words && word[0] == '-' && word[1])
			r = take_short(argc, argv, &i, ret, e);
		else
			r = take_word(argc, argv, &i, ret, e);
	}
	if (r == 0 && ret->command && !cli_option(ret, "help") &&
	    ret->n_operands < ret->command->min_operands)
		return error_set(e, -EINVAL, "%s needs %s: armvmctl %s %s",
				 ret->command->name, ret->command->operands,
				 ret->command->name, ret->command->operands);
	return r;
}
