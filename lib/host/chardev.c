#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "lib/base/buf.h"
#include "lib/base/fd.h"
#include "lib/host/chardev.h"

#define CHUNK_BYTES	4096
#define CHUNKS_PER_TURN 64 /* one scrollback's worth for each reader */
#define INPUTS_PER_TURN 8

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
	int log_fd;
	uint64_t log_pos;
	unsigned handles; /* of the loop, closing ones included */
};

static void on_poll(uv_poll_t *poll, int status, int events);

/* The last handle of the loop to close takes the memory with it. */
static void handle_closed(struct chardev *c)
{
	if (--c->handles > 0)
		return;
	ring_done(&c->scrollback);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void on_async_closed(uv_handle_t *handle)
{
	handle_closed(
		container_of((uv_async_t *)handle, struct chardev, async));
}

static void on_reader_closed(uv_handle_t *handle)
{
	struct reader *r = container_of((uv_poll_t *)handle, struct reader,
					poll);

	handle_closed(r->chardev);
	free(r);
}

static void detach(struct reader *r)
{
	struct reader **at = &r->chardev->readers;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	r->chardev->n_readers--;
	uv_close((uv_handle_t *)&r->poll, on_reader_closed);
	r->fd = fd_close(r->fd);
}

/* Bytes from *pos, which is moved past them, or forward to what is left. */
static size_t take_output(struct chardev *c, uint64_t *pos, char *buf)
{
	size_t n;

	pthread_mutex_lock(&c->lock);
	n = ring_read(&c->scrollback, pos, buf, CHUNK_BYTES);
	pthread_mutex_unlock(&c->lock);
	return n;
}

static uint64_t output_end(struct chardev *c)
{
	uint64_t end;

	pthread_mutex_lock(&c->lock);
	end = c->scrollback.written;
	pthread_mutex_unlock(&c->lock);
	return end;
}

static void write_log(struct chardev *c)
{
	char buf[CHUNK_BYTES];
	size_t n;

	if (c->log_fd < 0)
		return;
	for (int i = 0; i < CHUNKS_PER_TURN; i++) {
		n = take_output(c, &c->log_pos, buf);
		/* A full disk costs the log its lines, not the guest. */
		if (n == 0 || fd_write_full(c->log_fd, buf, n) < 0)
			break;
	}
	if (c->log_pos < output_end(c))
		uv_async_send(&c->async);
}

/* Send what the peer takes; whether some is left for it. */
static bool send_output(struct reader *r)
{
	char buf[CHUNK_BYTES];
	uint64_t pos;
	ssize_t sent;
	size_t n;

	for (int i = 0; i < CHUNKS_PER_TURN && !r->deaf; i++) {
		pos = r->pos;
		n = take_output(r->chardev, &pos, buf);
		if (n == 0)
			return false;
		sent = send(r->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		r->deaf = sent < 0 && errno != EAGAIN && errno != EINTR;
		r->pos = pos - n + (uint64_t)MAX(sent, 0);
		if (sent < (ssize_t)n)
			break;
	}
	return !r->deaf;
}

/* How much input is wanted now. Without a guest it is read and dropped. */
static size_t input_room(const struct chardev *c)
{
	return c->guest ? c->guest->can_receive(c->cookie) : CHUNK_BYTES;
}

/* Whether the reader is still attached. */
static bool read_input(struct reader *r)
{
	struct chardev *c = r->chardev;
	uint8_t buf[CHUNK_BYTES];
	size_t room;
	ssize_t n;

	for (int i = 0; i < INPUTS_PER_TURN; i++) {
		room = MIN(input_room(c), sizeof(buf));
		if (room == 0)
			return true;
		n = recv(r->fd, buf, room, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0) {
			detach(r);
			return false;
		}
		if (c->guest)
			c->guest->receive(c->cookie, buf, (size_t)n);
	}
	return true;
}

/* Move what can be moved, then wait for what cannot. */
static void serve(struct reader *r)
{
	int wanted = send_output(r) ? UV_WRITABLE : 0;

	if (!read_input(r))
		return;
	if (input_room(r->chardev) > 0)
		wanted |= UV_READABLE;
	else if (!r->hung)
		wanted |= UV_DISCONNECT;
	if (wanted == r->polled)
		return;
	if (wanted == 0)
		uv_poll_stop(&r->poll);
	else if (uv_poll_start(&r->poll, wanted, on_poll) < 0) {
		detach(r);
		return;
	}
	r->polled = wanted;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct reader *r = container_of(poll, struct reader, poll);

	/* libuv stops polling when it reports an error. */
	if (status < 0)
		r->polled = 0;
	if (status < 0 || (events & UV_DISCONNECT))
		r->hung = true;
	serve(r);
}

static void tell_opened(struct chardev *c)
{
	unsigned opens;
	bool open;

	pthread_mutex_lock(&c->lock);
	opens = c->opens;
	open = c->open;
	pthread_mutex_unlock(&c->lock);
	if (c->peer_open && (!open || opens != c->peer_opens)) {
		c->peer_open = false;
		c->peer->opened(c->peer_cookie, false);
	}
	c->peer_opens = opens;
	if (c->peer && open && !c->peer_open) {
		c->peer_open = true;
		c->peer->opened(c->peer_cookie, true);
	}
}

static void serve_peer(struct chardev *c)
{
	char buf[CHUNK_BYTES];
	size_t n;

	if (c->peer)
		tell_opened(c);
	for (int i = 0; c->peer && i < CHUNKS_PER_TURN; i++) {
		n = take_output(c, &c->peer_pos, buf);
		if (n == 0)
			return;
		c->peer->output(c->peer_cookie, (uint8_t *)buf, n);
	}
	if (c->peer)
		uv_async_send(&c->async);
}

static void on_async(uv_async_t *async)
{
	struct chardev *c = container_of(async, struct chardev, async);
	struct reader *next;

	write_log(c);
	serve_peer(c);
	for (struct reader *r = c->readers; r; r = next) {
		next = r->next;
		serve(r);
	}
}

int chardev_new(uv_loop_t *loop, struct chardev **ret)
{
	struct chardev *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->log_fd = -1;
	r = ring_init(&c->scrollback, CHARDEV_SCROLLBACK_BYTES);
	if (r == 0)
		r = uv_async_init(loop, &c->async, on_async);
	if (r < 0) {
		ring_done(&c->scrollback);
		free(c);
		return r;
	}
	pthread_mutex_init(&c->lock, NULL);
	c->handles = 1;
	*ret = c;
	return 0;
}

struct chardev *chardev_free(struct chardev *c)
{
	if (!c)
		return NULL;
	c->guest = NULL;
	c->peer = NULL;
	write_log(c);
	while (c->readers) {
		send_output(c->readers);
		detach(c->readers);
	}
	c->log_fd = fd_close(c->log_fd);
	uv_close((uv_handle_t *)&c->async, on_async_closed);
	return NULL;
}

void chardev_set_guest(struct chardev *c, const struct chardev_guest *guest,
		       void *cookie)
{
	c->guest = guest;
	c->cookie = cookie;
	uv_async_send(&c->async);
}

void chardev_guest_ready(struct chardev *c)
{
	uv_async_send(&c->async);
}

void chardev_write(struct chardev *c, const uint8_t *data, size_t size)
{
	pthread_mutex_lock(&c->lock);
	ring_write(&c->scrollback, data, size);
	pthread_mutex_unlock(&c->lock);
	uv_async_send(&c->async);
}

void chardev_guest_open(struct chardev *c, bool open)
{
	pthread_mutex_lock(&c->lock);
	c->opens += open && !c->open;
	c->open = open;
	pthread_mutex_unlock(&c->lock);
	uv_async_send(&c->async);
}

void chardev_set_peer(struct chardev *c, const struct chardev_peer *peer,
		      void *cookie)
{
	c->peer = peer;
	c->peer_cookie = cookie;
	c->peer_pos = output_end(c);
	c->peer_open = false;
	uv_async_send(&c->async);
}

size_t chardev_input(struct chardev *c, const uint8_t *data, size_t size)
{
	size_t n = c->guest ? MIN(c->guest->can_receive(c->cookie), size) : 0;

	if (n > 0)
		c->guest->receive(c->cookie, data, n);
	return n;
}

static int check_socket(int fd, struct error *e)
{
	socklen_t size = sizeof(int);
	int type = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return error_set(e, -errno, "console: %s", strerror(errno));
	if (type != SOCK_STREAM)
		return error_set(e, -EPROTOTYPE,
				 "console: the socket is not a stream");
	return 0;
}

/* Those whose peer has left go first when the room is needed. */
static int make_room(struct chardev *c, struct error *e)
{
	struct reader *r = c->readers;

	if (c->n_readers < CHARDEV_READERS_MAX)
		return 0;
	while (r && !r->hung)
		r = r->next;
	if (!r)
		return error_set(e, -EBUSY,
				 "console: %d are attached already; close one",
				 CHARDEV_READERS_MAX);
	detach(r);
	return 0;
}

int chardev_attach(struct chardev *c, int fd, struct error *e)
{
	_cleanup_close_ int owned = fd;
	_cleanup_free_ struct reader *reader = NULL;
	int r = check_socket(fd, e);

	if (r == 0)
		r = make_room(c, e);
	if (r < 0)
		return r;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return error_set(e, -ENOMEM, "console: out of memory");
	r = uv_poll_init(c->async.loop, &reader->poll, fd);
	if (r < 0)
		return error_set(e, r, "console: %s", uv_strerror(r));
	c->handles++;
	c->n_readers++;
	reader->chardev = c;
	reader->fd = TAKE_FD(owned);
	reader->next = c->readers;
	c->readers = reader;
	serve(TAKE_PTR(reader));
	return 0;
}

void chardev_set_log(struct chardev *c, int fd)
{
	fd_close(c->log_fd);
	c->log_fd = fd;
	c->log_pos = output_end(c);
}
