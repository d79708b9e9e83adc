/*
 * What the kernel counts of a tap.
 *
 * Thread: any.
 */
#ifndef DAEMON_TAP_STATS_H
#define DAEMON_TAP_STATS_H

#include "lib/base/io_stats.h"

/* What the guest received and sent, from the tap its NIC is behind. Left alone
 * when there is no interface of that name, or it is no tap. */
void tap_stats_read(const char *tap, struct io_flow_stats *rx,
		    struct io_flow_stats *tx);

#endif
