#include <string.h>

#include "lib/host/vhost_user_internal.h"

#define PROTOCOL_FEATURES \
	(VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_REPLY_ACK)

void vhost_user_begin(struct vhost_user *u)
{
	u->deadline = vhost_user_deadline(u->params.deadline_ms);
}

/* What it has missed or spoilt cannot be mended. */
int vhost_user_lose(struct vhost_user *u, int r, const struct error *why)
{
	if (u->lost)
		return r;
	u->lost = true;
	u->error = *why;
	uv_async_send(&u->wake);
	return r;
}

int vhost_user_lost_error(const struct vhost_user *u, struct error *e)
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
	return r ? vhost_user_lose(u, r, &e) : 0;
}

int vhost_user_send_u64(struct vhost_user *u, enum vhost_user_request request,
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

int vhost_user_send_file(struct vhost_user *u, enum vhost_user_request request,
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

static int receive(struct vhost_user *u, enum vhost_user_request request,
		   uint32_t size, union vhost_user_payload *ret)
{
	struct error e = ERROR_INIT;
	int r = vhost_user_receive(u->params.fd, request, size, ret,
				   u->deadline, &e);

	return r ? vhost_user_lose(u, r, &e) : 0;
}

int vhost_user_ask(struct vhost_user *u, struct vhost_user_message *m,
		   uint32_t size, union vhost_user_payload *ret)
{
	int r = send_message(u, m);

	return r ? r : receive(u, m->request, size, ret);
}

static int ask_u64(struct vhost_user *u, enum vhost_user_request request,
		   uint64_t *ret)
{
	struct vhost_user_message m = {.request = request};
	union vhost_user_payload reply;
	int r = vhost_user_ask(u, &m, sizeof(reply.u64), &reply);

	if (!r)
		*ret = reply.u64;
	return r;
}

int vhost_user_send_memory(struct vhost_user *u, const struct vhost_setup *s)
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

int vhost_user_send_ring(struct vhost_user *u, unsigned index,
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
		r = vhost_user_send_file(u, VHOST_USER_SET_VRING_ERR, index,
					 ring->error_fd);
	if (!r)
		r = vhost_user_send_file(u, VHOST_USER_SET_VRING_CALL, index,
					 ring->call_fd);
	if (!r)
		r = vhost_user_send_file(u, VHOST_USER_SET_VRING_KICK, index,
					 ring->kick_fd);
	/* Without such features a ring is enabled from the start. */
	if (!r && u->has_protocol)
		r = send_state(u, VHOST_USER_SET_VRING_ENABLE, index, 1, true);
	return r;
}

static int check_rings(struct vhost_user *u, struct error *e)
{
	uint64_t n;
	int r;

	if (!(u->protocol & VHOST_USER_PROTOCOL_F_MQ))
		return 0;
	r = ask_u64(u, VHOST_USER_GET_QUEUE_NUM, &n);
	if (r)
		return vhost_user_lost_error(u, e);
	if (n >= u->params.n_rings)
		return 0;
	return error_set(e, -EOPNOTSUPP,
			 "%s: it serves %llu queues; %u are asked for", u->name,
			 (unsigned long long)n, u->params.n_rings);
}

static int get_features(struct vhost_user *u, uint64_t *ret)
{
	union vhost_user_payload reply;
	int r;

	if (!u->params.knocked)
		return ask_u64(u, VHOST_USER_GET_FEATURES, ret);
	r = receive(u, VHOST_USER_GET_FEATURES, sizeof(reply.u64), &reply);
	if (!r)
		*ret = reply.u64;
	return r;
}

int vhost_user_handshake(struct vhost_user *u, struct error *e)
{
	struct vhost_user_message owner = {.request = VHOST_USER_SET_OWNER};
	uint64_t features = 0, protocol = 0;
	int r;

	u->deadline = vhost_user_deadline(u->params.open_ms);
	r = get_features(u, &features);
	if (!r && (features & VHOST_USER_F_PROTOCOL_FEATURES)) {
		u->has_protocol = true;
		r = ask_u64(u, VHOST_USER_GET_PROTOCOL_FEATURES, &protocol);
		protocol &= PROTOCOL_FEATURES;
		if (!r)
			r = vhost_user_send_u64(
				u, VHOST_USER_SET_PROTOCOL_FEATURES, protocol);
		u->protocol = protocol;
	}
	if (!r)
		r = send_message(u, &owner);
	if (r)
		return vhost_user_lost_error(u, e);
	u->vhost.features = features & ~VHOST_USER_F_PROTOCOL_FEATURES;
	return check_rings(u, e);
}
