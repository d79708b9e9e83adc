/*
 * vhost-user against a program that answers anything at all: the input is what
 * it sends, whatever it is asked; then it closes. Nothing blocks for longer
 * than the deadline, and what is lost is told once.
 *
 * Input: byte 0 what is done (bit 0 start, 1 stop, 2 another interrupt, 3
 * start again; 4 replies get the header they need), then its bytes.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/host/vhost_user.h"
#include "lib/host/vhost_user_wire.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_loop.h"

static unsigned told;

static void lost(void *cookie, const char *why)
{
	told++;
	fuzz_check(*why != 0);
}

static int event_fd(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return fd;
}

static int memory_fd(void)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("ram", MFD_CLOEXEC);
		fuzz_check(fd >= 0 && ftruncate(fd, 4096) == 0);
	}
	return fd;
}

static void put(int fd, const void *bytes, size_t n)
{
	/* A full socket loses it. */
	(void)!send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Replies in the order they are asked for, their payload from the input. */
static void put_replies(int fd, struct fuzz_input *in)
{
	static const uint8_t order[] = {
		VHOST_USER_GET_FEATURES,     VHOST_USER_GET_PROTOCOL_FEATURES,
		VHOST_USER_GET_QUEUE_NUM,    VHOST_USER_SET_MEM_TABLE,
		VHOST_USER_SET_VRING_ENABLE, VHOST_USER_SET_VRING_ENABLE,
		VHOST_USER_GET_VRING_BASE,   VHOST_USER_GET_VRING_BASE,
	};

	for (size_t i = 0; i < sizeof(order) && fuzz_more(in); i++) {
		uint8_t how = fuzz_u8(in);
		struct vhost_user_header h = {
			.request = how & 1 ? fuzz_u8(in) : order[i],
			.flags = how & 2 ? fuzz_u8(in) : 5,
			.size = how & 4 ? fuzz_u32(in) : 8,
		};
		uint64_t value = how & 8 ? fuzz_u64(in) : how >> 4;

		if (i == 0 && !(how & 8))
			value = 1ull << 32 | VHOST_USER_F_PROTOCOL_FEATURES;
		put(fd, &h, sizeof(h));
		put(fd, &value, sizeof(value));
	}
}

static void use(struct vhost *v, uint8_t how)
{
	static uint8_t memory[4096];
	const struct vhost_region region = {0x40000000, sizeof(memory), memory,
					    memory_fd(), 0};
	const struct vhost_ring ring = {
		true,	      8,	  0,	      memory,	 memory + 128,
		memory + 256, event_fd(), event_fd(), event_fd()};
	const struct vhost_ring rings[2] = {ring, ring};
	const struct vhost_setup setup = {1ull << 32, &region, 1, rings, 2};
	uint16_t next[VHOST_RINGS_MAX] = {0};
	struct error e = ERROR_INIT;

	for (unsigned round = 0; round < 2; round++, how >>= 3) {
		if (!(how & 1) || v->ops->start(v, &setup, &e) < 0)
			return;
		fuzz_turn();
		if (how & 4)
			(void)v->ops->set_call(v, 1, event_fd());
		v->ops->stop(v, next);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct vhost_user_params params = {
		.name = "fuzz", .n_rings = 2, .deadline_ms = 0, .lost = lost};
	struct error e = ERROR_INIT;
	struct vhost *v = NULL;
	uint8_t how = fuzz_u8(&in);
	int fds[2], r;

	told = 0;
	fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) ==
		   0);
	if (how & 16)
		put_replies(fds[0], &in);
	while (fuzz_more(&in)) {
		uint8_t byte = fuzz_u8(&in);

		put(fds[0], &byte, 1);
	}
	shutdown(fds[0], SHUT_WR);
	params.loop = fuzz_loop();
	params.fd = fds[1];
	r = vhost_user_open(&params, &v, &e);
	fuzz_check((r == 0) == (v != NULL));
	if (r == 0) {
		use(v, how);
		fuzz_turn();
		fuzz_check(told <= 1);
		vhost_free(v);
	} else {
		fuzz_check(e.message[0] != 0);
	}
	fuzz_loop_settle();
	fd_close(fds[0]);
	return 0;
}
