/*
 * A terminal lent to a guest: raw mode, given back on every way out, also by
 * signals (which are taken over a descriptor while it is raw).
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <signal.h>
#include <stdbool.h>
#include <termios.h>

#include "lib/base/error.h"

struct terminal {
	bool raw; /* false: standard input is no terminal, nothing was done */
	struct termios before;
	sigset_t mask_before;
	int signal_fd; /* readable when a signal wants to end us */
};

/* Standard input; nothing else is changed. */
int terminal_open(struct terminal *ret, struct error *e) must_check;
void terminal_close(struct terminal *t);
/* Close and die of the signal that came, as if it had not been caught. */
void terminal_die(struct terminal *t);

#endif
