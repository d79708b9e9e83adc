/*
 * Somebody who listens where xenstored would, and answers the first question
 * of each connection: for vmm-xen/store_guard.c alone. Until he is killed.
 */
#ifndef TESTS_UNIT_FAKE_XENSTORED_H
#define TESTS_UNIT_FAKE_XENSTORED_H

#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <xen/io/xs_wire.h>

#include "tests/unit/fake_xenstore.h"

#define FAKE_CLIENTS 16

struct fake_xenstored {
	char dir[64];
	int listener, clients[FAKE_CLIENTS];
	unsigned n;
	pthread_t thread;
	bool mute; /* hangs up instead */
};

static struct fake_xenstored xenstored;

static inline void *fake_serve(void *unused)
{
	char question[64];
	const struct xsd_sockmsg answer = {.type = XS_GET_DOMAIN_PATH};
	int fd;

	while ((fd = accept(xenstored.listener, NULL, NULL)) >= 0) {
		if (xenstored.mute || xenstored.n == FAKE_CLIENTS) {
			close(fd);
			continue;
		}
		if (read(fd, question, sizeof(question)) <= 0 ||
		    write(fd, &answer, sizeof(answer)) != sizeof(answer))
			abort();
		xenstored.clients[xenstored.n++] = fd;
	}
	return NULL;
}

/* After fake_begin(), which forgets where. */
static inline void fake_xenstored_begin(bool mute)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	xenstored = (struct fake_xenstored){
		.dir = "/tmp/armvm-xenstored-XXXXXX",
		.mute = mute,
	};
	if (!mkdtemp(xenstored.dir))
		abort();
	snprintf(fake.socket_path, sizeof(fake.socket_path), "%s/socket",
		 xenstored.dir);
	strcpy(addr.sun_path, fake.socket_path);
	xenstored.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(xenstored.listener, (struct sockaddr *)&addr, sizeof(addr)) <
		    0 ||
	    listen(xenstored.listener, 8) < 0 ||
	    pthread_create(&xenstored.thread, NULL, fake_serve, NULL) != 0)
		abort();
}

/* As by SIGKILL: the socket's name stays. */
static inline void fake_xenstored_kill(void)
{
	shutdown(xenstored.listener, SHUT_RDWR);
	pthread_join(xenstored.thread, NULL);
	xenstored.listener = fd_close(xenstored.listener);
	while (xenstored.n > 0)
		close(xenstored.clients[--xenstored.n]);
}

static inline void fake_xenstored_end(void)
{
	if (xenstored.listener >= 0)
		fake_xenstored_kill();
	unlink(fake.socket_path);
	rmdir(xenstored.dir);
}

#endif
