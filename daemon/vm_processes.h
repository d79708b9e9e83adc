/*
 * The processes that serve a VM beside its supervisor: virtiofsd for folders,
 * passt for network interfaces with "user". Both end with their sockets, so
 * nobody records them; who wants them all together looks for them.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_VM_PROCESSES_H
#define DAEMON_VM_PROCESSES_H

#include "daemon/vm.h"

/* Each NIC one and each folder two (virtiofsd forks into its sandbox). */
#define VM_PROCESSES_MAX (VM_NICS_MAX + 2 * VM_FILESYSTEMS_MAX)

/*
 * Up to VM_PROCESSES_MAX pids; how many. passt is known by its uid, which is
 * the VM's; virtiofsd by being this daemon's child, so an earlier daemon's is
 * not found.
 */
size_t vm_processes(const struct vm *vm, pid_t *ret);

/* Whether there are any, to spare the search. */
bool vm_is_served(const struct vm_config *c);

#endif
