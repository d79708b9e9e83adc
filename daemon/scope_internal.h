/*
 * What scope.c and scope_join.c share; nobody else includes it.
 */
#ifndef DAEMON_SCOPE_INTERNAL_H
#define DAEMON_SCOPE_INTERNAL_H

#include "daemon/scope.h"

#define SYSTEMD		  "org.freedesktop.systemd1"
#define SYSTEMD_PATH	  "/org/freedesktop/systemd1"
#define SYSTEMD_INTERFACE "org.freedesktop.systemd1.Manager"
#define SCOPE_UNIT_SIZE	  64

/* Of a VM whose supervisor runs. One run, one unit: the last run's may not be
 * gone yet. */
void scope_unit_name(const struct vm *vm, char ret[SCOPE_UNIT_SIZE]);

#endif
