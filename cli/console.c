#include "cli/console_session.h"

#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/model/vm_state.h"

#define SETTLE_TRIES 40
#define SETTLE_US    50000

static void say_attached(const struct console_session *s)
{
	const char *leave = "";

	if (isatty(STDIN_FILENO) && s->escape == CONSOLE_ESCAPE)
		leave = " Ctrl-] . leaves it, Ctrl-] ? helps.";
	output_line(stderr, "Connected to the console of %s.%s", s->name,
		    leave);
	if (!s->writes && *s->writer)
		output_line(stderr,
			    "%s types here, you read along; --take-over or "
			    "Ctrl-] t changes that.",
			    s->writer);
	else if (!s->writes)
		output_line(stderr, "You read along.");
}

/*
 * The console closes when the VM ends, some moments before that is its state:
 * look until it is at rest. NULL when the daemon or the VM is gone.
 */
static json_object *look_at_end(struct cli *cli, const char *name)
{
	json_object *vm = NULL;
	enum vm_state state;

	for (int tries = 0; tries < SETTLE_TRIES; tries++) {
		json_object_put(vm);
		vm = NULL;
		if (cli_call(cli, "vm.get", cli_name_params(name), &vm, NULL,
			     NULL) < 0)
			return NULL;
		if (vm_state_by_name(field_text(vm, "state"), &state) < 0 ||
		    !vm_state_active(state))
			break;
		usleep(SETTLE_US);
	}
	return vm;
}

static void say_closed(struct cli *cli, const char *name)
{
	_cleanup_json_ json_object *vm = look_at_end(cli, name);
	const char *reason = field_text(vm, "reason");

	if (!vm)
		output_line(stderr, "\nThe console of %s was closed.", name);
	else
		output_line(stderr,
			    "\nThe console of %s was closed: it is "
			    "%s%s%s%s.",
			    name, field_text(vm, "state"), *reason ? " (" : "",
			    reason, *reason ? ")" : "");
}

/* Who may type is told by events; a daemon that sends none is no hindrance. */
static void subscribe(struct console_session *s)
{
	_cleanup_json_ json_object *result = NULL;
	json_object *params = json_object_new_object();

	json_object_object_add(params, "since", json_object_new_int64(-1));
	s->events = cli_call(s->cli, "event.subscribe", params, &result, NULL,
			     NULL) == 0;
}

static int told_how(struct console_session *s, enum console_ending end, int why,
		    struct error *e)
{
	if (end == CONSOLE_FAILED)
		return error_set(e, -EIO,
				 "standard output cannot be written: %s",
				 strerror(why));
	if (end == CONSOLE_TAKEN)
		return error_set(e, -EBUSY,
				 "%s types at the console of %s, so what comes "
				 "from standard input cannot; --take-over "
				 "types all the same",
				 *s->writer ? s->writer : "nobody", s->name);
	if (end == CONSOLE_CLOSED)
		say_closed(s->cli, s->name);
	else
		output_line(stderr,
			    "\nLeft the console of %s; it goes on. Back with: "
			    "armvmctl console %s",
			    s->name, s->name);
	return 0;
}

static int attach(struct console_session *s, struct error *e)
{
	enum console_ending end = CONSOLE_GOING_ON;
	int r = fd_set_nonblock(s->fd);

	if (r < 0)
		return error_set(e, r, "the console of %s cannot be used: %s",
				 s->name, strerror(-r));
	say_attached(s);
	r = terminal_open(&s->terminal, e);
	if (r < 0)
		return r;
	while (end == CONSOLE_GOING_ON)
		end = console_session_step(s);
	r = errno;
	if (end == CONSOLE_SIGNALLED)
		terminal_die(&s->terminal);
	terminal_close(&s->terminal);
	return told_how(s, end, r, e);
}

int cli_console(struct cli *cli, const char *name,
		const struct cli_console_options *o, struct error *e)
{
	json_object *params = cli_name_params(name);
	_cleanup_json_ json_object *seat = NULL;
	struct console_session s = {
		.cli = cli,
		.name = name,
		.escape = o->escape ? o->escape : CONSOLE_ESCAPE,
		.input_open = true,
	};
	_cleanup_close_ int fd = -1;
	int r;

	if (o->device)
		json_object_object_add(params, "device",
				       json_object_new_string(o->device));
	if (o->want)
		json_object_object_add(params, "want",
				       json_object_new_string(o->want));
	r = cli_connect(cli, e);
	if (r < 0) {
		json_object_put(params);
		return r;
	}
	/* First, so that no change is missed. */
	subscribe(&s);
	r = cli_call(cli, "vm.console", params, &seat, &fd, e);
	if (r < 0)
		return r;
	if (fd < 0)
		return error_set_code(e, ERROR_INTERNAL,
				      "armvmd answered without a console for "
				      "%s",
				      name);
	s.fd = fd;
	s.vm = field_text(seat, "vm");
	s.device = field_text(seat, "device");
	s.session = field_u64(seat, "session");
	s.writes = json_object_get_boolean(field_get(seat, "writes"));
	snprintf(s.writer, sizeof(s.writer), "%s", field_text(seat, "writer"));
	return attach(&s, e);
}

/* "^]" or one character, "none" for none. */
static int parse_escape(const char *text, int *ret, struct error *e)
{
	char c = text[0] == '^' && text[1] ? text[1] : 0;

	if (streq(text, "none"))
		*ret = -1;
	else if (c >= '@' && c <= '_' && !text[2])
		*ret = c & 0x1f;
	else if (c >= 'a' && c <= 'z' && !text[2])
		*ret = c & 0x1f;
	else if (text[0] > ' ' && text[0] < 0x7f && !text[1])
		*ret = text[0];
	else
		return error_set(e, -EINVAL,
				 "--escape \"%s\": one character, ^A to ^_ for "
				 "Control with it, or none",
				 text);
	return 0;
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	struct cli_console_options o = {
		.device = cli_option(args, "device"),
	};
	const char *escape = cli_option(args, "escape");
	int r = escape ? parse_escape(escape, &o.escape, e) : 0;

	if (r < 0)
		return r;
	if (cli_option(args, "take-over") && cli_option(args, "read-only"))
		return error_set(e, -EINVAL,
				 "--take-over and --read-only exclude each "
				 "other");
	if (cli_option(args, "take-over"))
		o.want = "take-over";
	if (cli_option(args, "read-only"))
		o.want = "read";
	return cli_console(cli, args->operands[0], &o, e);
}

static const char *const devices[] = {"pl011", "virtio", NULL};

static const struct cli_option options[] = {
	{"device", "NAME", "which of two consoles: pl011 or virtio",
	 .values = devices},
	{"take-over", NULL, "type, also when somebody else does"},
	{"read-only", NULL, "only read, and leave typing to others"},
	{"escape", "CHAR", "instead of ^], or none"},
	{NULL},
};

const struct cli_command cli_command_console = {
	.name = "console",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Connect to a VM's console; Ctrl-] . leaves it",
	.detail = "What was printed before is shown first. Several may read, "
		  "one types: who came first, until\nthey leave or somebody "
		  "takes over. When standard input is no terminal, it is "
		  "typed as it\ncomes, and the connection stays until the VM "
		  "ends.\n\nAfter Ctrl-]:\n"
		  "  .  or Ctrl-] again: leave\n"
		  "  t  type in another's place\n"
		  "  ]  send Ctrl-] to the guest\n"
		  "  ?  help",
	.examples = "  armvmctl console web\n"
		    "  armvmctl console web --take-over\n"
		    "  armvmctl console web --device virtio --escape ^A\n"
		    "  armvmctl console web --read-only </dev/null >web.log\n",
	.options = options,
	.run = run,
};
