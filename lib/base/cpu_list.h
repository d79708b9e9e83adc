/*
 * CPUs of the host as Linux writes them (cpuset(7), list format): "0-3,8".
 *
 * Thread: no state.
 */
#ifndef LIB_BASE_CPU_LIST_H
#define LIB_BASE_CPU_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

#define CPU_LIST_MAX 1024 /* CPUs; as many as a cpu_set_t has */

struct cpu_list {
	uint8_t bits[CPU_LIST_MAX / 8]; /* CPU n: bit n % 8 of bits[n / 8] */
};

/* -EINVAL: no list, an empty one, or of CPUs beyond CPU_LIST_MAX. */
int cpu_list_parse(const char *text, struct cpu_list *ret) must_check;
bool cpu_list_has(const struct cpu_list *list, unsigned cpu);

#endif
