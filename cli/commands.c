#include "cli/cli.h"

#include "lib/base/parse.h"

/* X(identifier), each the `cli_command_<identifier>` of a file of its own. */
#define COMMAND_TABLE(X)    \
	X(create)           \
	X(list)             \
	X(show)             \
	X(set)              \
	X(edit)             \
	X(rename)           \
	X(clone)            \
	X(start)            \
	X(console)          \
	X(log)              \
	X(shutdown)         \
	X(reboot)           \
	X(wait)             \
	X(stop)             \
	X(reset)            \
	X(pause)            \
	X(resume)           \
	X(balloon)          \
	X(stats)            \
	X(top)              \
	X(freeze)           \
	X(thaw)             \
	X(delete)           \
	X(disk_add)         \
	X(disk_remove)      \
	X(disk_list)        \
	X(disk_resize)      \
	X(nic_add)          \
	X(nic_remove)       \
	X(nic_set)          \
	X(nic_list)         \
	X(snapshot_save)    \
	X(snapshot_restore) \
	X(snapshot_show)    \
	X(var_list)         \
	X(var_kept)         \
	X(var_forget)       \
	X(events)           \
	X(job_list)         \
	X(job_show)         \
	X(job_wait)         \
	X(job_cancel)       \
	X(host_info)        \
	X(image_check)      \
	X(completion)       \
	X(help)

#define X(id) extern const struct cli_command cli_command_##id;
COMMAND_TABLE(X)
#undef X

const struct cli_command *const cli_commands[] = {
#define X(id) &cli_command_##id,
	COMMAND_TABLE(X)
#undef X
		NULL,
};

#define COMMANDS_MAX (ARRAY_SIZE(cli_commands) - 1)

/* "var list" of {"var", "list", ...}; the number of words it has, or 0. */
static size_t match(const char *name, char *const *words, size_t n_words)
{
	size_t first = strcspn(name, " ");

	if (strlen(words[0]) != first || memcmp(words[0], name, first) != 0)
		return 0;
	if (!name[first])
		return 1;
	return n_words > 1 && streq(words[1], name + first + 1) ? 2 : 0;
}

/* The word is the first of several commands: name those. */
static bool name_group(const char *word, char *list, size_t size)
{
	size_t length = strlen(word), at = 0;

	*list = 0;
	for (size_t i = 0; i < COMMANDS_MAX; i++) {
		const char *name = cli_commands[i]->name;

		if (strncmp(name, word, length) == 0 && name[length] == ' ' &&
		    at < size)
			at += (size_t)snprintf(list + at, size - at,
					       "%sarmvmctl %s", at ? ", " : "",
					       name);
	}
	return at > 0;
}

int cli_command_find(char *const *words, size_t n_words,
		     const struct cli_command **ret, size_t *ret_words,
		     struct error *e)
{
	const char *names[COMMANDS_MAX + 1] = {NULL};
	const char *closest;
	char group[256];

	for (size_t i = 0; i < COMMANDS_MAX; i++) {
		const char *alias = cli_commands[i]->alias;

		*ret_words = match(cli_commands[i]->name, words, n_words);
		if (*ret_words == 0 && alias)
			*ret_words = match(alias, words, n_words);
		if (*ret_words > 0) {
			*ret = cli_commands[i];
			return 0;
		}
		names[i] = cli_commands[i]->name;
	}
	if (name_group(words[0], group, sizeof(group)))
		return error_set(e, -EINVAL,
				 "\"%s\" is not a whole command: "
				 "%s",
				 words[0], group);
	closest = parse_closest(words[0], names);
	return error_set(e, -EINVAL,
			 "no command \"%.64s\"%s%s%s (see: armvmctl help)",
			 words[0], closest ? "; did you mean \"" : "",
			 closest ? closest : "", closest ? "\"?" : "");
}
