#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/host/vhost_user.h"
#include "lib/host/vhost_user_wire.h"

#define PROTOCOL_FEATURES \
	(VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_REPLY_ACK)

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

static struct vhost_user *of(struct vhost *v)
{
	return container_of(v, struct vhost_user, vhost);
}

static void begin(struct vhost_user *u)
{
	u->deadline = vhost_user_deadline(u->params.deadline_ms);
}

/* What it has missed or spoilt cannot be mended. */
static int lose(struct vhost_user *u, int r, const struct error *why)
{
	if (u->lost)
		return r;
	u->lost = true;
	u->error = *why;
	uv_async_send(&u->wake);
	return r;
}

static int lost_error(const struct vhost_user *u, struct error *e)
{
	return error_set(e, -u->error.err, "%s: %s", u->name, u->error.message);
}

static int send_message(struct vhost_user *u, struct vhost_user_message *m)
{
	struct error e = ERROR_INIT;
	union vhost_user_payload reply;
	int r;

	if (u->lost)
		return -u->error.err;
	m->want_ack = m->want_ack &&
		      (u->protocol & VHOST_USER_PROTOCOL_F_REPLY_ACK);
	r = vhost_user_send(u->params.fd, m, u->deadline, &e);
	if (!r && m->want_ack)
		r = vhost_user_receive(u->params.fd, m->request,
				       sizeof(reply.u64), &reply, u->deadline,
				       &e);
	if (!r && m->want_ack && reply.u64)
		r = error_set(&e, -EIO, "request %u was refused", m->request);
	return r ? lose(u, r, &e) : 0;
}

static int send_u64(struct vhost_user *u, enum vhost_user_request request,
		    uint64_t value)
{
	struct vhost_user_message m = {
		.request = request,
		.size = sizeof(value),
		.payload.u64 = value,
	};

	return send_message(u, &m);
}

static int send_state(struct vhost_user *u, enum vhost_user_request request,
		      unsigned index, unsigned num, bool ack)
{
	struct vhost_user_message m = {
		.request = request,
		.want_ack = ack,
		.size = sizeof(m.payload.state),
		.payload.state = {index, num},
	};

	return send_message(u, &m);
}

static int send_file(struct vhost_user *u, enum vhost_user_request request,
		     unsigned index, int fd)
{
	struct vhost_user_message m = {
		.request = request,
		.size = sizeof(m.payload.u64),
		.payload.u64 = index,
		.fds = {fd},
		.n_fds = 1,
	};

	return send_message(u, &m);
}

static int ask(struct vhost_user *u, struct vhost_user_message *m,
	       uint32_t size, union vhost_user_payload *ret)
{
	struct error e = ERROR_INIT;
	int r = send_message(u, m);

	if (r)
		return r;
	r = vhost_user_receive(u->params.fd, m->request, size, ret, u->deadline,
			       &e);
	return r ? lose(u, r, &e) : 0;
}

static int ask_u64(struct vhost_user *u, enum vhost_user_request request,
		   uint64_t *ret)
{
	struct vhost_user_message m = {.request = request};
	union vhost_user_payload reply;
	int r = ask(u, &m, sizeof(reply.u64), &reply);

	if (!r)
		*ret = reply.u64;
	return r;
}

static int send_memory(struct vhost_user *u, const struct vhost_setup *s)
{
	struct vhost_user_message m = {
		.request = VHOST_USER_SET_MEM_TABLE,
		.want_ack = true,
		.payload.memory.count = s->n_regions,
		.n_fds = s->n_regions,
	};

	for (unsigned i = 0; i < s->n_regions; i++) {
		const struct vhost_region *region = &s->regions[i];

		m.payload.memory.regions[i] = (struct vhost_user_region){
			.gpa = region->gpa,
			.size_bytes = region->size_bytes,
			.user_address = (uintptr_t)region->hva,
			.offset = region->fd_offset,
		};
		m.fds[i] = region->fd;
	}
	m.size = (uint32_t)(offsetof(union vhost_user_payload, memory.regions) +
			    s->n_regions * sizeof(struct vhost_user_region));
	return send_message(u, &m);
}

static int send_ring(struct vhost_user *u, unsigned index,
		     const struct vhost_ring *ring)
{
	struct vhost_user_message m = {
		.request = VHOST_USER_SET_VRING_ADDR,
		.size = sizeof(m.payload.address),
		.payload.address = {.index = index,
				    .desc = (uintptr_t)ring->desc,
				    .used = (uintptr_t)ring->used,
				    .avail = (uintptr_t)ring->avail},
	};
	int r = send_state(u, VHOST_USER_SET_VRING_NUM, index, ring->size,
			   false);

	if (!r)
		r = send_state(u, VHOST_USER_SET_VRING_BASE, index, ring->next,
			       false);
	if (!r)
		r = send_message(u, &m);
	if (!r)
		r = send_file(u, VHOST_USER_SET_VRING_ERR, index,
			      ring->error_fd);
	if (!r)
		r = send_file(u, VHOST_USER_SET_VRING_CALL, index,
			      ring->call_fd);
	if (!r)
		r = send_file(u, VHOST_USER_SET_VRING_KICK, index,
			      ring->kick_fd);
	/* Without such features a ring is enabled from the start. */
	if (!r && u->has_protocol)
		r = send_state(u, VHOST_USER_SET_VRING_ENABLE, index, 1, true);
	return r;
}

static int start_locked(struct vhost_user *u, const struct vhost_setup *s,
			struct error *e)
{
	uint64_t features = s->features;
	int r;

	if (u->lost)
		return lost_error(u, e);
	for (unsigned i = 0; i < s->n_regions; i++)
		if (s->regions[i].fd < 0)
			return error_set(e, -EINVAL,
					 "%s: guest memory is not shared; use "
					 "memory_backing memfd",
					 u->name);
	begin(u);
	if (u->has_protocol)
		features |= VHOST_USER_F_PROTOCOL_FEATURES;
	r = send_u64(u, VHOST_USER_SET_FEATURES, features);
	if (!r)
		r = send_memory(u, s);
	u->n_rings = s->n_rings;
	for (unsigned i = 0; i < s->n_rings; i++) {
		u->ready[i] = s->rings[i].ready;
		if (!r && u->ready[i])
			r = send_ring(u, i, &s->rings[i]);
	}
	return r ? lost_error(u, e) : 0;
}

static int user_start(struct vhost *v, const struct vhost_setup *s,
		      struct error *e)
{
	struct vhost_user *u = of(v);
	int r;

	pthread_mutex_lock(&u->lock);
	r = start_locked(u, s, e);
	pthread_mutex_unlock(&u->lock);
	return r;
}

static void stop_ring(struct vhost_user *u, unsigned i, uint16_t *ret_next)
{
	struct vhost_user_message m = {
		.request = VHOST_USER_GET_VRING_BASE,
		.size = sizeof(m.payload.state),
		.payload.state.index = i,
	};
	union vhost_user_payload reply;
	struct error e = ERROR_INIT;
	int r;

	if (ask(u, &m, sizeof(reply.state), &reply) != 0)
		return;
	if (reply.state.index == i && reply.state.num <= UINT16_MAX) {
		*ret_next = (uint16_t)reply.state.num;
		return;
	}
	r = error_set(&e, -EPROTO, "asked for ring %u, it tells of %u at %u", i,
		      reply.state.index, reply.state.num);
	lose(u, r, &e);
}

static void user_stop(struct vhost *v, uint16_t ret_next[VHOST_RINGS_MAX])
{
	struct vhost_user *u = of(v);

	pthread_mutex_lock(&u->lock);
	begin(u);
	for (unsigned i = 0; i < u->n_rings; i++)
		if (u->ready[i])
			stop_ring(u, i, &ret_next[i]);
	u->n_rings = 0;
	pthread_mutex_unlock(&u->lock);
}

static int user_set_call(struct vhost *v, unsigned ring, int fd)
{
	struct vhost_user *u = of(v);
	int r;

	pthread_mutex_lock(&u->lock);
	begin(u);
	r = send_file(u, VHOST_USER_SET_VRING_CALL, ring, fd);
	pthread_mutex_unlock(&u->lock);
	return r;
}

static void on_closed(uv_handle_t *handle)
{
	struct vhost_user *u = handle->data;

	if (--u->open_handles)
		return;
	pthread_mutex_destroy(&u->lock);
	free(u);
}

static void user_free(struct vhost *v)
{
	struct vhost_user *u = of(v);

	u->told = true; /* nobody is there any more */
	uv_close((uv_handle_t *)&u->poll, on_closed);
	uv_close((uv_handle_t *)&u->wake, on_closed);
	u->params.fd = fd_close(u->params.fd);
}

static const struct vhost_ops user_ops = {
	.start = user_start,
	.stop = user_stop,
	.set_call = user_set_call,
	.free = user_free,
};

/* On the loop, whatever found it out. */
static void tell(struct vhost_user *u)
{
	struct error e = ERROR_INIT;
	bool due;

	pthread_mutex_lock(&u->lock);
	due = u->lost && !u->told;
	u->told = u->told || due;
	if (due)
		(void)lost_error(u, &e);
	pthread_mutex_unlock(&u->lock);
	if (!due)
		return;
	uv_poll_stop(&u->poll);
	/* So that it knows, too. Its number stays ours until the end: the loop
	 * knows it. */
	shutdown(u->params.fd, SHUT_RDWR);
	u->params.lost(u->params.cookie, e.message);
}

static void on_wake(uv_async_t *async)
{
	tell(async->data);
}

/* Between exchanges it has nothing to say: that is its end, or nonsense. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct vhost_user *u = poll->data;
	struct error e = ERROR_INIT;
	char byte;
	int r;

	/* An exchange is under way: what came is its reply. */
	if (pthread_mutex_trylock(&u->lock))
		return;
	r = (int)recv(u->params.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (r > 0)
		lose(u, error_set(&e, -EPROTO, "it speaks unasked"), &e);
	else if (r == 0 || (errno != EAGAIN && errno != EINTR))
		lose(u, error_set(&e, -EPIPE, "it closed the connection"), &e);
	pthread_mutex_unlock(&u->lock);
	tell(u);
}

static int check_rings(struct vhost_user *u, struct error *e)
{
	uint64_t n;
	int r;

	if (!(u->protocol & VHOST_USER_PROTOCOL_F_MQ))
		return 0;
	r = ask_u64(u, VHOST_USER_GET_QUEUE_NUM, &n);
	if (r)
		return lost_error(u, e);
	if (n >= u->params.n_rings)
		return 0;
	return error_set(e, -EOPNOTSUPP,
			 "%s: it serves %llu queues; %u are asked for", u->name,
			 (unsigned long long)n, u->params.n_rings);
}

static int handshake(struct vhost_user *u, struct error *e)
{
	struct vhost_user_message owner = {.request = VHOST_USER_SET_OWNER};
	uint64_t features = 0, protocol = 0;
	int r;

	begin(u);
	r = ask_u64(u, VHOST_USER_GET_FEATURES, &features);
	if (!r && (features & VHOST_USER_F_PROTOCOL_FEATURES)) {
		u->has_protocol = true;
		r = ask_u64(u, VHOST_USER_GET_PROTOCOL_FEATURES, &protocol);
		protocol &= PROTOCOL_FEATURES;
		if (!r)
			r = send_u64(u, VHOST_USER_SET_PROTOCOL_FEATURES,
				     protocol);
		u->protocol = protocol;
	}
	if (!r)
		r = send_message(u, &owner);
	if (r)
		return lost_error(u, e);
	u->vhost.features = features & ~VHOST_USER_F_PROTOCOL_FEATURES;
	return check_rings(u, e);
}

int vhost_user_open(const struct vhost_user_params *p, struct vhost **ret,
		    struct error *e)
{
	_cleanup_close_ int fd = p->fd;
	_cleanup_free_ struct vhost_user *fresh = calloc(1, sizeof(*fresh));
	struct vhost_user *u = fresh;
	int r;

	if (!u)
		return error_set(e, -ENOMEM, "out of memory for %s", p->name);
	u->params = *p;
	snprintf(u->name, sizeof(u->name), "%s", p->name);
	u->vhost.ops = &user_ops;
	r = uv_async_init(p->loop, &u->wake, on_wake);
	if (r < 0)
		return error_set(e, r, "%s: %s", p->name, uv_strerror(r));
	pthread_mutex_init(&u->lock, NULL);
	u->wake.data = u->poll.data = TAKE_PTR(fresh);
	u->open_handles = 1;
	r = uv_poll_init(p->loop, &u->poll, fd);
	if (r < 0) {
		uv_close((uv_handle_t *)&u->wake, on_closed);
		return error_set(e, r, "%s: cannot poll: %s", p->name,
				 uv_strerror(r));
	}
	u->open_handles++;
	u->params.fd = TAKE_FD(fd);
	r = handshake(u, e);
	if (r) {
		user_free(&u->vhost);
		return r;
	}
	/* Cannot fail: the callback is not NULL. */
	(void)uv_poll_start(&u->poll, UV_READABLE, on_readable);
	*ret = &u->vhost;
	return 0;
}
