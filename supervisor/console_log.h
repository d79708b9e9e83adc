/*
 * The guest's console into the two parts of its log (lib/wire/console_log.h).
 *
 * A guest that prints without end costs its host no more than the two parts,
 * and CONSOLE_LOG_RATE: what is more is left out, and a line in the log says
 * how much. When a part cannot be written (a full disk), output is left out,
 * too, the owner is told once, and every CONSOLE_LOG_RETRY_MS output is tried
 * again.
 *
 * Thread: the loop thread.
 */
#ifndef SUPERVISOR_CONSOLE_LOG_H
#define SUPERVISOR_CONSOLE_LOG_H

#include "lib/host/chardev.h"
#include "lib/wire/console_log.h"

#define CONSOLE_LOG_RATE     KIB(256) /* bytes a second, on average */
#define CONSOLE_LOG_BURST    MIB(1)
#define CONSOLE_LOG_RETRY_MS 5000

struct console_log;

struct console_log_params {
	struct chardev *console;    /* becomes its peer; borrowed */
	int fds[CONSOLE_LOG_PARTS]; /* consumed, also on failure */
	uint64_t part_bytes;
	/* The guest runs already: no boot begins here, and what it printed
	 * last is put into the console's scrollback. */
	bool goes_on;
	/* It stopped, or goes on: a sentence for people. */
	void (*event)(void *cookie, const char *detail);
	void *cookie;
	uint64_t (*now_ms)(void *cookie); /* a clock that only moves forward */
};

/*
 * Goes on behind what is there, and marks it as the beginning of a boot. Files
 * that cannot be written are no failure: the log then begins later. -EINVAL
 * for a part_bytes out of bounds.
 */
int console_log_new(const struct console_log_params *params,
		    struct console_log **ret, struct error *e) must_check;

/* The console has been printed up to here by the boot before. */
void console_log_boot(struct console_log *l);

/* Writes what the console still holds; the console must still be there. */
struct console_log *console_log_free(struct console_log *l);
DEFINE_CLEANUP(console_log_free, struct console_log *)

#endif
