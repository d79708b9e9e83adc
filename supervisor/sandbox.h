/*
 * The one door a supervisor locks behind itself, before it reads a byte from
 * anybody: everything it works with later arrives as descriptors over the
 * control socket, so there is nothing left to open.
 *
 * Started as root, in this order:
 *   1. limits: no core file (it would hold guest memory), bounded descriptors
 *      and threads
 *   2. own mount, network, IPC and UTS namespaces; the root is an empty
 *      read-only tmpfs. No pid namespace: the daemon tracks the process by a
 *      pidfd it must be able to name.
 *   3. no capabilities: bounding and ambient sets emptied, supplementary
 *      groups dropped, uid and gid of this VM alone
 *   4. not dumpable, no_new_privs, and the system call filter of seccomp.h
 *
 * A hypervisor whose own libraries have to be used needs more (struct
 * sandbox_needs): its files in the root, some capabilities, its system calls.
 * The rest goes all the same.
 *
 * Every step that fails is an error, never skipped. Started by another user
 * (development), steps 2 and 3 are not possible: they are left out with a
 * logged note, the rest is the same.
 *
 * Thread: before any other thread exists.
 */
#ifndef SUPERVISOR_SANDBOX_H
#define SUPERVISOR_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/seccomp.h"

/* What is left to a supervisor besides; constant. With it the uid stays root's,
 * to whom the files below belong, without root's capabilities. */
struct sandbox_needs {
	/* Files and folders bound into the empty root, which has to be able to
	 * write to them; those that do not exist are left out. Ends with NULL.
	 */
	const char *const *paths;
	uint64_t capabilities; /* a bit for each */
	bool network;	       /* the host's network namespace */
	/* System calls, with any arguments. */
	const int *calls;
	size_t n_calls;
};

struct sandbox_params {
	const char *vm; /* for log lines */
	uid_t uid;	/* becomes uid and gid; not 0 when started as root */
	enum seccomp_mode seccomp;
	const struct sandbox_needs *needs; /* NULL: none */
};

int sandbox_enter(const struct sandbox_params *params,
		  struct error *e) must_check;

#endif
