/*
 * The system call filter: an allow-list in which each entry names the code
 * path that needs it. Anything else kills the process.
 *
 * Thread: before any other thread exists, or with all of them (TSYNC).
 */
#ifndef SUPERVISOR_SECCOMP_H
#define SUPERVISOR_SECCOMP_H

#include "lib/base/error.h"

enum seccomp_mode {
	SECCOMP_KILL,	/* what is not listed kills the process */
	SECCOMP_REPORT, /* development: it is allowed and logged by the kernel
			 */
};

/* The caller has set no_new_privs. -errno of libseccomp. */
int seccomp_enter(enum seccomp_mode mode, struct error *e) must_check;

#endif
