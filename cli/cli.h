/*
 * armvmctl: one table of commands, from which come dispatch, option parsing,
 * help and shell completion. A command is one file that defines one
 * `struct cli_command` and its run function.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

#include "api/client.h"
#include "cli/output.h"

enum cli_complete {
	COMPLETE_NONE,
	COMPLETE_VM,
	COMPLETE_FILE,
	COMPLETE_COMMAND,
	COMPLETE_DISK, /* of the VM before it */
	COMPLETE_NIC,
	COMPLETE_JOB,
	COMPLETE_KEPT, /* uuid of a kept variable store */
};

struct cli_option {
	const char *name; /* without the dashes */
	const char *arg;  /* what its value is called; NULL: it takes none */
	const char *help; /* one line, lower case, no full stop */
	const char *const *values; /* the only ones accepted; NULL: any */
	bool repeatable;
	enum cli_complete complete;
	char letter; /* -x does the same; 0: nothing does */
	/* The value where none is given: it then takes one behind '=' only.
	 * NULL: without '=' its value is the next word. */
	const char *implied;
};

struct cli;
struct cli_args;

struct cli_command {
	const char *name;     /* one or two words: "start", "var list" */
	const char *alias;    /* another name, one word; or NULL */
	const char *operands; /* "NAME", "[COMMAND]"; "" for none */
	size_t min_operands, max_operands;
	enum cli_complete complete;	   /* of the first operand */
	enum cli_complete complete_second; /* of the second */
	bool exact; /* the whole name of a VM, no beginning of it */
	const char *const *values;	  /* of the operands; NULL: any */
	const char *summary;		  /* one line, as in the list */
	const char *detail;		  /* sentences for --help, or NULL */
	const char *examples;		  /* lines for --help */
	const struct cli_option *options; /* ends with a NULL name; or NULL */
	int (*run)(struct cli *cli, const struct cli_args *args,
		   struct error *e);
};

/* In the order of the help; ends with NULL. */
extern const struct cli_command *const cli_commands[];
/* Accepted by every command, also in front of it. */
extern const struct cli_option cli_global_options[];

struct cli {
	const char *socket;
	enum output_format format;
	struct api_client *client; /* NULL until the first call */
};

#define CLI_OPTIONS_MAX	 64
#define CLI_OPERANDS_MAX 4

struct cli_args {
	const struct cli_command *command; /* NULL: none was named */
	struct {
		const struct cli_option *option;
		const char *value; /* "" for flags */
	} options[CLI_OPTIONS_MAX];
	size_t n_options;
	const char *operands[CLI_OPERANDS_MAX];
	size_t n_operands;
};

/*
 * cli/args.c. Everything in `ret` borrows from argv. -EINVAL names the option
 * or word and what is accepted; counts of operands are not checked when --help
 * was given.
 */
int cli_args_parse(int argc, char *const *argv, struct cli_args *ret,
		   struct error *e) must_check;
/* The value of an option, "" for a flag that was given; NULL if absent. */
const char *cli_option(const struct cli_args *args, const char *name);
/* The command of up to two words; *ret_words says how many it took. -EINVAL
 * with a "did you mean". */
int cli_command_find(char *const *words, size_t n_words,
		     const struct cli_command **ret, size_t *ret_words,
		     struct error *e) must_check;

/* cli/help.c */
void cli_help(FILE *out);
void cli_help_command(FILE *out, const struct cli_command *command);

/* cli/call.c: every call connects first; this alone tells early whether there
 * is a daemon. */
int cli_connect(struct cli *cli, struct error *e) must_check;
/* `params` is consumed. */
int cli_call(struct cli *cli, const char *method, json_object *params,
	     json_object **ret_result, int *ret_fd, struct error *e) must_check;
/*
 * cli/job.c: the same for what takes longer than a moment, of a command that
 * has CLI_LONG_OPTIONS. People are shown how far `what` ("web: starting") is:
 * on a terminal by a bar, elsewhere, with --wait, by a line for each step; what
 * is asked then is a job, which goes on when we are interrupted. With --no-wait
 * the job's number is printed and *ret_result is NULL.
 */
#define CLI_LONG_OPTIONS                                                    \
	{"wait", NULL,                                                      \
	 "wait for the end, showing each step (on a terminal: "             \
	 "always)"},                                                        \
	{                                                                   \
		"no-wait", NULL, "print the number of the job that does it" \
	}
int cli_call_long(struct cli *cli, const struct cli_args *args,
		  const char *method, json_object *params, const char *what,
		  json_object **ret_result, struct error *e) must_check;
/* vm.shutdown or vm.reboot of the VM in operand 0, by the options --timeout and
 * --fallback, as cli_call_long(); `what` the guest is to do. *ret_waited: not
 * only asked. */
int cli_ask_guest(struct cli *cli, const struct cli_args *args,
		  const char *method, const char *what, bool *ret_waited,
		  json_object **ret_vm, struct error *e) must_check;
/* Call `method` for the VM in operand 0 and print "NAME: done", or the VM as
 * JSON: all there is to several commands. */
int cli_vm_call(struct cli *cli, const struct cli_args *args,
		const char *method, const char *done,
		struct error *e) must_check;
/* Ask for a job and print its number; `params` is consumed. */
int cli_vm_begin(struct cli *cli, const char *method, json_object *params,
		 struct error *e) must_check;
/* { "name": name } */
json_object *cli_name_params(const char *name);
/* Milliseconds of a clock that only moves forward. */
int64_t cli_now_ms(void);

/* cli/console.c: attach to a VM's console until left or closed. */
struct cli_console_options {
	const char *device; /* NULL: the VM's own choice of them */
	const char *want;   /* NULL, or as vm.console takes it */
	int escape;	    /* the character; 0: the default, -1: none */
};
int cli_console(struct cli *cli, const char *name,
		const struct cli_console_options *options,
		struct error *e) must_check;

/* cli/definition.c: what `create` sends, from its options. Owned by caller. */
int cli_definition(const struct cli_args *args, json_object **ret,
		   struct error *e) must_check;

/* The options of `create` and `set` into a definition there is. */
int cli_definition_apply(const struct cli_args *args, json_object *config,
			 struct error *e) must_check;
/* Absolute paths for those of a file. */
int cli_definition_paths(json_object *config, struct error *e) must_check;
/* cli/policy.c: *ret_done says whether the option was one of its own. */
int cli_policy_apply(json_object *config, const char *name, const char *value,
		     bool *ret_done, struct error *e) must_check;
/* Options that `create` and `set` share. */
#define CLI_POLICY_OPTIONS                                                   \
	{"description", "TEXT", "for people"},                               \
		{"cpu-weight", "N", "its share of busy CPUs, 1 to 10000"},   \
		{"label", "KEY=VALUE", "lists filter by it",                 \
		 .repeatable = true},                                        \
		{"autostart", "yes|no", "start it with the host",            \
		 .values = cli_yes_no},                                      \
		{"autostart-order", "N", "lower ones are started first"},    \
		{"autostart-delay", "TIME", "to wait after it was started"}, \
		{"on-crash", "POLICY", "stop, restart or preserve",          \
		 .values = cli_crash_policies},                              \
	{                                                                    \
		"on-reboot", "POLICY", "restart, stop or preserve",          \
			.values = cli_crash_policies                         \
	}
extern const char *const cli_yes_no[], *const cli_crash_policies[];
/* The same, of parts: a path made absolute under `key`; "tap=IF,mac=MAC". */
int cli_set_path(json_object *object, const char *key, const char *path,
		 struct error *e) must_check;
/* The next part of "a,b=c", written over; *rest is NULL after the last. */
char *cli_next_part(char **rest);
/* One into `object`; `accepted` is NULL-terminated, a name that ends in '='
 * wants a value, the others are flags. */
int cli_set_part(json_object *object, const char *option, const char *part,
		 const char *const *accepted, struct error *e) must_check;
/* What is text under `key`, as a number; `what` is it in errors. */
int cli_part_to_number(json_object *object, const char *key, const char *what,
		       struct error *e) must_check;
/* cli/definition_nic.c */
int cli_parse_nic(const char *value, json_object *nic,
		  struct error *e) must_check;

/*
 * cli/device.c: call `method` of a disk or nic, telling on a terminal how far
 * the guest is, and print how it ended. `params` is consumed; timeout_ms 0 is
 * the daemon's default.
 */
int cli_device_call(struct cli *cli, const char *method, json_object *params,
		    uint64_t timeout_ms, struct error *e) must_check;
/* --timeout, --live and --force into `params`. */
int cli_device_options(const struct cli_args *args, json_object *params,
		       uint64_t *ret_timeout_ms, struct error *e) must_check;

/* cli/names.c: a page of vm.list (name, state) from where `prefix` stands. */
int cli_names(struct cli *cli, const char *prefix, int limit,
	      json_object **ret_result, struct error *e) must_check;
/*
 * The one VM whose name begins so; owned by the caller. -ENOENT: none does, or
 * it is a whole name (`e` untouched), or several do (`e` names them).
 */
int cli_name_resolve(struct cli *cli, const char *prefix, char **ret,
		     struct error *e) must_check;

/* cli/list.c: the --label options as an object of strings; NULL for none. */
int cli_labels(const struct cli_args *args, json_object **ret,
	       struct error *e) must_check;

/* cli/completion.c: the script for a shell named in cli_shells. */
extern const char *const cli_shells[];
void cli_completion(FILE *out, const char *shell);

#endif
