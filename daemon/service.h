/*
 * What a daemon does for systemd when it runs as its service: say when it is
 * ready and that it is alive, log to the journal with fields. Nothing where it
 * is not started by systemd.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include <uv.h>

struct service {
	uv_timer_t watchdog;
};

/* Lines of the log go to the journal, with VM=, JOB= and PRIORITY=, when that
 * is where standard error goes. */
void service_log(void);

/* Ready; and keep the watchdog (WatchdogSec=) quiet from the loop. */
void service_ready(struct service *s, uv_loop_t *loop);
/* Stopping; the loop must still run once. */
void service_stopping(struct service *s);

#endif
