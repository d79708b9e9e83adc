/*
 * What running VMs did so far, asked of their supervisors: of one, of a page of
 * them or of all, each asked at the same time, so that a list takes no longer
 * than its slowest VM. What does not answer in time, or not in its table
 * (lib/model/vm_stats.h), is told as such.
 *
 * Thread: the loop thread.
 */
#ifndef DAEMON_VM_STATS_H
#define DAEMON_VM_STATS_H

#include "api/api.h"
#include "daemon/vm.h"
#include "lib/model/vm_stats.h"

/* A VM as it was when it was asked. */
struct vm_stats_row {
	char name[VM_NAME_MAX + 1], uuid[40];
	enum vm_state state;
	uint32_t vcpus;
	uint64_t memory, resident; /* bytes: defined; of its process, now */
	bool answered;		   /* else `error` says why not */
	struct vm_stats stats;
	struct error error;
};

/* `rows` are borrowed, in the order of their names; `more`: there are others
 * behind them. */
typedef void (*vm_stats_fn)(void *cookie, struct vm_stats_row *rows,
			    size_t n_rows, bool more);

struct vm_stats_filter {
	const struct api_identity *who; /* whose labels count */
	json_object *labels;		/* likewise; NULL: any */
	const char *after;		/* names behind this one; NULL: all */
	size_t limit;			/* 0: none */
};

/* `done` is called once, maybe before this returns. -ENOMEM: not at all. */
int vm_stats_of(struct vm *vm, vm_stats_fn done, void *cookie,
		struct error *e) must_check;
int vm_stats_list(struct manager *m, const struct vm_stats_filter *filter,
		  vm_stats_fn done, void *cookie, struct error *e) must_check;

/* As api/api.h documents it, or with "totals" instead of "stats"; owned by the
 * caller. */
json_object *vm_stats_to_json(struct vm_stats_row *row, bool totals);

#endif
