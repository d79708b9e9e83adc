/*
 * The sockets armvmd is reached by: made here, or inherited from systemd
 * (sd_listen_fds(3), recognised by their path).
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include "lib/base/error.h"

/* A listening Unix stream socket that everyone can reach: who may do what is
 * daemon/access.h's affair. The caller owns *ret. */
int listen_unix(const char *path, int *ret, struct error *e) must_check;

/* "ADDRESS:PORT", "[ADDRESS]:PORT"; numbers only, as a name could wait for
 * the network. The caller owns *ret. */
int listen_tcp(const char *where, int *ret, struct error *e) must_check;

#endif
