#include "vmm-xen/store_guard.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

#include "lib/base/fd.h"
#include "vmm-xen/xs_calls.h"

/* It answers within a millisecond; the daemon waits 10 s for a probe. */
#define ANSWER_MS 8000

struct store_guard {
	uv_poll_t poll;
	int fd;
	void (*lost)(void *cookie);
	void *cookie;
};

/* A question that reads and changes nothing; what the answer says does not
 * matter. */
static int ask(int fd, const char *path, struct error *e)
{
	const struct xsd_sockmsg header = {
		.type = XS_GET_DOMAIN_PATH,
		.len = sizeof("0"),
	};
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint8_t bytes[sizeof(header) + sizeof("0")];
	ssize_t n;

	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), "0", sizeof("0"));
	n = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
	if (n < 0 && errno == ENOTSOCK)
		n = write(fd, bytes, sizeof(bytes));
	if (n == (ssize_t)sizeof(bytes) && poll(&p, 1, ANSWER_MS) == 0)
		return error_set(e, -ETIMEDOUT,
				 "xenstored does not answer (%s)", path);
	if (n == (ssize_t)sizeof(bytes))
		n = read(fd, bytes, sizeof(bytes));
	if (n <= 0)
		return error_set(e, -ETIMEDOUT,
				 "xenstored does not answer (%s: it hung up)",
				 path);
	return 0;
}

static int cannot_connect(const char *path, struct error *e)
{
	if (errno == EAGAIN)
		return error_set(e, -ETIMEDOUT,
				 "xenstored does not answer (%s)", path);
	if (errno == ECONNREFUSED)
		return error_set(e, -ENODEV,
				 "xenstored is not running (%s: %m)", path);
	return error_set(e, -errno, "xenstored cannot be reached (%s: %m)",
			 path);
}

/* -ENOENT: there is no such socket. It lets few wait at its door, so the next
 * may have to wait for that alone. */
static int open_socket(const char *path, int *ret, struct error *e)
{
	const struct timeval patience = {.tv_sec = ANSWER_MS / 1000};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (!path || strlen(path) >= sizeof(addr.sun_path) ||
	    stat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return -ENOENT;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
				 sizeof(patience)) < 0)
		return error_set(e, -errno, "cannot make a socket: %m");
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return cannot_connect(path, e);
	*ret = TAKE_FD(fd);
	return 0;
}

/* Its device, where xenstore is another domain. */
static int ask_device(struct error *e)
{
	const char *socket_path = xs_api.socket_path();
	const char *path = xs_api.device_path();
	_cleanup_close_ int fd = -1;

	if (!path)
		return 0;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_set(e, errno == ENOENT ? -ENODEV : -errno,
				 "xenstored is not running (there is no %s, "
				 "and %s: %m)",
				 socket_path ? socket_path : "socket", path);
	return ask(fd, path, e);
}

/* Nothing is asked after the first question, so nothing else comes but the
 * rest of its answer. */
static bool has_ended(int fd)
{
	char bytes[64];
	ssize_t n;

	do
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0 || errno != EAGAIN;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct store_guard *g = poll->data;

	if (status >= 0 && !has_ended(g->fd))
		return;
	uv_poll_stop(poll);
	g->lost(g->cookie);
}

static int watch(uv_loop_t *loop, int fd, struct store_guard **ret,
		 struct error *e)
{
	struct store_guard *g = calloc(1, sizeof(*g));
	int r = g ? uv_poll_init(loop, &g->poll, fd) : -ENOMEM;

	if (r < 0) {
		free(g);
		return error_set(e, r, "cannot watch xenstored: %s",
				 strerror(-r));
	}
	g->poll.data = g;
	uv_poll_start(&g->poll, UV_READABLE | UV_DISCONNECT, on_readable);
	*ret = g;
	return 0;
}

int store_guard_open(uv_loop_t *loop, void (*lost)(void *cookie), void *cookie,
		     struct store_guard **ret, struct error *e)
{
	const char *path = xs_api.socket_path();
	_cleanup_close_ int fd = -1;
	struct store_guard *g = NULL;
	int r = open_socket(path, &fd, e);

	if (r == -ENOENT)
		r = ask_device(e);
	else if (r == 0)
		r = ask(fd, path, e);
	if (r == 0 && fd >= 0 && loop)
		r = watch(loop, fd, &g, e);
	if (r < 0)
		return r;
	if (g) {
		g->fd = TAKE_FD(fd);
		g->lost = lost;
		g->cookie = cookie;
	}
	*ret = g;
	return 0;
}

bool store_guard_holds(const struct store_guard *g)
{
	return !g || !has_ended(g->fd);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

struct store_guard *store_guard_free(struct store_guard *g)
{
	if (!g)
		return NULL;
	uv_poll_stop(&g->poll);
	g->fd = fd_close(g->fd);
	uv_close((uv_handle_t *)&g->poll, on_closed);
	return NULL;
}
