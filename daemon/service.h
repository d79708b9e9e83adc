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

/*
 * The descriptor store (sd_pid_notify_with_fds(3), FileDescriptorStoreMax=):
 * systemd has a copy of a descriptor under a name, for the next daemon, until
 * it is dropped. Names have no colons.
 */
void service_keep(const char *name, int fd);
void service_drop(const char *name);

/* What an earlier daemon has left there. */
struct service_kept {
	int n;
	char **names; /* of descriptors from SD_LISTEN_FDS_START on */
};
void service_kept_load(struct service_kept *ret);
/* Owned by the caller, once; -1 when there is none of that name. */
int service_kept_take(struct service_kept *kept, const char *name);
/* Those that begin so and were not taken are dropped, and all is forgotten. */
void service_kept_done(struct service_kept *kept, const char *prefix);

#endif
