/* The per-VM series of the Prometheus text (daemon/metrics.c). */
#ifndef DAEMON_METRICS_VM_H
#define DAEMON_METRICS_VM_H

#include <stdio.h>

#include "daemon/vm_stats.h"

/* # HELP and # TYPE of what follows. */
void metrics_head(FILE *out, const char *name, const char *type,
		  const char *help);

/* Of those rows that were answered. Names and ids are letters, digits and
 * "._-", devices also have blanks and parentheses: nothing to escape. */
void metrics_write_vms(FILE *out, const struct vm_stats_row *rows, size_t n);

#endif
