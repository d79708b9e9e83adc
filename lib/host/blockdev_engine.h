/*
 * Inside blockdev: what its two engines, io_uring and the thread pool, share.
 * Nobody else includes this.
 *
 * A request is on exactly one of: the queue of its blockdev (accepted, not
 * started), its engine (started). blockdev_request_done() ends it.
 * Thread: loop thread, but for the engine's own workers.
 */
#ifndef LIB_HOST_BLOCKDEV_ENGINE_H
#define LIB_HOST_BLOCKDEV_ENGINE_H

#include <pthread.h>

#include "lib/host/blockdev.h"
#include "lib/host/io_ring.h"

enum blockdev_op {
	BLOCKDEV_READ,
	BLOCKDEV_WRITE,
	BLOCKDEV_FLUSH,
	BLOCKDEV_DISCARD,
	BLOCKDEV_ZERO, /* its iov holds the zeroes, for when it must write */
	BLOCKDEV_FAIL, /* asks nothing of the file; ends with `result` */
};

struct blockdev_request {
	struct blockdev *dev;
	struct blockdev_request *next;
	enum blockdev_op op;
	struct iovec *iov; /* what remains to be moved */
	int n_iov;
	int fallocate_mode; /* of BLOCKDEV_DISCARD and BLOCKDEV_ZERO */
	uint64_t offset, remaining;
	int result;
	/* As it was asked for: `op` and `remaining` change. */
	struct io_op_stats *stats;
	uint64_t bytes, asked_ns;
	blockdev_done_fn done;
	void *cookie;
	struct io_ring_op op_in_ring; /* io_uring's */
	struct iovec storage[];
};

struct blockdev_engine {
	/* -errno when the host does not offer it; the pool is always there. */
	int (*open)(struct blockdev *b);
	/* Take requests from the queue while there is room, and start them. */
	void (*start)(struct blockdev *b);
	/* Wait until at least one started request has ended, and end it. */
	void (*wait)(struct blockdev *b);
	/* Nothing is started any more. */
	void (*close)(struct blockdev *b);
};

extern const struct blockdev_engine blockdev_uring;
extern const struct blockdev_engine blockdev_pool;

struct blockdev {
	uv_loop_t *loop;
	int fd;
	bool readonly, closing;
	uint64_t size_bytes; /* whole sectors */
	struct blockdev_request *queue, **queue_end;
	unsigned accepted; /* queued or started */
	struct blockdev_stats stats;
	const struct blockdev_engine *engine; /* NULL before the first one */
	struct io_ring *ring;		      /* io_uring's */
	unsigned in_ring;
	struct io_ring_op in_ring_later; /* starts what waits */
	struct {			 /* the thread pool's */
		pthread_mutex_t lock;
		pthread_cond_t executed;
		struct blockdev_job *jobs;
		unsigned n_jobs;
	} pool;
};

/* The first queued request, or NULL. */
struct blockdev_request *blockdev_dequeue(struct blockdev *b);
/* Back to the head of the queue. */
void blockdev_requeue(struct blockdev *b, struct blockdev_request *r);
/*
 * `moved` bytes (>= 0) or -errno came back for a read or write. Returns true
 * when the request is complete, with its result set; else it has been advanced
 * and has to be started again.
 */
bool blockdev_request_advance(struct blockdev_request *r, ssize_t moved);
/* The same for what fallocate() said to a discard or zero. */
bool blockdev_request_allocated(struct blockdev_request *r, int result);
/* Calls done with r->result and frees r. */
void blockdev_request_done(struct blockdev_request *r);

#endif
