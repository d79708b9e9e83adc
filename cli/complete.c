/*
 * What may stand next on a command line, for the shells' scripts: from the
 * table of commands and, where a VM, device or job is meant, from the daemon.
 * One line each, "WORD<tab>what it is"; ":files" alone leaves it to the shell.
 */
#include "cli/complete.h"

#define VM_PAGE 200 /* more than anyone looks through */

struct completion {
	struct cli *cli;
	const char *word;	/* what is there of it */
	const char *put_before; /* "--output=", where the word began with it */
	struct buf *out;
};

static int offer(const struct completion *c, const char *word, const char *what)
{
	if (strncmp(word, c->word, strlen(c->word)) != 0)
		return 0;
	return buf_printf(c->out, "%s%s\t%s\n", c->put_before, word, what);
}

static int offer_files(const struct completion *c)
{
	return buf_printf(c->out, ":files\n");
}

static int offer_vms(const struct completion *c)
{
	_cleanup_json_ json_object *result = NULL;
	json_object *vms;
	int r = cli_names(c->cli, c->word, VM_PAGE, &result, NULL);

	vms = field_get(result, "vms");
	for (size_t i = 0; r == 0 && i < field_count(vms); i++) {
		json_object *vm = json_object_array_get_idx(vms, i);

		r = offer(c, field_text(vm, "name"), field_text(vm, "state"));
	}
	return r;
}

/* Objects of a list, by one member of each and a second that describes it. */
static int offer_list(const struct completion *c, const char *method,
		      json_object *params, const char *list, const char *key,
		      const char *about)
{
	_cleanup_json_ json_object *result = NULL;
	json_object *all;
	int r = cli_call(c->cli, method, params, &result, NULL, NULL);

	all = field_get(result, list);
	for (size_t i = 0; r == 0 && i < field_count(all); i++) {
		json_object *one = json_object_array_get_idx(all, i);

		r = offer(c, field_text(one, key), field_text(one, about));
	}
	return r;
}

static int offer_jobs(const struct completion *c)
{
	return offer_list(c, "job.list", json_object_new_object(), "jobs", "id",
			  "method");
}

/* The first word of a group is offered by its first member alone. */
static bool first_of_group(size_t index)
{
	const char *name = cli_commands[index]->name;
	size_t n = strcspn(name, " ") + 1;

	for (size_t i = 0; i < index; i++)
		if (name[n - 1] && strncmp(cli_commands[i]->name, name, n) == 0)
			return false;
	return true;
}

static int offer_first_words(const struct completion *c)
{
	int r = 0;

	for (size_t i = 0; cli_commands[i] && r == 0; i++) {
		const struct cli_command *command = cli_commands[i];
		const char *space = strchr(command->name, ' ');
		char word[32];

		snprintf(word, sizeof(word), "%.*s",
			 (int)strcspn(command->name, " "), command->name);
		if (first_of_group(i))
			r = offer(c, word, space ? "..." : command->summary);
	}
	return r;
}

static int offer_second_words(const struct completion *c, const char *group)
{
	size_t n = strlen(group);
	int r = 0;

	for (size_t i = 0; cli_commands[i] && r == 0; i++) {
		const char *name = cli_commands[i]->name;

		if (strncmp(name, group, n) == 0 && name[n] == ' ')
			r = offer(c, name + n + 1, cli_commands[i]->summary);
	}
	return r;
}

static int offer_values(const struct completion *c, const char *const *values)
{
	int r = 0;

	for (; values && *values && r == 0; values++)
		r = offer(c, *values, "");
	return r;
}

static int offer_kind(const struct completion *c, enum cli_complete kind,
		      const char *vm)
{
	switch (kind) {
	case COMPLETE_VM:
		return offer_vms(c);
	case COMPLETE_FILE:
		return offer_files(c);
	case COMPLETE_COMMAND:
		return offer_first_words(c);
	case COMPLETE_DISK:
		return offer_list(c, "disk.list", cli_name_params(vm), "disks",
				  "id", "path");
	case COMPLETE_NIC:
		return offer_list(c, "nic.list", cli_name_params(vm), "nics",
				  "id", "mac");
	case COMPLETE_JOB:
		return offer_jobs(c);
	case COMPLETE_KEPT:
		return offer_list(c, "var.kept", json_object_new_object(),
				  "kept", "uuid", "name");
	default:
		return 0;
	}
}

/* What the words before the one to complete say. */
struct line {
	const struct cli_command *command;
	const struct cli_option *last; /* the option just before */
	bool value_next;	       /* it waits for its value */
	const char *operands[CLI_OPERANDS_MAX];
	size_t n_operands;
	char *words[2]; /* of the command, while it is not known */
	size_t n_words;
};

static const struct cli_option *find_option(const struct line *l,
					    const char *word)
{
	const struct cli_option *lists[] = {
		l->command ? l->command->options : NULL, cli_global_options};
	size_t length = strcspn(word + 2, "=");

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct cli_option *o = lists[i]; o && o->name; o++) {
			if (word[1] != '-' && o->letter == word[1])
				return o;
			if (word[1] == '-' && strlen(o->name) == length &&
			    strncmp(o->name, word + 2, length) == 0)
				return o;
		}
	return NULL;
}

static void take_option(struct line *l, const char *word)
{
	bool whole = word[1] == '-' ? strchr(word, '=') != NULL
				    : word[1] && word[2];

	l->last = word[1] ? find_option(l, word) : NULL;
	l->value_next = l->last && l->last->arg && !l->last->implied && !whole;
}

static void take_plain(struct line *l, char *word)
{
	size_t words;

	if (l->command) {
		if (l->n_operands < CLI_OPERANDS_MAX)
			l->operands[l->n_operands++] = word;
		return;
	}
	if (l->n_words == ARRAY_SIZE(l->words))
		return;
	l->words[l->n_words++] = word;
	(void)!cli_command_find(l->words, l->n_words, &l->command, &words,
				NULL);
}

static void take_word(struct cli *cli, struct line *l, char *word)
{
	/* bash makes three words of --option=value. */
	if (streq(word, "=") && l->last) {
		l->value_next = true;
		return;
	}
	if (l->value_next && streq(l->last->name, "socket"))
		cli->socket = word;
	if (l->value_next)
		l->value_next = false;
	else if (word[0] == '-')
		take_option(l, word);
	else
		take_plain(l, word);
}

static int offer_options(const struct completion *c, const struct line *l)
{
	const struct cli_option *lists[] = {
		l->command ? l->command->options : NULL, cli_global_options};
	char word[64];
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (const struct cli_option *o = lists[i];
		     o && o->name && r == 0; o++) {
			snprintf(word, sizeof(word), "--%s", o->name);
			r = offer(c, word, o->help);
		}
	return r;
}

static int offer_value(const struct completion *c, const struct cli_option *o)
{
	if (!o || !o->arg)
		return 0;
	return o->values ? offer_values(c, o->values)
			 : offer_kind(c, o->complete, NULL);
}

static int offer_operand(const struct completion *c, const struct line *l)
{
	const struct cli_command *command = l->command;

	if (!command)
		return l->n_words == 0 ? offer_first_words(c)
				       : offer_second_words(c, l->words[0]);
	if (command->complete == COMPLETE_COMMAND && l->n_operands == 1)
		return offer_second_words(c, l->operands[0]);
	if (l->n_operands >= command->max_operands)
		return 0;
	if (command->values)
		return offer_values(c, command->values);
	if (l->n_operands == 0)
		return offer_kind(c, command->complete, NULL);
	return l->n_operands == 1
		       ? offer_kind(c, command->complete_second, l->operands[0])
		       : 0;
}

int cli_complete(struct cli *cli, char *const *words, size_t n, struct buf *out)
{
	struct line l = {0};
	const char *word = n > 0 ? words[n - 1] : "";
	struct completion c = {cli, word, "", out};
	_cleanup_free_ char *before = NULL;
	const char *equals = strchr(word, '=');

	for (size_t i = 0; i + 1 < n; i++)
		take_word(cli, &l, words[i]);
	if (streq(word, "=") && l.last) {
		c.word = "";
		return offer_value(&c, l.last);
	}
	if (l.value_next)
		return offer_value(&c, l.last);
	if (strncmp(word, "--", 2) == 0 && equals) {
		before = strndup(word, (size_t)(equals - word) + 1);
		if (!before)
			return -ENOMEM;
		c.put_before = before;
		c.word = equals + 1;
		return offer_value(&c, find_option(&l, word));
	}
	return word[0] == '-' ? offer_options(&c, &l) : offer_operand(&c, &l);
}
