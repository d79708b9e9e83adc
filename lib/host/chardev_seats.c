#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/host/chardev_internal.h"

void chardev_set_writer(struct chardev *c, struct reader *r)
{
	if (c->writer == r)
		return;
	/* One that left types on what it had sent; one that stays does not. */
	if (c->writer && !c->writer->hung)
		c->writer->typing = false;
	c->writer = r;
	if (r)
		r->typing = true;
	/* Whether their sockets shall be read has changed. */
	uv_async_send(&c->async);
	if (c->writer_changed)
		c->writer_changed(c->writer_cookie, c);
}

void chardev_left(struct reader *r)
{
	r->hung = true;
	if (r->chardev->writer == r)
		chardev_set_writer(r->chardev, NULL);
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
	chardev_detach(r);
	return 0;
}

/* Its hangup may not have been told yet: scripts come and go quickly. */
static bool writer_has_left(const struct chardev *c)
{
	struct pollfd p = {.fd = c->writer->fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1 &&
	       (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void seat_reader(struct reader *r, struct chardev_seat *seat)
{
	struct chardev *c = r->chardev;

	if (c->writer && writer_has_left(c))
		chardev_left(c->writer);
	if (seat->want == CHARDEV_TAKE_OVER ||
	    (seat->want == CHARDEV_WRITE && !c->writer))
		chardev_set_writer(c, r);
	seat->session = r->session;
	seat->writes = c->writer == r;
}

int chardev_attach(struct chardev *c, int fd, struct chardev_seat *seat,
		   struct error *e)
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
	reader->session = ++c->last_session;
	snprintf(reader->who, sizeof(reader->who), "%s", seat->who);
	reader->next = c->readers;
	c->readers = reader;
	seat_reader(reader, seat);
	chardev_serve(TAKE_PTR(reader));
	return 0;
}

int chardev_take_over(struct chardev *c, uint64_t session, const char *who,
		      struct error *e)
{
	struct reader *r = c->readers;

	while (r && (r->session != session || !streq(r->who, who) || r->hung))
		r = r->next;
	if (!r)
		return error_set(e, -ENOENT,
				 "%s has no session %llu at this console", who,
				 (unsigned long long)session);
	chardev_set_writer(c, r);
	return 0;
}

uint64_t chardev_writer(const struct chardev *c, const char **ret_who)
{
	*ret_who = c->writer ? c->writer->who : "";
	return c->writer ? c->writer->session : 0;
}

void chardev_on_writer(struct chardev *c, chardev_writer_fn *changed,
		       void *cookie)
{
	c->writer_changed = changed;
	c->writer_cookie = cookie;
}
