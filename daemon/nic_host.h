/*
 * The host's end of a network interface, opened for a supervisor: queues of a
 * tap, made and joined to a bridge when needed, with vhost-net for each; or a
 * socket to passt. It vanishes with its last descriptor, but for a tap that
 * existed before.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_NIC_HOST_H
#define DAEMON_NIC_HOST_H

#include "daemon/passt.h"
#include "lib/base/fd.h"

struct vm;

/* Zeroed is empty. */
struct nic_host {
	/* Of each queue, then vhost's of each if it has any. */
	struct fd_list fds;
	struct passt *passt; /* NULL but for one with "user" */
};

/* All or nothing. -EBUSY when another running VM has its MAC address. */
int nic_host_open(const struct nic_config *nic, struct vm *vm,
		  struct nic_host *ret, struct error *e) must_check;
/* The taps a running VM has, by the kernel's number; at most VM_NICS_MAX, how
 * many. Taps that were made are known by their name (nic_host_made()). */
size_t nic_host_interfaces(const struct vm *vm, int *ret);
/* Whether a tap of that name is one that was made for this VM. */
bool nic_host_made(const struct vm *vm, const char *tap);

void nic_host_done(struct nic_host *n);
#define _cleanup_nic_host_ _cleanup_(nic_host_done)

#endif
