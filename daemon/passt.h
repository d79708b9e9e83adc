/*
 * User-mode networking: one passt(1) for each NIC with "user". We make a pair
 * of sockets; passt gets one end, the supervisor the other.
 *
 * passt drops to the VM's uid, into namespaces and a seccomp filter of its own,
 * and goes to the background when it serves: the process we started ends then,
 * and its status says whether it does. From there on nobody watches it: it ends
 * by itself when the supervisor's end of the pair is closed, and its own end is
 * seen by the supervisor ("nic-failed"). So it needs no daemon, and no adoption
 * by the next one.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_PASST_H
#define DAEMON_PASST_H

#include <uv.h>

#include "lib/model/vm_config.h"

struct passt;

struct passt_params {
	uv_loop_t *loop;
	const struct nic_config *nic; /* borrowed during the call */
	uid_t uid;		      /* what it runs as, where we may choose */
};

/* Begins to start one. *ret_fd, owned by the caller, is what speaks to it.
 * -ENOENT, naming the package, when passt is not installed. */
int passt_start(const struct passt_params *params, struct passt **ret,
		int *ret_fd, struct error *e) must_check;

/* `why` is NULL when it serves, else what it said; borrowed. */
typedef void (*passt_done_fn)(void *cookie, const struct error *why);
/* Have `done` called once, at once if it is known. */
void passt_then(struct passt *p, passt_done_fn done, void *cookie);

/* Nobody asks any more. NULL is fine; returns NULL. */
struct passt *passt_forget(struct passt *p);

#endif
