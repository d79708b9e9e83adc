/*
 * The other end of a control socket: datagrams with descriptors of all kinds,
 * some messages ready made, so that a run gets somewhere, and the rest as the
 * input has it.
 *
 * A message in the input: 1 byte, bits 0-1 how many descriptors, bits 2-4 the
 * kind of the first, bit 5 a ready one (1 byte which), else text up to a
 * newline. '$' stands for the last number seen or used.
 */
#ifndef TESTS_FUZZ_FUZZ_PEER_H
#define TESTS_FUZZ_FUZZ_PEER_H

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/fd.h"
#include "lib/uefi/varstore.h"
#include "lib/wire/channel.h"
#include "lib/wire/messages.h"
#include "tests/fuzz/fuzz_input.h"

#define FUZZ_PEER_TEXT 4096

struct fuzz_peer {
	int fd; /* -1: not connected */
	int nvram, spill, disk, event;
	int stream[2]; /* the console's client, and what is handed over */
	uint64_t number;
	const char *const *ready;
	size_t n_ready;
	char direction; /* 'D' or 'S': whose messages come back */
};

static inline int fuzz_memfd(const char *name, off_t size, int seals)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	fuzz_check(fd >= 0 && ftruncate(fd, size) == 0);
	fuzz_check(fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static inline void fuzz_peer_init(struct fuzz_peer *p)
{
	p->fd = -1;
	p->nvram = fuzz_memfd("nvram", VARSTORE_SIZE,
			      F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	p->spill = fuzz_memfd("spill", 0, 0);
	p->disk = fuzz_memfd("disk", KIB(64), 0);
	p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fuzz_check(p->event >= 0 &&
		   socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			      p->stream) == 0);
}

static inline void fuzz_peer_done(struct fuzz_peer *p)
{
	const int fds[] = {p->nvram, p->spill,	   p->disk,
			   p->event, p->stream[0], p->stream[1]};

	fd_close(p->fd);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fd_close(fds[i]);
}

static inline int fuzz_peer_kind(const struct fuzz_peer *p, unsigned kind)
{
	const int fds[] = {p->nvram,	 p->spill, p->disk, p->event,
			   p->stream[1], p->disk,  p->spill};

	return fds[kind % ARRAY_SIZE(fds)];
}

/* Listening, abstract: no file is left behind. */
static inline int fuzz_listen(const struct sockaddr_un *addr, socklen_t size)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	fuzz_check(fd >= 0);
	fuzz_check(bind(fd, (const struct sockaddr *)addr, size) == 0);
	fuzz_check(listen(fd, 4) == 0);
	return fd;
}

/* What was said to us: objects of the other side's types. */
static inline void fuzz_peer_read(struct fuzz_peer *p)
{
	static char text[CHANNEL_MESSAGE_MAX + 1];
	int fds[FD_PASS_MAX];
	size_t n_fds;
	ssize_t n;

	while (p->fd >= 0) {
		_cleanup_json_ json_object *message = NULL;
		json_object *value = NULL;

		n_fds = 0;
		n = fd_recv(p->fd, text, sizeof(text), fds, &n_fds);
		if (n <= 0)
			break;
		fd_close_many(fds, n_fds);
		fuzz_check(json_parse(text, (size_t)n, &message, NULL) == 0);
		fuzz_check(json_object_object_get_ex(message, "type", &value));
		fuzz_check(wire_message_direction(wire_message_by_text(
				   json_object_get_string(value))) ==
			   p->direction);
		if (json_object_object_get_ex(message, "id", &value) ||
		    json_object_object_get_ex(message, "seq", &value))
			p->number = json_object_get_uint64(value);
	}
	if (p->fd >= 0 && n == 0)
		p->fd = fd_close(p->fd);
}

/* With '$' replaced; at most FUZZ_PEER_TEXT bytes. */
static inline size_t fuzz_expand(const struct fuzz_peer *p, const char *text,
				 size_t size, char out[FUZZ_PEER_TEXT + 32])
{
	size_t n = 0;

	for (size_t i = 0; i < size && n < FUZZ_PEER_TEXT; i++)
		if (text[i] == '$')
			n += (size_t)sprintf(out + n, "%llu",
					     (unsigned long long)p->number);
		else
			out[n++] = text[i];
	return n;
}

static inline void fuzz_peer_say(struct fuzz_peer *p, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	char out[FUZZ_PEER_TEXT + 32];
	unsigned first = how >> 2 & 7;
	int fds[3] = {fuzz_peer_kind(p, first), fuzz_peer_kind(p, first + 1),
		      fuzz_peer_kind(p, first + 2)};
	const char *text, *end;
	size_t size;

	if (how & 32) {
		text = p->ready[fuzz_u8(in) % p->n_ready];
		size = strlen(text);
	} else {
		end = memchr(in->at, '\n', in->left);
		text = (const char *)fuzz_bytes(
			in,
			end ? (size_t)(end - (const char *)in->at) : in->left,
			&size);
		if (end)
			fuzz_u8(in);
	}
	size = fuzz_expand(p, text, size, out);
	if (p->fd >= 0)
		(void)!fd_send(p->fd, out, size, fds, how & 3);
}

#endif
