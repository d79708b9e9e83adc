/*
 * Where a guest's finished variable update becomes durable, before the guest
 * may go on (DESIGN.md's promise: nothing acknowledged is ever lost).
 *
 *  1. While a daemon is connected the update is sent to it and counts as
 *     durable when the daemon acknowledges its sequence number.
 *  2. While none is, it is appended to the spill file (fdatasync).
 *  3. The two never mix: what goes over the channel after a `hello` is younger
 *     than everything in the spill file, because the daemon replays that file
 *     before it handles a later message. So a full channel is waited for, not
 *     spilled around; and a connection that ends with an update under way
 *     turns that update into a spilled one (replaying it twice is harmless).
 *  4. An update that can be made durable in neither way is retried every
 *     second; the guest stays held.
 *
 * Thread: the loop thread.
 */
#ifndef SUPERVISOR_NVRAM_H
#define SUPERVISOR_NVRAM_H

#include <uv.h>

#include "lib/base/error.h"

#define NVRAM_RETRY_MS 1000
#define NVRAM_SIZE_MAX MIB(64) /* one bank of flash */

struct nvram;

struct nvram_events {
	/* Send an update to the daemon; 0 or -errno. */
	int (*send)(void *cookie, uint64_t seq, uint64_t offset, uint64_t size);
	/* The update under way is durable; called from the loop, never from
	 * inside nvram_commit(). */
	void (*committed)(void *cookie);
};

/*
 * memory_fd (borrowed; a copy is kept) is mapped shared and read-only; its
 * `size` bytes are the variable store. spill_fd is consumed, also on failure.
 * `vm` names the VM in log lines and is borrowed, as is `events`.
 */
int nvram_new(uv_loop_t *loop, int memory_fd, uint64_t size, int spill_fd,
	      const struct nvram_events *events, void *cookie, const char *vm,
	      struct nvram **ret, struct error *e) must_check;
/* An update under way is dropped: it was never acknowledged. */
struct nvram *nvram_free(struct nvram *n);
DEFINE_CLEANUP(nvram_free, struct nvram *)

/* The backend's nvram_commit event: at most one at a time. */
void nvram_commit(struct nvram *n, uint64_t offset, uint64_t size);

/* A daemon said hello: from now on updates go to it. */
void nvram_connected(struct nvram *n);
void nvram_disconnected(struct nvram *n);
/* -EINVAL when `seq` is not the update under way. */
int nvram_ack(struct nvram *n, uint64_t seq, struct error *e) must_check;

/* The shared memory, for a daemon that has lost its own descriptor of it;
 * borrowed. */
int nvram_memory_fd(const struct nvram *n);

/* The size of the spill file: what a daemon has to replay. */
uint64_t nvram_spilled_bytes(const struct nvram *n);

#endif
