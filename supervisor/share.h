/*
 * What becomes the server of a shared folder (virtiofsd): started by the
 * daemon like a supervisor, it prepares what the server cannot do itself, and
 * turns into it.
 *
 * Thread: the process has one.
 */
#ifndef SUPERVISOR_SHARE_H
#define SUPERVISOR_SHARE_H

#include <stdbool.h>

struct share_params {
	const char *path;    /* of the folder */
	const char *program; /* the server's */
	bool readonly; /* nothing in it can be written, whatever it does */
	int fd;	       /* a listening socket, for its vhost-user */
};

/* Returns only when it fails: an exit status, after a line of log. */
int share_run(const struct share_params *params);

#endif
