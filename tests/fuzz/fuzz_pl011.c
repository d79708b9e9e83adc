/*
 * PL011 before a console: registers in any order and width, input while the
 * guest looks or does not, resets. Its line must stand exactly when a masked
 * interrupt does, and the flags must agree with themselves.
 *
 * Input: steps of 1 byte and operands: 0 typed input, 1 a turn of the loop,
 * 2 a reset, else an access.
 */
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "tests/fuzz/fuzz_loop.h"
#include "vmm-kvm/devices/pl011.h"

#define REG_FR	0x18
#define REG_MIS 0x40
#define FR_RXFE (1u << 4)
#define FR_RXFF (1u << 6)

struct console {
	struct chardev *chardev;
	struct pl011 *uart;
	struct mmio_region *region;
	struct bus *bus;
	bool line;
	int peer; /* who types */
};

static void console_init(struct console *c)
{
	struct pl011_params params = {.irq = fuzz_line(&c->line)};
	int fds[2];

	fuzz_check(chardev_new(fuzz_loop(), &c->chardev) == 0);
	fuzz_check(bus_new(&c->bus) == 0);
	params.chardev = c->chardev;
	params.bus = c->bus;
	fuzz_check(pl011_new(&params, &c->uart) == 0);
	c->region = pl011_region(c->uart);
	c->region->base = 0x09000000;
	fuzz_check(bus_add(c->bus, c->region) == 0);
	fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) ==
		   0);
	c->peer = fds[0];
	fuzz_check(chardev_attach(c->chardev, fds[1],
				  &(struct chardev_seat){.who = "us"},
				  NULL) == 0);
}

static void console_done(struct console *c)
{
	pl011_free(c->uart);
	bus_free(c->bus);
	chardev_free(c->chardev);
	fd_close(c->peer);
	fuzz_loop_settle();
}

static void type(struct console *c, struct fuzz_input *in)
{
	size_t max = fuzz_below(in, 40), n;
	const uint8_t *bytes = fuzz_bytes(in, max, &n);

	/* A full socket takes less; what was typed is lost then. */
	fuzz_check(send(c->peer, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) <=
		   (ssize_t)n);
}

static void check(struct console *c)
{
	uint32_t flags = fuzz_peek(c->bus, c->region, REG_FR);

	fuzz_check(c->line == (fuzz_peek(c->bus, c->region, REG_MIS) != 0));
	fuzz_check((flags & (FR_RXFE | FR_RXFF)) != (FR_RXFE | FR_RXFF));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct console c = {0};

	console_init(&c);
	while (fuzz_more(&in)) {
		switch (fuzz_u8(&in) & 7) {
		case 0:
			type(&c, &in);
			break;
		case 1:
			fuzz_turn();
			break;
		case 2:
			bus_lock(c.bus);
			pl011_reset(c.uart);
			bus_unlock(c.bus);
			break;
		default:
			fuzz_access(&in, c.bus, c.region);
			break;
		}
		check(&c);
	}
	console_done(&c);
	return 0;
}
