#include "cli/cli.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "lib/base/fd.h"
#include "lib/model/vm_state.h"

#define ESCAPE	     0x1d /* Ctrl-] */
#define SETTLE_TRIES 40
#define SETTLE_US    50000

enum { POLL_CONSOLE, POLL_INPUT, POLL_SIGNAL, POLL_COUNT };
enum ending { GOING_ON, LEFT, CLOSED, SIGNALLED, FAILED };

struct session {
	int fd;
	struct terminal terminal;
	bool input_open;
	char pending[1024]; /* typed, not yet taken by the guest */
	size_t n_pending;
};

/* What the guest printed; CLOSED at its end. */
static enum ending take_output(struct session *s)
{
	char chunk[KIB(16)];
	ssize_t n = read(s->fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return GOING_ON;
	if (n <= 0)
		return CLOSED;
	return fd_write_full(STDOUT_FILENO, chunk, (size_t)n) < 0 ? FAILED
								  : GOING_ON;
}

/* What was typed, up to the escape character on a terminal. */
static enum ending take_input(struct session *s)
{
	ssize_t n = read(STDIN_FILENO, s->pending, sizeof(s->pending));
	char *escape;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return GOING_ON;
	if (n <= 0) {
		/* A terminal hung up; a pipe may end, its guest goes on. */
		s->input_open = false;
		return s->terminal.raw ? LEFT : GOING_ON;
	}
	escape = s->terminal.raw ? memchr(s->pending, ESCAPE, (size_t)n) : NULL;
	s->n_pending = escape ? (size_t)(escape - s->pending) : (size_t)n;
	return escape ? LEFT : GOING_ON;
}

static enum ending send_pending(struct session *s)
{
	ssize_t n = send(s->fd, s->pending, s->n_pending,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? GOING_ON : CLOSED;
	s->n_pending -= (size_t)n;
	memmove(s->pending, s->pending + n, s->n_pending);
	return GOING_ON;
}

static enum ending step(struct session *s)
{
	bool want_input = s->input_open && s->n_pending == 0;
	struct pollfd p[POLL_COUNT] = {
		[POLL_CONSOLE] = {.fd = s->fd, .events = POLLIN},
		[POLL_INPUT] = {.fd = want_input ? STDIN_FILENO : -1,
				.events = POLLIN},
		[POLL_SIGNAL] = {.fd = s->terminal.signal_fd, .events = POLLIN},
	};
	enum ending end = GOING_ON;

	if (s->n_pending > 0)
		p[POLL_CONSOLE].events |= POLLOUT;
	if (poll(p, POLL_COUNT, -1) < 0)
		return errno == EINTR ? GOING_ON : FAILED;
	if (p[POLL_SIGNAL].revents)
		return SIGNALLED;
	if (p[POLL_CONSOLE].revents & (POLLIN | POLLHUP | POLLERR))
		end = take_output(s);
	if (end == GOING_ON && p[POLL_INPUT].revents)
		end = take_input(s);
	if (s->n_pending > 0 && (end == GOING_ON || end == LEFT) &&
	    send_pending(s) == CLOSED)
		end = CLOSED;
	return end;
}

static void say_attached(const char *name, bool raw)
{
	output_line(stderr, "Connected to the console of %s.%s", name,
		    raw ? " Ctrl-] leaves it." : "");
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

static int attach(struct cli *cli, const char *name, int fd, struct error *e)
{
	struct session s = {.fd = fd, .input_open = true};
	enum ending end = GOING_ON;
	int r = fd_set_nonblock(fd);

	if (r < 0)
		return error_set(e, r, "the console of %s cannot be used: %s",
				 name, strerror(-r));
	say_attached(name, isatty(STDIN_FILENO));
	r = terminal_open(&s.terminal, e);
	if (r < 0)
		return r;
	while (end == GOING_ON)
		end = step(&s);
	r = errno;
	if (end == SIGNALLED)
		terminal_die(&s.terminal);
	terminal_close(&s.terminal);
	if (end == FAILED)
		return error_set(e, -EIO,
				 "standard output cannot be written: "
				 "%s",
				 strerror(r));
	if (end == CLOSED)
		say_closed(cli, name);
	else
		output_line(stderr,
			    "\nLeft the console of %s; it goes on. Back with: "
			    "armvmctl console %s",
			    name, name);
	return 0;
}

int cli_console(struct cli *cli, const char *name, const char *device,
		struct error *e)
{
	json_object *params = cli_name_params(name);
	_cleanup_json_ json_object *result = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (device)
		json_object_object_add(params, "device",
				       json_object_new_string(device));
	r = cli_call(cli, "vm.console", params, &result, &fd, e);
	if (r < 0)
		return r;
	if (fd < 0)
		return error_set_code(e, ERROR_INTERNAL,
				      "armvmd answered without a console for "
				      "%s",
				      name);
	return attach(cli, name, fd, e);
}

static int run(struct cli *cli, const struct cli_args *args, struct error *e)
{
	return cli_console(cli, args->operands[0], cli_option(args, "device"),
			   e);
}

static const char *const devices[] = {"pl011", "virtio", NULL};

static const struct cli_option options[] = {
	{"device", "NAME", "which of two consoles: pl011 or virtio",
	 .values = devices},
	{NULL},
};

const struct cli_command cli_command_console = {
	.name = "console",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.complete = COMPLETE_VM,
	.summary = "Connect to a VM's console; Ctrl-] leaves it",
	.detail = "What was printed before is shown first. When standard input "
		  "is no terminal, it is typed\nas it comes, and the "
		  "connection stays until the VM ends.",
	.examples = "  armvmctl console web\n"
		    "  armvmctl console web --device virtio\n"
		    "  armvmctl console web </dev/null >web.log\n",
	.options = options,
	.run = run,
};
