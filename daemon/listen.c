#include "daemon/listen.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "lib/base/fd.h"

/* What systemd listens on for us, or -1. */
static int inherited(const char *path)
{
	int n = sd_listen_fds(0);

	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++)
		if (sd_is_socket_unix(fd, SOCK_STREAM, 1, path, 0) > 0)
			return fd;
	return -1;
}

int listen_unix(const char *path, int *ret, struct error *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = inherited(path);

	if (fd >= 0) {
		*ret = TAKE_FD(fd);
		return 0;
	}
	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set(e, -ENAMETOOLONG,
				 "socket path %s is longer than %zu bytes; "
				 "choose a shorter --runtime-dir",
				 path, sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(e, -errno, "cannot make a socket: %m");
	/* Ours by the store's lock: what is left here is a dead daemon's. */
	unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chmod(path, 0666) < 0 || listen(fd, SOMAXCONN) < 0)
		return error_set(e, -errno, "cannot listen on %s: %m", path);
	*ret = TAKE_FD(fd);
	return 0;
}

/* "[::1]:8443" and "127.0.0.1:8443" in two. */
static int split(const char *where, char *host, size_t size,
		 const char **ret_port, struct error *e)
{
	const char *colon = strrchr(where, ':');
	size_t n = colon ? (size_t)(colon - where) : 0;
	bool brackets = n > 2 && *where == '[' && where[n - 1] == ']';

	if (n == 0 || n - 2 * brackets >= size || !colon[1] ||
	    (!brackets && memchr(where, ':', n)))
		return error_set(e, -EINVAL,
				 "\"%s\" is no address to listen on; use e.g. "
				 "192.0.2.1:8443 or [2001:db8::1]:8443",
				 where);
	snprintf(host, size, "%.*s", (int)(n - 2 * brackets), where + brackets);
	*ret_port = colon + 1;
	return 0;
}

int listen_tcp(const char *where, int *ret, struct error *e)
{
	static const struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found = NULL;
	_cleanup_close_ int fd = -1;
	static const int yes = 1;
	const char *port;
	char host[64];
	int r = split(where, host, sizeof(host), &port, e);

	if (r < 0)
		return r;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return error_set(e, -EINVAL,
				 "\"%s\" is no address to listen on: an "
				 "address and a port, both in numbers",
				 where);
	fd = socket(found->ai_family,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	r = fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 ||
			    listen(fd, SOMAXCONN) < 0
		    ? error_set(e, -errno, "cannot listen on %s: %m", where)
		    : 0;
	freeaddrinfo(found);
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}
