/*
 * libxl's descriptors and timers on a libuv loop (libxl_event.h, "OS event
 * handling"): libxl registers what it waits for, and is told when it happened.
 *
 * Descriptors stand in an epoll set of our own, of which libuv watches the one
 * descriptor: libuv would set O_NONBLOCK on each, which libxenstore does not
 * expect of its socket, and knows no two watchers of one.
 *
 * Order: xl_loop_new, xl_loop_watch, ... the context is freed ...,
 * xl_loop_free. Thread: the loop thread.
 */
#ifndef VMM_XEN_XL_LOOP_H
#define VMM_XEN_XL_LOOP_H

#include <uv.h>

#include "lib/base/error.h"
#include "vmm-xen/xl_calls.h"

struct xl_loop;

int xl_loop_new(uv_loop_t *loop, struct xl_loop **ret,
		struct error *e) must_check;
/* Hand the hooks to a context, once for each. */
void xl_loop_watch(struct xl_loop *l, libxl_ctx *ctx);
/* The context must be gone. Memory goes at the loop's next turns. */
struct xl_loop *xl_loop_free(struct xl_loop *l);

/* What libxl is given, for tests; `user` is the xl_loop. */
extern const libxl_osevent_hooks xl_loop_hooks;

#endif
