/*
 * An eventfd that a loop hears: a guest's doorbell. While the loop has a ring
 * (io_ring.h) it is heard there, which costs no system call of its own and
 * leaves the eventfd's count alone; else libuv polls and empties it.
 *
 * Thread: the loop thread.
 */
#ifndef LIB_HOST_LOOP_EVENT_H
#define LIB_HOST_LOOP_EVENT_H

#include <stdbool.h>
#include <uv.h>

#include "lib/base/error.h"

struct loop_event;

/*
 * `fd`, non-blocking, is borrowed until the free. heard() is called from the
 * loop, once or more often after it was written to, and also when someone else
 * heard it before; it may free the event. Not watched yet. -errno.
 */
int loop_event_new(uv_loop_t *loop, int fd, void (*heard)(void *cookie),
		   void *cookie, struct loop_event **ret) must_check;
/* heard() is not called any more; a handle is closed by the loop. */
struct loop_event *loop_event_free(struct loop_event *e);
/* What was written while it was not watched is heard as soon as it is. */
void loop_event_watch(struct loop_event *e, bool watch);

#endif
