/*
 * The log of a VM's console on disk (lib/wire/console_log.h): made and read by
 * the daemon, written by the supervisor. It outlives the run, and goes with the
 * definition.
 */
#ifndef DAEMON_VM_LOG_H
#define DAEMON_VM_LOG_H

#include "daemon/resource.h"
#include "lib/wire/console_log.h"

#define VM_LOG_NAME(part) "console." #part ".log"
/* Most bytes of the guest's in one reply. */
#define VM_LOG_PAGE KIB(64)

/* What each part may have, 0 when the configuration says no. */
uint64_t vm_log_part_bytes(const struct vm *vm);

/* Adds both parts. A log that cannot be had is said, and hinders no start. */
void vm_log_open(struct vm *vm, struct resources *res);

struct vm_log_query {
	int64_t position; /* to read from; 0: what the others say */
	bool since_boot;
	uint32_t lines; /* the last ones only; 0: all */
};

struct vm_log_page {
	uint64_t from, next; /* positions of what was read, and of what follows
			      */
	uint64_t end;	     /* of the log */
	uint64_t lost;	     /* bytes before `from` that were asked for and are
			      * no longer there */
	char *data;	     /* next - from bytes; owned */
};

/* At most VM_LOG_PAGE bytes; no bytes when there is no log. */
int vm_log_read(struct vm *vm, const struct vm_log_query *q,
		struct vm_log_page *ret, struct error *e) must_check;

#endif
