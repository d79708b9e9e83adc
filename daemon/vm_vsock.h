/*
 * Sockets between host and guest: the guest's context id, and the kernel's end.
 */
#ifndef DAEMON_VM_VSOCK_H
#define DAEMON_VM_VSOCK_H

#include "daemon/vm.h"

/* In a definition that asks for one ("auto"): `previous` if it has one, else
 * one that no VM has. */
int vm_vsock_choose(struct manager *m, struct vm_config *c, uint32_t previous,
		    struct error *e) must_check;

/*
 * /dev/vhost-vsock with that context id, for a supervisor to use and not to
 * change. -ENODEV without the module; -EBUSY when the id is in use on this host
 * by someone who is none of our VMs.
 */
int vm_vsock_open(const struct vm_config *c, int *ret,
		  struct error *e) must_check;

#endif
