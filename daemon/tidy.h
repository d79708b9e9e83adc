/*
 * What an earlier daemon's sudden end left lying about: control sockets of
 * supervisors whose start was never recorded, and directories of VMs whose
 * deletion was. And the check of a large database, for which no start waits.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_TIDY_H
#define DAEMON_TIDY_H

#include "daemon/manager.h"

struct tidy;

/* After running VMs were taken over, before there are clients: the sockets at
 * once, the directories a few at a time from the loop. */
void tidy_begin(struct manager *m);
void tidy_stop(struct manager *m);

#endif
