#include "cli/console_session.h"

#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"

enum { POLL_CONSOLE, POLL_INPUT, POLL_SIGNAL, POLL_EVENTS, POLL_COUNT };

void console_say(struct console_session *s, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		text = NULL;
	else if (s->terminal.raw)
		output_line(stderr, "\n[armvmctl: %s]", text);
	else
		output_line(stderr, "armvmctl: %s", text);
	/* Raw mode moves down only. */
	if (s->terminal.raw)
		fputc('\r', stderr);
}

/* What the guest printed; CONSOLE_CLOSED at its end. */
static enum console_ending take_output(struct console_session *s)
{
	char chunk[KIB(16)];
	ssize_t n = read(s->fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CONSOLE_GOING_ON;
	if (n <= 0)
		return CONSOLE_CLOSED;
	return fd_write_full(STDOUT_FILENO, chunk, (size_t)n) < 0
		       ? CONSOLE_FAILED
		       : CONSOLE_GOING_ON;
}

static void say_help(struct console_session *s)
{
	console_say(s, "after the escape character:  . or the same again: leave"
		       "   t: type in another's place   ]: send it to the guest"
		       "   ?: this");
	if (s->writes)
		console_say(s, "you type here");
	else
		console_say(s, "%s types here",
			    *s->writer ? s->writer : "nobody");
}

static void take_over(struct console_session *s)
{
	_cleanup_json_ json_object *result = NULL;
	json_object *params = cli_name_params(s->name);
	struct error e = ERROR_INIT;

	json_object_object_add(params, "device",
			       json_object_new_string(s->device));
	json_object_object_add(params, "session",
			       json_object_new_uint64(s->session));
	if (cli_call(s->cli, "vm.console_take", params, &result, NULL, &e) < 0)
		console_say(s, "%s", e.message);
	else if (!s->events)
		s->writes = true;
}

static enum console_ending menu(struct console_session *s, char c)
{
	s->escaped = false;
	if (c == '.' || c == (char)s->escape)
		return CONSOLE_LEFT;
	if (c == ']' && s->n_pending < sizeof(s->pending))
		s->pending[s->n_pending++] = (char)s->escape;
	else if (c == 't')
		take_over(s);
	else if (c == '?' || c == 'h')
		say_help(s);
	return CONSOLE_GOING_ON;
}

/* On a terminal once, until who types is another; a pipe's input was meant for
 * the guest. */
static enum console_ending not_ours(struct console_session *s)
{
	if (!s->terminal.raw)
		return CONSOLE_TAKEN;
	if (!s->warned)
		console_say(s, "%s types here; Ctrl-] t takes over",
			    *s->writer ? s->writer : "nobody");
	s->warned = true;
	return CONSOLE_GOING_ON;
}

static enum console_ending take_typed(struct console_session *s,
				      const char *data, size_t size)
{
	enum console_ending end = CONSOLE_GOING_ON;

	for (size_t i = 0; i < size && end == CONSOLE_GOING_ON; i++) {
		if (s->escaped)
			end = menu(s, data[i]);
		else if (s->terminal.raw && data[i] == (char)s->escape &&
			 s->escape >= 0)
			s->escaped = true;
		else if (s->writes)
			s->pending[s->n_pending++] = data[i];
		else
			end = not_ours(s);
	}
	return end;
}

static enum console_ending take_input(struct console_session *s)
{
	char data[sizeof(s->pending)];
	ssize_t n = read(STDIN_FILENO, data, sizeof(data));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CONSOLE_GOING_ON;
	if (n <= 0) {
		/* A terminal hung up; a pipe may end, its guest goes on. */
		s->input_open = false;
		return s->terminal.raw ? CONSOLE_LEFT : CONSOLE_GOING_ON;
	}
	return take_typed(s, data, (size_t)n);
}

static enum console_ending send_pending(struct console_session *s)
{
	ssize_t n = send(s->fd, s->pending, s->n_pending,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? CONSOLE_GOING_ON
							 : CONSOLE_CLOSED;
	s->n_pending -= (size_t)n;
	memmove(s->pending, s->pending + n, s->n_pending);
	return CONSOLE_GOING_ON;
}

static void writer_is(struct console_session *s, uint64_t session,
		      const char *who)
{
	bool writes = session == s->session;

	if (writes && !s->writes)
		console_say(s, "you type here now");
	else if (!writes && s->writes)
		console_say(s,
			    "%s has taken over and types here now; Ctrl-] t "
			    "takes it back",
			    who);
	else if (!writes && session == 0 && s->terminal.raw)
		console_say(s, "nobody types here now; Ctrl-] t to do so");
	if (!writes)
		s->n_pending = 0;
	s->writes = writes;
	s->warned = false;
	snprintf(s->writer, sizeof(s->writer), "%s", who);
}

/* All that have come. Without a daemon the console goes on, without them. */
static void take_events(struct console_session *s)
{
	while (s->events) {
		_cleanup_json_ json_object *event = NULL;
		int r = api_client_event(s->cli->client, 0, &event, NULL);

		if (r == -EAGAIN)
			return;
		if (r < 0) {
			s->events = false;
			s->cli->client = api_client_close(s->cli->client);
		} else if (streq(field_text(event, "kind"), "console") &&
			   streq(field_text(event, "vm"), s->vm) &&
			   streq(field_text(event, "device"), s->device)) {
			writer_is(s, field_u64(event, "session"),
				  field_text(event, "writer"));
		}
	}
}

enum console_ending console_session_step(struct console_session *s)
{
	bool want_input = s->input_open && s->n_pending == 0;
	struct pollfd p[POLL_COUNT] = {
		[POLL_CONSOLE] = {.fd = s->fd, .events = POLLIN},
		[POLL_INPUT] = {.fd = want_input ? STDIN_FILENO : -1,
				.events = POLLIN},
		[POLL_SIGNAL] = {.fd = s->terminal.signal_fd, .events = POLLIN},
		[POLL_EVENTS] = {.fd = s->events ? api_client_fd(s->cli->client)
						 : -1,
				 .events = POLLIN},
	};
	enum console_ending end = CONSOLE_GOING_ON;

	if (s->n_pending > 0)
		p[POLL_CONSOLE].events |= POLLOUT;
	if (poll(p, POLL_COUNT, -1) < 0)
		return errno == EINTR ? CONSOLE_GOING_ON : CONSOLE_FAILED;
	if (p[POLL_SIGNAL].revents)
		return CONSOLE_SIGNALLED;
	if (p[POLL_CONSOLE].revents & (POLLIN | POLLHUP | POLLERR))
		end = take_output(s);
	if (p[POLL_EVENTS].revents)
		take_events(s);
	if (end == CONSOLE_GOING_ON && p[POLL_INPUT].revents)
		end = take_input(s);
	/* What came while a call waited for its answer. */
	take_events(s);
	if (s->n_pending > 0 &&
	    (end == CONSOLE_GOING_ON || end == CONSOLE_LEFT) &&
	    send_pending(s) == CONSOLE_CLOSED)
		end = CONSOLE_CLOSED;
	return end;
}
