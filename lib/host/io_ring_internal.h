/*
 * Inside the ring: what io_ring.c (operations) and io_ring_loop.c (how the loop
 * comes to them, and the ring's life) share. Nobody else includes it.
 */
#ifndef LIB_HOST_IO_RING_INTERNAL_H
#define LIB_HOST_IO_RING_INTERNAL_H

#include <liburing.h>

#include "lib/host/io_ring.h"

struct io_ring_list {
	struct io_ring_op *first, **end;
	unsigned n;
};

struct io_ring {
	uv_loop_t *loop;
	struct io_uring ring;
	unsigned refs;
	bool waits;    /* the loop waits in the ring */
	bool closing;  /* nobody uses it any more */
	bool skips;    /* the kernel can leave successes untold */
	int signalled; /* eventfd of the last signal prepared; -1: none */
	/* Whose done() is due; for the latter in the next round. */
	struct io_ring_list ended, later;
	struct io_ring_op loop_op; /* polls the loop's own descriptors */
	bool loop_ready;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle; /* active: libuv does not wait */
	uv_poll_t poll;
	uv_timer_t again;
	unsigned open_handles;
};

/* Is there a done() to be called? */
bool io_ring_due(const struct io_ring *g);
/* Call those that are due until now, not what comes of it; whether any was. */
bool io_ring_run_due(struct io_ring *g);
/* Take what has ended; no system call. */
void io_ring_reap(struct io_ring *g);
/* Hand over what is prepared, wait up to timeout_ms (-1: for ever, 0: not at
 * all) until something has ended, and take that. */
void io_ring_enter(struct io_ring *g, int timeout_ms);

#endif
