#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/host/chardev_internal.h"

#define CHUNK_BYTES	4096
#define CHUNKS_PER_TURN 64 /* one scrollback's worth for each reader */
#define INPUTS_PER_TURN 8

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

void chardev_detach(struct reader *r)
{
	struct reader **at = &r->chardev->readers;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	r->chardev->n_readers--;
	if (r->chardev->writer == r)
		chardev_set_writer(r->chardev, NULL);
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

/* How much input is wanted now. What nobody shall have is read and dropped. */
static size_t input_room(const struct reader *r)
{
	const struct chardev *c = r->chardev;

	return c->guest && r->typing ? c->guest->can_receive(c->cookie)
				     : CHUNK_BYTES;
}

/* Whether the reader is still attached. */
static bool read_input(struct reader *r)
{
	struct chardev *c = r->chardev;
	uint8_t buf[CHUNK_BYTES];
	size_t room;
	ssize_t n;

	for (int i = 0; i < INPUTS_PER_TURN; i++) {
		room = MIN(input_room(r), sizeof(buf));
		if (room == 0)
			return true;
		n = recv(r->fd, buf, room, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0) {
			chardev_detach(r);
			return false;
		}
		if (c->guest && r->typing)
			c->guest->receive(c->cookie, buf, (size_t)n);
	}
	return true;
}

/* Move what can be moved, then wait for what cannot. */
void chardev_serve(struct reader *r)
{
	int wanted = send_output(r) ? UV_WRITABLE : 0;

	if (!read_input(r))
		return;
	if (input_room(r) > 0)
		wanted |= UV_READABLE;
	else if (!r->hung)
		wanted |= UV_DISCONNECT;
	if (wanted == r->polled)
		return;
	if (wanted == 0)
		uv_poll_stop(&r->poll);
	else if (uv_poll_start(&r->poll, wanted, on_poll) < 0) {
		chardev_detach(r);
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
		chardev_left(r);
	chardev_serve(r);
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

void chardev_serve_peer(struct chardev *c)
{
	char buf[CHUNK_BYTES];
	uint64_t before;
	size_t n;

	if (c->peer)
		tell_opened(c);
	for (int i = 0; c->peer && i < CHUNKS_PER_TURN; i++) {
		before = c->peer_pos;
		n = take_output(c, &c->peer_pos, buf);
		if (n == 0)
			return;
		if (c->peer->skipped && c->peer_pos - n > before)
			c->peer->skipped(c->peer_cookie,
					 c->peer_pos - n - before);
		c->peer->output(c->peer_cookie, (uint8_t *)buf, n);
	}
	if (c->peer)
		uv_async_send(&c->async);
}

static void on_async(uv_async_t *async)
{
	struct chardev *c = container_of(async, struct chardev, async);
	struct reader *next;

	chardev_serve_peer(c);
	for (struct reader *r = c->readers; r; r = next) {
		next = r->next;
		chardev_serve(r);
	}
}

int chardev_new(uv_loop_t *loop, struct chardev **ret)
{
	struct chardev *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
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
	c->writer_changed = NULL;
	while (c->readers) {
		send_output(c->readers);
		chardev_detach(c->readers);
	}
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
