/*
 * A peer that sends any datagrams, with and without descriptors, to the
 * channel of daemon and supervisor. Messages that come out are objects of a
 * known type with no more descriptors than that takes; the end comes once.
 *
 * Input: datagrams, each 1 byte (bits 0-1 descriptors, bit 2 the peer closes
 * afterwards, bit 3 a message is sent to it) and text up to a newline.
 */
#include <sys/socket.h>

#include "lib/wire/channel.h"
#include "lib/wire/messages.h"
#include "tests/fuzz/fuzz_loop.h"

struct fixture {
	struct channel *channel;
	int peer;
	unsigned messages, ends;
};

static void on_message(void *cookie, json_object *message, int *fds,
		       size_t n_fds)
{
	struct fixture *f = cookie;
	enum wire_message type;
	json_object *text;

	fuzz_check(!f->ends);
	fuzz_check(json_object_object_get_ex(message, "type", &text));
	type = wire_message_by_text(json_object_get_string(text));
	fuzz_check(type < WIRE_MESSAGE_COUNT &&
		   n_fds <= wire_message_fds_max(type));
	f->messages++;
}

static void on_closed(void *cookie, const struct error *why)
{
	struct fixture *f = cookie;

	fuzz_check(f->ends++ == 0 && why->err && why->message[0]);
}

static const struct channel_events events = {on_message, on_closed};

static void answer(struct fixture *f)
{
	json_object *message = json_object_new_object();
	int r;

	json_object_object_add(message, "type",
			       json_object_new_string("reply"));
	r = channel_send(f->channel, message, NULL, 0);
	fuzz_check((r == -EPIPE) == (f->ends == 1));
}

static void datagram(struct fixture *f, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	const uint8_t *end = memchr(in->at, '\n', in->left);
	size_t n;
	const uint8_t *text = fuzz_bytes(
		in, end ? (size_t)(end - in->at) : in->left, &n);
	int fds[3] = {f->peer, f->peer, f->peer};

	if (end)
		fuzz_u8(in);
	fuzz_check(fd_send(f->peer, text, n, fds, how & 3) <= (ssize_t)n);
	if (how & 4)
		f->peer = fd_close(f->peer);
	if (how & 8)
		answer(f);
	fuzz_turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fixture f = {0};
	int fds[2];

	fuzz_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) ==
		   0);
	fuzz_check(fd_set_nonblock(fds[0]) == 0);
	f.peer = fds[0];
	fuzz_check(channel_new(fuzz_loop(), fds[1], &events, &f, &f.channel) ==
		   0);
	while (fuzz_more(&in) && f.peer >= 0)
		datagram(&f, &in);
	channel_free(f.channel);
	fd_close(f.peer);
	fuzz_loop_settle();
	return 0;
}
