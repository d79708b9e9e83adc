#include <stdbool.h>
#include <sys/socket.h>

#include "lib/base/log.h"
#include "supervisor/control.h"

static void on_message(void *cookie, json_object *message, int *fds,
		       size_t n_fds)
{
	struct control *c = cookie;

	c->events->message(c->cookie, message, fds, n_fds);
}

static void on_listen(uv_poll_t *poll, int status, int events);

static void on_channel_closed(void *cookie, const struct error *why)
{
	struct control *c = cookie;

	c->events->disconnected(c->cookie, why);
	c->channel = channel_free(c->channel);
	uv_poll_start(&c->poll, UV_READABLE, on_listen);
}

static const struct channel_events channel_events = {
	.message = on_message,
	.closed = on_channel_closed,
};

static bool peer_is_welcome(const struct control *c, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	if (peer.uid == 0 || peer.uid == c->owner)
		return true;
	log_vm(LOG_LEVEL_WARNING, c->vm,
	       "uid %u (pid %d) is not allowed to control this VM",
	       (unsigned)peer.uid, (int)peer.pid);
	return false;
}

static void on_listen(uv_poll_t *poll, int status, int events)
{
	struct control *c = poll->data;
	_cleanup_close_ int fd = -1;
	int r;

	fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || !peer_is_welcome(c, fd))
		return;
	r = channel_new(poll->loop, TAKE_FD(fd), &channel_events, c,
			&c->channel);
	if (r < 0) {
		log_vm(LOG_LEVEL_ERROR, c->vm, "cannot talk to the daemon: %s",
		       strerror(-r));
		return;
	}
	uv_poll_stop(&c->poll);
	c->events->connected(c->cookie);
}

static int check_socket(int fd, struct error *e)
{
	int type = 0, listening = 0;
	socklen_t size = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return error_set(e, -errno, "control descriptor %d: %s", fd,
				 strerror(errno));
	size = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 ||
	    type != SOCK_SEQPACKET || !listening)
		return error_set(e, -EINVAL,
				 "control descriptor %d is no listening "
				 "SEQPACKET socket",
				 fd);
	return fd_set_nonblock(fd);
}

int control_init(struct control *c, uv_loop_t *loop, int listen_fd, uid_t owner,
		 const char *vm, const struct control_events *events,
		 void *cookie, struct error *e)
{
	_cleanup_close_ int fd = listen_fd;
	int r;

	r = check_socket(fd, e);
	if (r < 0)
		return r;
	*c = (struct control){
		.events = events,
		.cookie = cookie,
		.vm = vm,
		.owner = owner,
	};
	r = uv_poll_init(loop, &c->poll, fd);
	if (r < 0)
		return error_set(e, r, "control socket: %s", uv_strerror(r));
	c->listen_fd = TAKE_FD(fd);
	c->poll.data = c;
	uv_poll_start(&c->poll, UV_READABLE, on_listen);
	return 0;
}

void control_done(struct control *c)
{
	c->channel = channel_free(c->channel);
	uv_poll_stop(&c->poll);
	uv_close((uv_handle_t *)&c->poll, NULL);
	c->listen_fd = fd_close(c->listen_fd);
}

int control_send(struct control *c, json_object *message, int fd)
{
	if (!c->channel) {
		json_object_put(message);
		return -ENOTCONN;
	}
	return channel_send(c->channel, message, &fd, fd < 0 ? 0 : 1);
}
