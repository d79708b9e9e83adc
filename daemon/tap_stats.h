/*
 * What the kernel counts of a tap.
 *
 * Thread: any.
 */
#ifndef DAEMON_TAP_STATS_H
#define DAEMON_TAP_STATS_H

#include "lib/base/error.h"
#include "lib/model/vm_stats.h"

/* rx and tx of a NIC whose frames the kernel moves, from the tap it names;
 * others are left alone, as is one whose interface is gone or no tap. */
void tap_stats_fill(struct vm_stats *s);

#endif
