/*
 * Running VMs as machines of systemd-machined, so that machinectl(1) lists
 * them, powers them off and terminates them. A VM is registered once it has its
 * scope, with its supervisor as the leader; its end is the scope's. Where
 * machined is not installed nothing happens and nothing is missing.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_MACHINE_H
#define DAEMON_MACHINE_H

#include "daemon/dbus.h"
#include "daemon/manager.h"

struct machines;

int machines_new(struct manager *m, struct machines **ret,
		 struct error *e) must_check;
struct machines *machines_free(struct machines *s);

/* Its supervisor runs and is in its scope. Asking twice does no harm. */
void machines_add(struct machines *s, struct vm *vm);

/* A VM's name as machined takes one (hostname(7)): '_' is none, and neither is
 * a '.' or '-' at the end of a label. `ret` has room for 65 bytes. */
void machine_name(const char *vm, char *ret);

#endif
