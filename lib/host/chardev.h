/*
 * The host end of a serial console: output of the guest goes to a bounded
 * scrollback and to every attached reader; input of any attached writer goes
 * to the guest.
 *
 * Thread: chardev_write() (the guest's output) may be called from any thread;
 * everything else from the loop thread that made it. The receive callback runs
 * on the loop thread. A reader that does not read is bounded: it skips output
 * it is too slow for, never delaying the guest.
 *
 * Instead of sockets, the other end may be part of this process (a peer): what
 * speaks to a program in the guest through a named port.
 */
#ifndef LIB_HOST_CHARDEV_H
#define LIB_HOST_CHARDEV_H

#include <stdbool.h>
#include <uv.h>

#include "lib/base/error.h"

#define CHARDEV_SCROLLBACK_BYTES KIB(256)
#define CHARDEV_READERS_MAX	 16

struct chardev;

/*
 * `can_receive` says how many bytes the guest's device takes now, `receive`
 * hands over at most that many. Both on the loop thread, and neither may free
 * the chardev.
 */
struct chardev_guest {
	size_t (*can_receive)(void *cookie);
	void (*receive)(void *cookie, const uint8_t *data, size_t size);
};

int chardev_new(uv_loop_t *loop, struct chardev **ret) must_check;
/*
 * No thread may be in chardev_write() or chardev_guest_ready() any more. What
 * readers and the log take at once is still written; the memory goes at the
 * loop's next turns.
 */
struct chardev *chardev_free(struct chardev *c);
DEFINE_CLEANUP(chardev_free, struct chardev *)

/* The device behind it; NULL detaches: input is dropped. Both borrowed. */
void chardev_set_guest(struct chardev *c, const struct chardev_guest *guest,
		       void *cookie);
/* The device has room again: any thread. */
void chardev_guest_ready(struct chardev *c);
/* Guest output: any thread; waits for nobody but another call of this. */
void chardev_write(struct chardev *c, const uint8_t *data, size_t size);

/*
 * Attach a stream socket (consumed, also on failure): it is sent the
 * scrollback, then what follows; what it sends is input. Detached when the peer
 * closes. Fails with -EBUSY when CHARDEV_READERS_MAX are attached.
 */
int chardev_attach(struct chardev *c, int fd, struct error *e) must_check;

/* Any thread. A program in the guest opened its end, or closed it. */
void chardev_guest_open(struct chardev *c, bool open);

/*
 * The other end in this process, on the loop thread. `output` is what the guest
 * wrote; `opened` follows chardev_guest_open(), a close before each further
 * open. Both may call chardev_input(), neither may free the chardev.
 */
struct chardev_peer {
	void (*output)(void *cookie, const uint8_t *data, size_t size);
	void (*opened)(void *cookie, bool open);
};

/* Gets output from now on; NULL detaches. Both borrowed. */
void chardev_set_peer(struct chardev *c, const struct chardev_peer *peer,
		      void *cookie);
/* Input for the guest: returns how much of it its device took. */
size_t chardev_input(struct chardev *c, const uint8_t *data, size_t size);

/* Also append output from now on to this log file (consumed; O_APPEND; -1 for
 * none), on the loop thread. A failing write loses lines, nothing else. */
void chardev_set_log(struct chardev *c, int fd);

#endif
