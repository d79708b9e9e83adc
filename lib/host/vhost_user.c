#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/host/vhost_user_internal.h"

static struct vhost_user *of(struct vhost *v)
{
	return container_of(v, struct vhost_user, vhost);
}

static int start_locked(struct vhost_user *u, const struct vhost_setup *s,
			struct error *e)
{
	uint64_t features = s->features;
	int r;

	if (u->lost)
		return vhost_user_lost_error(u, e);
	for (unsigned i = 0; i < s->n_regions; i++)
		if (s->regions[i].fd < 0)
			return error_set(e, -EINVAL,
					 "%s: guest memory is not shared; use "
					 "memory_backing memfd",
					 u->name);
	vhost_user_begin(u);
	if (u->has_protocol)
		features |= VHOST_USER_F_PROTOCOL_FEATURES;
	r = vhost_user_send_u64(u, VHOST_USER_SET_FEATURES, features);
	if (!r)
		r = vhost_user_send_memory(u, s);
	u->n_rings = s->n_rings;
	for (unsigned i = 0; i < s->n_rings; i++) {
		u->ready[i] = s->rings[i].ready;
		if (!r && u->ready[i])
			r = vhost_user_send_ring(u, i, &s->rings[i]);
	}
	return r ? vhost_user_lost_error(u, e) : 0;
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

	if (vhost_user_ask(u, &m, sizeof(reply.state), &reply) != 0)
		return;
	if (reply.state.index == i && reply.state.num <= UINT16_MAX) {
		*ret_next = (uint16_t)reply.state.num;
		return;
	}
	r = error_set(&e, -EPROTO, "asked for ring %u, it tells of %u at %u", i,
		      reply.state.index, reply.state.num);
	vhost_user_lose(u, r, &e);
}

static void user_stop(struct vhost *v, uint16_t ret_next[VHOST_RINGS_MAX])
{
	struct vhost_user *u = of(v);

	pthread_mutex_lock(&u->lock);
	vhost_user_begin(u);
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
	vhost_user_begin(u);
	r = vhost_user_send_file(u, VHOST_USER_SET_VRING_CALL, ring, fd);
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
		(void)vhost_user_lost_error(u, &e);
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
		vhost_user_lose(u, error_set(&e, -EPROTO, "it speaks unasked"),
				&e);
	else if (r == 0 || (errno != EAGAIN && errno != EINTR))
		vhost_user_lose(
			u, error_set(&e, -EPIPE, "it closed the connection"),
			&e);
	pthread_mutex_unlock(&u->lock);
	tell(u);
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
	r = vhost_user_handshake(u, e);
	if (r) {
		user_free(&u->vhost);
		return r;
	}
	/* Cannot fail: the callback is not NULL. */
	(void)uv_poll_start(&u->poll, UV_READABLE, on_readable);
	*ret = &u->vhost;
	return 0;
}
