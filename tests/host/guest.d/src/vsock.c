/*
 * vsock connect CID PORT   standard input there, what comes back to standard
 * vsock listen PORT        output; the other waits for one who connects. Each
 *                          ends when both directions have.
 * vsock cid                this machine's own
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

/* Move what is there; 0 at the end. */
static ssize_t move(int from, int to)
{
	static char bytes[65536];
	ssize_t n = read(from, bytes, sizeof(bytes)), at = 0;

	while (at < n) {
		ssize_t done = write(to, bytes + at, (size_t)(n - at));

		if (done < 0)
			return -1;
		at += done;
	}
	return n;
}

static int pump(int fd)
{
	struct pollfd p[2] = {{0, POLLIN, 0}, {fd, POLLIN, 0}};

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		ssize_t n = 1;

		if (poll(p, 2, -1) < 0)
			return fail("poll");
		if (p[0].revents && (n = move(0, fd)) == 0) {
			shutdown(fd, SHUT_WR);
			p[0].fd = -1;
		}
		if (n >= 0 && p[1].revents && (n = move(fd, 1)) == 0)
			p[1].fd = -1;
		if (n < 0)
			return fail("copy");
	}
	return 0;
}

static int cid(void)
{
	int fd = open("/dev/vsock", O_RDONLY);
	unsigned int own;

	if (fd < 0 || ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &own) < 0)
		return fail("/dev/vsock");
	printf("%u\n", own);
	return 0;
}

static int serve(int fd, struct sockaddr_vm *a)
{
	int peer;

	a->svm_cid = VMADDR_CID_ANY;
	if (bind(fd, (struct sockaddr *)a, sizeof(*a)) < 0 || listen(fd, 1) < 0)
		return fail("listen");
	peer = accept(fd, NULL, NULL);
	return peer < 0 ? fail("accept") : pump(peer);
}

int main(int argc, char **argv)
{
	struct sockaddr_vm a = {.svm_family = AF_VSOCK};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (argc == 2 && !strcmp(argv[1], "cid"))
		return cid();
	if (fd < 0)
		return fail("socket");
	if (argc == 3 && !strcmp(argv[1], "listen")) {
		a.svm_port = (unsigned)atoi(argv[2]);
		return serve(fd, &a);
	}
	if (argc != 4 || strcmp(argv[1], "connect")) {
		fprintf(stderr, "vsock connect CID PORT | listen PORT | cid\n");
		return 2;
	}
	a.svm_cid = (unsigned)atoi(argv[2]);
	a.svm_port = (unsigned)atoi(argv[3]);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return fail("connect");
	return pump(fd);
}
