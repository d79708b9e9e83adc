/*
 * The host end of a serial console: output of the guest goes to a bounded
 * scrollback and to every attached reader; input of one of them, the writer,
 * goes to the guest.
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
#define CHARDEV_WHO_MAX		 128

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
 * readers take at once is still written; the memory goes at the loop's next
 * turns.
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

enum chardev_want {
	CHARDEV_WRITE, /* be the writer if there is none */
	CHARDEV_READ,
	CHARDEV_TAKE_OVER, /* be the writer; who was it reads on */
};

struct chardev_seat {
	const char *who; /* for people: borrowed, copied */
	enum chardev_want want;
	/* Filled: a number of its own, and whether it is the writer now. */
	uint64_t session;
	bool writes;
};

/*
 * Attach a stream socket (consumed, also on failure): it is sent the
 * scrollback, then what follows; what it sends is input while it is the writer,
 * else it is dropped. Detached when the peer closes; no writer follows by
 * itself. Fails with -EBUSY when CHARDEV_READERS_MAX are attached.
 */
int chardev_attach(struct chardev *c, int fd, struct chardev_seat *seat,
		   struct error *e) must_check;

/* Make the session of `who` the writer; -ENOENT when they have none. */
int chardev_take_over(struct chardev *c, uint64_t session, const char *who,
		      struct error *e) must_check;

/* The writer's session, 0 and "" when there is none; borrowed. */
uint64_t chardev_writer(const struct chardev *c, const char **ret_who);

/* Called when that is another: from within chardev_attach() and
 * chardev_take_over(), too, and it may call neither. */
typedef void chardev_writer_fn(void *cookie, struct chardev *c);
void chardev_on_writer(struct chardev *c, chardev_writer_fn *changed,
		       void *cookie);

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
	/* May be NULL: so much was printed that these bytes, which came before
	 * the next `output`, are gone. */
	void (*skipped)(void *cookie, uint64_t size);
};

/* Gets output from now on; NULL detaches. Both borrowed. */
void chardev_set_peer(struct chardev *c, const struct chardev_peer *peer,
		      void *cookie);
/* Input for the guest: returns how much of it its device took. */
size_t chardev_input(struct chardev *c, const uint8_t *data, size_t size);

/* Hand it now what was written up to here. */
void chardev_serve_peer(struct chardev *c);

#endif
