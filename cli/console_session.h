/*
 * One session at a VM's console: what the guest prints to standard output,
 * what is typed to the guest, the escape character and what follows it, and
 * who may type (events "console" of the daemon).
 */
#ifndef CLI_CONSOLE_SESSION_H
#define CLI_CONSOLE_SESSION_H

#include "cli/cli.h"
#include "cli/terminal.h"

#define CONSOLE_ESCAPE 0x1d /* Ctrl-] */

enum console_ending {
	CONSOLE_GOING_ON,
	CONSOLE_LEFT,
	CONSOLE_CLOSED,
	CONSOLE_SIGNALLED,
	CONSOLE_FAILED, /* standard output */
	CONSOLE_TAKEN,	/* a pipe has input, but somebody else types */
};

struct console_session {
	struct cli *cli;
	const char *name;
	int fd;
	int escape; /* -1: none */
	struct terminal terminal;
	/* As vm.console answered, then as events say. */
	const char *vm, *device; /* borrowed */
	uint64_t session;
	bool writes;
	char writer[128]; /* "": nobody */
	bool events;	  /* they come */
	bool input_open;
	bool escaped;	    /* the next character is for us */
	bool warned;	    /* that nothing typed arrives */
	char pending[1024]; /* typed, not yet taken by the guest */
	size_t n_pending;
};

/* Wait for something to happen, and do it. */
enum console_ending console_session_step(struct console_session *s);

/* A line of ours between the guest's; on a terminal only. */
void console_say(struct console_session *s, const char *fmt, ...)
	printf_like(2, 3);

#endif
