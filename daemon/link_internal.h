/*
 * Shared by the two files of a supervisor's link: its life once it exists
 * (supervisor_link.c) and how it comes to be (link_start.c).
 */
#ifndef DAEMON_LINK_INTERNAL_H
#define DAEMON_LINK_INTERNAL_H

#include "daemon/supervisor_link.h"

/* Consumes pidfd, also on failure (NULL). */
struct supervisor *link_new(struct vm *vm, pid_t pid, int pidfd, bool is_child,
			    struct error *e);

/* Connect to the control socket; sets s->channel. */
int link_connect(struct supervisor *s, struct error *e) must_check;

/* For the next daemon; dropped when the process has ended. */
void link_keep(const struct supervisor *s);
void link_drop(const struct supervisor *s);

/* Timer callback of s->retry: try link_connect() until it works. */
void link_retry_cb(uv_timer_t *timer);

#endif
