/*
 * The stream of frames that passt speaks: its peer writes anything, in any
 * pieces, and reads as it likes. What comes out are the frames that were put
 * in; what goes out are whole frames in order.
 *
 * Input: steps of 1 byte, bits 0-1: 0 the peer writes that many bytes
 * (operand) of what follows, 1 we receive, 2 we send a frame (2 bytes of
 * length), 3 the peer reads (2 bytes of how much).
 */
#include <endian.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/host/netdev.h"
#include "lib/host/netdev_stream.h"
#include "tests/fuzz/fuzz_input.h"

struct fixture {
	struct netdev_stream *s;
	int fds[2];
	/* What the peer wrote and we have not received, and is no frame. */
	uint8_t wrote[4096];
	size_t n_wrote, at;
	bool broken;
	/* Of what the peer reads: within a frame, and its fill. */
	uint8_t length[4];
	size_t n_length, left;
	uint8_t sent, seen;
};

static uint8_t buffer[NETDEV_HEADER_BYTES + NETDEV_FRAME_MAX + 1];

static void peer_writes(struct fixture *f, struct fuzz_input *in)
{
	size_t n = 0;
	const uint8_t *bytes = fuzz_bytes(in, fuzz_u8(in), &n);
	ssize_t sent;

	if (f->n_wrote + n > sizeof(f->wrote))
		return;
	sent = n ? send(f->fds[1], bytes, n, MSG_DONTWAIT) : 0;
	if (sent > 0) {
		memcpy(f->wrote + f->n_wrote, bytes, (size_t)sent);
		f->n_wrote += (size_t)sent;
	}
}

/* What the reference makes of it: a frame, -EAGAIN or -EPROTO. */
static ssize_t expected(struct fixture *f)
{
	size_t have = f->n_wrote - f->at;
	uint32_t length;

	if (have < 4)
		return -EAGAIN;
	memcpy(&length, f->wrote + f->at, 4);
	length = be32toh(length);
	if (length == 0 || length > NETDEV_FRAME_MAX)
		return -EPROTO;
	return have - 4 < length ? -EAGAIN : (ssize_t)length;
}

static void receive(struct fixture *f)
{
	const struct iovec iov[] = {{buffer, 20},
				    {buffer + 20, sizeof(buffer) - 20}};
	ssize_t want = expected(f), n = netdev_stream_recv(f->s, iov, 2);

	if (want < 0) {
		fuzz_check(n == want);
		return;
	}
	fuzz_check(n == NETDEV_HEADER_BYTES + want);
	fuzz_check(memcmp(buffer + NETDEV_HEADER_BYTES, f->wrote + f->at + 4,
			  (size_t)want) == 0);
	f->at += 4 + (size_t)want;
}

static void transmit(struct fixture *f, struct fuzz_input *in)
{
	size_t bytes = fuzz_u16(in);
	const struct iovec iov[] = {{buffer, NETDEV_HEADER_BYTES},
				    {buffer + NETDEV_HEADER_BYTES, bytes}};
	ssize_t n;

	memset(buffer, f->sent, sizeof(buffer));
	n = netdev_stream_send(f->s, iov, 2);
	if (bytes == 0)
		fuzz_check(n == -EINVAL);
	else
		fuzz_check(n == -EAGAIN ||
			   n == (ssize_t)(NETDEV_HEADER_BYTES + bytes));
	f->sent += n > 0;
	if (bytes & 1)
		(void)!netdev_stream_flush(f->s);
}

static void judge(struct fixture *f, const uint8_t *at, size_t n)
{
	while (n > 0) {
		size_t part = f->left ? MIN(f->left, n) : 1;

		if (f->left) {
			for (size_t i = 0; i < part; i++)
				fuzz_check(at[i] == f->seen);
			f->left -= part;
			f->seen += f->left == 0;
		} else {
			f->length[f->n_length++] = *at;
		}
		if (f->n_length == 4) {
			uint32_t length;

			memcpy(&length, f->length, 4);
			f->left = be32toh(length);
			f->n_length = 0;
			fuzz_check(f->left > 0 && f->left <= NETDEV_FRAME_MAX);
		}
		at += part;
		n -= part;
	}
}

static bool peer_reads(struct fixture *f, size_t size)
{
	ssize_t n = recv(f->fds[1], buffer, MIN(size, sizeof(buffer)),
			 MSG_DONTWAIT);

	if (n > 0)
		judge(f, buffer, (size_t)n);
	return n > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fixture f = {0};

	fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f.fds) ==
		   0);
	f.s = netdev_stream_new(f.fds[0]);
	while (fuzz_more(&in)) {
		switch (fuzz_u8(&in) & 3) {
		case 0:
			peer_writes(&f, &in);
			break;
		case 1:
			receive(&f);
			break;
		case 2:
			transmit(&f, &in);
			break;
		default:
			(void)peer_reads(&f, fuzz_u16(&in));
			break;
		}
	}
	while (netdev_stream_flush(f.s) == -EAGAIN || peer_reads(&f, SIZE_MAX))
		(void)peer_reads(&f, SIZE_MAX);
	fuzz_check(f.left == 0 && f.n_length == 0 && f.seen == f.sent);
	netdev_stream_free(f.s);
	fd_close(f.fds[0]);
	fd_close(f.fds[1]);
	return 0;
}
