/*
 * Shared by the two files of a console's host end: how bytes move (chardev.c)
 * and who is attached and may type (chardev_seats.c). Nobody else includes it.
 */
#ifndef LIB_HOST_CHARDEV_INTERNAL_H
#define LIB_HOST_CHARDEV_INTERNAL_H

#include <pthread.h>

#include "lib/base/buf.h"
#include "lib/host/chardev.h"

/*
 * An attached console. It stays until its input is read to the end, so what a
 * script typed before it left still reaches a guest that is slow to take it.
 */
struct reader {
	struct reader *next;
	struct chardev *chardev;
	uv_poll_t poll;
	int fd;
	int polled;   /* UV_* events asked for; 0: stopped */
	uint64_t pos; /* in the scrollback: next byte to send */
	bool deaf;    /* takes no more output */
	bool hung;    /* the peer left while the guest took no input */
	bool typing;  /* what it sends is input */
	uint64_t session;
	char who[CHARDEV_WHO_MAX];
};

/* Only the first members are shared between threads, guarded by `lock`. */
struct chardev {
	pthread_mutex_t lock;
	struct ring scrollback;
	unsigned opens; /* by the guest, ever */
	bool open;
	uv_async_t async;
	struct reader *readers;
	size_t n_readers;
	const struct chardev_guest *guest;
	void *cookie;
	const struct chardev_peer *peer;
	void *peer_cookie;
	uint64_t peer_pos;
	unsigned peer_opens; /* that it was told of */
	bool peer_open;
	/* Who may type; NULL: nobody has asked since the last one left. One
	 * that has left may still have input on its way, so `typing` stays. */
	struct reader *writer;
	uint64_t last_session;
	chardev_writer_fn *writer_changed;
	void *writer_cookie;
	unsigned handles; /* of the loop, closing ones included */
};

/* chardev.c: move what can be moved, then wait for what cannot. */
void chardev_serve(struct reader *r);
/* Frees it, at the loop's next turn. */
void chardev_detach(struct reader *r);

/* chardev_seats.c; r may be NULL. */
void chardev_set_writer(struct chardev *c, struct reader *r);
/* Its peer has gone; what it sent is still input. */
void chardev_left(struct reader *r);

#endif
