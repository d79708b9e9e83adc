/* What `armvmctl stats` prints; cli/stats.c asks for it. */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include "cli/cli.h"
#include "lib/model/vm_stats.h"

/*
 * Every counter of `now` becomes what was added since `before`; a device that
 * was not there then keeps its own. Gauges (memory, in flight) stay.
 */
void stats_since(struct vm_stats *now, const struct vm_stats *before);

/* A VM as stats shows it (`vm`, borrowed) with its decoded statistics. With
 * `seconds` they are of that time, and shown per second; else of all time. */
void stats_print(json_object *vm, const struct vm_stats *s, double seconds);

#endif
