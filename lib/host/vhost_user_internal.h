/*
 * Inside vhost-user: what vhost_user.c (struct vhost_ops, the loop) and
 * vhost_user_talk.c (who says what) share. Nobody else includes it.
 *
 * Thread: with the lock held, but in the handshake.
 */
#ifndef LIB_HOST_VHOST_USER_INTERNAL_H
#define LIB_HOST_VHOST_USER_INTERNAL_H

#include <pthread.h>

#include "lib/host/vhost_user.h"
#include "lib/host/vhost_user_wire.h"

struct vhost_user {
	struct vhost vhost;
	/* A stop may come on a vCPU's thread: whoever reads from the socket
	 * holds it. Never while the owner is called. */
	pthread_mutex_t lock;
	struct vhost_user_params params;
	char name[64];
	uint64_t protocol;  /* features agreed on */
	bool has_protocol;  /* it has such features */
	uint64_t deadline;  /* of the exchange under way */
	struct error error; /* why it is lost */
	bool lost, told;
	bool ready[VHOST_RINGS_MAX]; /* of what is started */
	unsigned n_rings;
	uv_poll_t poll;
	uv_async_t wake; /* lost on another thread: tell it on the loop */
	unsigned open_handles;
};

/* An exchange begins: its deadline. */
void vhost_user_begin(struct vhost_user *u);
/* What it has missed or spoilt cannot be mended: every later exchange fails
 * with the first error. Returns `r`. */
int vhost_user_lose(struct vhost_user *u, int r, const struct error *why);
int vhost_user_lost_error(const struct vhost_user *u, struct error *e);

/* -errno: it is lost now. */
int vhost_user_send_u64(struct vhost_user *u, enum vhost_user_request request,
			uint64_t value) must_check;
int vhost_user_send_file(struct vhost_user *u, enum vhost_user_request request,
			 unsigned index, int fd) must_check;
int vhost_user_send_memory(struct vhost_user *u,
			   const struct vhost_setup *s) must_check;
int vhost_user_send_ring(struct vhost_user *u, unsigned index,
			 const struct vhost_ring *ring) must_check;
int vhost_user_ask(struct vhost_user *u, struct vhost_user_message *m,
		   uint32_t size, union vhost_user_payload *ret) must_check;

/* What it can do, and what both have agreed on. */
int vhost_user_handshake(struct vhost_user *u, struct error *e) must_check;

#endif
