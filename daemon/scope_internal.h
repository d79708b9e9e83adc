/*
 * What scope.c, scope_join.c and scope_left.c share; nobody else includes it.
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

struct scope_left;

/* Joins m->dbus: looks for scopes that an earlier daemon left behind, whenever
 * it is connected. NULL is fine to free; the loop releases the memory. */
int scope_left_new(struct manager *m, struct scope_left **ret,
		   struct error *e) must_check;
void scope_left_free(struct scope_left *l);

#endif
