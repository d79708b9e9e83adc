#include <fcntl.h>
#include <sys/socket.h>

#include "lib/wire/channel.h"
#include "lib/wire/messages.h"

/* Datagrams per wakeup: a talkative peer must not starve the others. */
#define READS_PER_WAKEUP 16
/* Rounds of them for a peer that takes nothing more. */
#define LAST_ROUNDS 16

struct outgoing {
	struct outgoing *next;
	size_t size, n_fds;
	int fds[FD_PASS_MAX];
	char text[];
};

/*
 * Invariants: 1. the queue is empty unless the socket refused a message, and
 * then writability is polled; 2. after `ended` no datagram is read or sent and
 * closed() has been or is being called; 3. after `freed` no callback is made.
 */
struct channel {
	uv_poll_t poll;
	int fd;
	int polled; /* UV_* events asked for; 0: stopped */
	const struct channel_events *events;
	void *cookie;
	struct outgoing *first, **last;
	size_t queued;
	bool ended, freed;
	bool waiting; /* for channel_resume(); nothing is read */
	char buffer[CHANNEL_MESSAGE_MAX];
};

static void outgoing_free(struct outgoing *o)
{
	fd_close_many(o->fds, o->n_fds);
	free(o);
}

static void drop_first(struct channel *c)
{
	struct outgoing *o = c->first;

	c->first = o->next;
	if (!c->first)
		c->last = &c->first;
	c->queued--;
	outgoing_free(o);
}

static void drop_queue(struct channel *c)
{
	while (c->first)
		drop_first(c);
}

static void end(struct channel *c, const struct error *why)
{
	c->ended = true;
	uv_poll_stop(&c->poll);
	drop_queue(c);
	c->events->closed(c->cookie, why);
}

static void end_protocol(struct channel *c, const char *what)
{
	struct error why;

	error_set_code(&why, ERROR_BAD_REQUEST, "the peer sent %s", what);
	end(c, &why);
}

static void end_errno(struct channel *c, int err)
{
	struct error why;

	if (err == -ECONNRESET || err == -EPIPE)
		error_set(&why, -ECONNRESET, "the peer closed the connection");
	else
		error_set(&why, err, "the connection failed: %s",
			  strerror(-err));
	end(c, &why);
}

/* NULL, or what is wrong with the message. */
static const char *message_fault(json_object *message, size_t n_fds)
{
	enum wire_message type;
	json_object *text;

	if (!json_object_is_type(message, json_type_object))
		return "a message that is not an object";
	if (!json_object_object_get_ex(message, "type", &text) ||
	    !json_object_is_type(text, json_type_string))
		return "a message without a type";
	type = wire_message_by_text(json_object_get_string(text));
	if (type == WIRE_MESSAGE_COUNT)
		return "a message of unknown type";
	if (n_fds > wire_message_fds_max(type))
		return "descriptors that the message does not take";
	return NULL;
}

static void handle_datagram(struct channel *c, size_t size, int *fds,
			    size_t n_fds)
{
	_cleanup_json_ json_object *message = NULL;
	const char *fault;

	if (json_parse(c->buffer, size, &message, NULL) < 0)
		fault = "a message that is not JSON";
	else
		fault = message_fault(message, n_fds);
	if (fault)
		end_protocol(c, fault);
	else
		c->events->message(c->cookie, message, fds, n_fds);
	fd_close_many(fds, n_fds);
}

/* One datagram; whether to go on reading. */
static bool read_one(struct channel *c)
{
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n;

	n = fd_recv(c->fd, c->buffer, sizeof(c->buffer), fds, &n_fds);
	if (n == -EAGAIN)
		return false;
	/*
	 * The peer closed without reading all of ours. That comes once, ahead
	 * of what the peer had sent before: its last words still count.
	 */
	if (n == -ECONNRESET)
		return true;
	if (n == -EMSGSIZE)
		end_protocol(c, "a message that is too large");
	else if (n < 0)
		end_errno(c, (int)n);
	else if (n == 0)
		end_errno(c, -ECONNRESET);
	else
		handle_datagram(c, (size_t)n, fds, n_fds);
	return !c->ended && !c->freed;
}

static bool may_read(struct channel *c)
{
	if (!c->waiting && c->events->ready)
		c->waiting = !c->events->ready(c->cookie);
	return !c->waiting;
}

/* How many were read, at most READS_PER_WAKEUP. */
static int read_some(struct channel *c)
{
	int n = 0;

	while (n < READS_PER_WAKEUP && may_read(c) && read_one(c))
		n++;
	return n;
}

static int send_outgoing(struct channel *c, const struct outgoing *o)
{
	ssize_t n = fd_send(c->fd, o->text, o->size, o->fds, o->n_fds);

	return n < 0 ? (int)n : 0;
}

/* 0 when all is sent, -EAGAIN when the socket is full again, -errno. */
static int flush(struct channel *c)
{
	int r = 0;

	while (c->first && r == 0) {
		r = send_outgoing(c, c->first);
		if (r == 0)
			drop_first(c);
	}
	return r;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static int update_poll(struct channel *c)
{
	int wanted = (c->waiting ? 0 : UV_READABLE) |
		     (c->first ? UV_WRITABLE : 0);
	int r = 0;

	if (c->polled != wanted)
		r = uv_poll_start(&c->poll, wanted, on_poll);
	if (r == 0)
		c->polled = wanted;
	return r;
}

/* The peer takes nothing more; what it sent before may still say why. */
static void end_after_last_words(struct channel *c, int err)
{
	for (int i = 0; i < LAST_ROUNDS; i++)
		if (read_some(c) < READS_PER_WAKEUP)
			break;
	if (!c->ended && !c->freed)
		end_errno(c, err);
}

/* A peer that has gone may have left its last words, which are not read yet. */
static void failed(struct channel *c, int err)
{
	if (!c->waiting) {
		end_after_last_words(c, err);
		return;
	}
	uv_poll_stop(&c->poll);
	c->polled = 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct channel *c = container_of(poll, struct channel, poll);
	int n = 0, r;

	/* libuv stops polling on an error, which is read like a datagram. */
	if (status < 0)
		c->polled = 0;
	if (status < 0 || (events & UV_READABLE))
		n = read_some(c);
	if (c->ended || c->freed)
		return;
	r = status < 0 && n == 0 ? status : flush(c);
	if (r == 0 || r == -EAGAIN)
		r = update_poll(c);
	if (r < 0)
		failed(c, r);
}

void channel_resume(struct channel *c)
{
	if (!c->waiting || c->ended || c->freed)
		return;
	c->waiting = false;
	on_poll(&c->poll, 0, UV_READABLE);
}

static int check_socket(int fd)
{
	socklen_t size = sizeof(int);
	int type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return -errno;
	return type == SOCK_SEQPACKET ? fd_set_nonblock(fd) : -EPROTOTYPE;
}

int channel_new(uv_loop_t *loop, int fd, const struct channel_events *events,
		void *cookie, struct channel **ret)
{
	_cleanup_close_ int owned = fd;
	_cleanup_free_ struct channel *c = NULL;
	int r = check_socket(fd);

	if (r < 0)
		return r;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->events = events;
	c->cookie = cookie;
	c->last = &c->first;
	r = uv_poll_init(loop, &c->poll, fd);
	if (r < 0)
		return r;
	c->fd = TAKE_FD(owned);
	r = update_poll(c);
	if (r < 0) {
		/* The loop knows the handle: it goes the long way. */
		channel_free(TAKE_PTR(c));
		return r;
	}
	*ret = TAKE_PTR(c);
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)handle, struct channel, poll));
}

struct channel *channel_free(struct channel *c)
{
	if (!c)
		return NULL;
	c->freed = true;
	drop_queue(c);
	uv_close((uv_handle_t *)&c->poll, on_closed);
	c->fd = fd_close(c->fd);
	return NULL;
}

static int enqueue(struct channel *c, const char *text, size_t size,
		   const int *fds, size_t n_fds)
{
	struct outgoing *o;

	if (c->queued == CHANNEL_QUEUE_MAX)
		return -ENOBUFS;
	o = calloc(1, sizeof(*o) + size);
	if (!o)
		return -ENOMEM;
	memcpy(o->text, text, size);
	o->size = size;
	for (; o->n_fds < n_fds; o->n_fds++) {
		int copy = fcntl(fds[o->n_fds], F_DUPFD_CLOEXEC, 0);

		if (copy < 0) {
			int r = -errno;

			outgoing_free(o);
			return r;
		}
		o->fds[o->n_fds] = copy;
	}
	*c->last = o;
	c->last = &o->next;
	c->queued++;
	return update_poll(c);
}

int channel_send(struct channel *c, json_object *message, const int *fds,
		 size_t n_fds)
{
	_cleanup_json_ json_object *owned = message;
	const char *text = json_text(owned);
	size_t size;

	if (c->ended)
		return -EPIPE;
	if (n_fds > FD_PASS_MAX)
		return -E2BIG;
	if (!text)
		return -ENOMEM;
	size = strlen(text);
	if (size > CHANNEL_MESSAGE_MAX)
		return -EMSGSIZE;
	/* A socket that fails is queued for too: the loop then ends it. */
	if (!c->first && fd_send(c->fd, text, size, fds, n_fds) >= 0)
		return 0;
	return enqueue(c, text, size, fds, n_fds);
}
