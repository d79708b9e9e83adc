/*
 * Between the vCPU thread that finished an update of the variable store and
 * the loop thread that has it made durable: ranges wait here, merged, and at
 * most one is under way. Each added range holds the run gate until the commit
 * that contains it has ended.
 *
 * Thread: nvram_commits_add from any; the rest on the loop thread.
 */
#ifndef VMM_KVM_NVRAM_COMMITS_H
#define VMM_KVM_NVRAM_COMMITS_H

#include "vmm-kvm/run_gate.h"

struct nvram_range {
	uint64_t offset, size; /* size 0: nothing */
	uint64_t ticket;       /* the last hold in it */
};

struct nvram_commits {
	struct run_gate *gate; /* borrowed */
	pthread_mutex_t lock;
	struct nvram_range waiting, under_way;
};

void nvram_commits_init(struct nvram_commits *c, struct run_gate *gate);
void nvram_commits_done(struct nvram_commits *c);

/* offset + size does not overflow. */
void nvram_commits_add(struct nvram_commits *c, uint64_t offset, uint64_t size);

/* True if a commit is to be started now; then it is under way. */
bool nvram_commits_next(struct nvram_commits *c, uint64_t *ret_offset,
			uint64_t *ret_size);
/* It ended; ignored when none is under way. */
void nvram_commits_end(struct nvram_commits *c);
/* Something waits or is under way. */
bool nvram_commits_busy(struct nvram_commits *c);

#endif
