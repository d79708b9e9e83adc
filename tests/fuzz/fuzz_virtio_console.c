/*
 * virtio console behind PCI: port 0 with a client at its other end, port 1 with
 * the supervisor's agent, which talks to what it takes for qemu-guest-agent.
 * Every request to that ends once, and nothing is written to the guest that the
 * client or the agent did not say.
 *
 * Input: byte 0 bit 0 with doorbells; then fuzz_virtio.h's steps and 12 the
 * client types, reads or leaves, 13 a control message, 14 a request to the
 * agent, 15 the guest's agent says something.
 */
#include <sys/random.h>
#include <sys/socket.h>

#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "supervisor/agent.h"
#include "tests/fuzz/fuzz_virtio.h"
#include "vmm-kvm/devices/virtio_console.h"

#define CONTROL_TX 3
#define AGENT_TX   5
/* Where this driver's own messages lie, and the descriptors it uses. */
#define TEXT_GPA (FUZZ_LOW_GPA + 0x2000)
#define TEXT_MAX 0x400

/* In place of libc's: the agent's sync is then always SYNC. */
ssize_t getrandom(void *buffer, size_t size, unsigned flags)
{
	memset(buffer, 0x01, size);
	return (ssize_t)size;
}
#define SYNC "\xff{\"return\": 16843009}\n"

struct fixture {
	struct fuzz_virtio v;
	struct chardev *console;
	struct agent *agent;
	int client;
	unsigned asked, done;
};

static void on_done(void *cookie, json_object *result, const struct error *e)
{
	struct fixture *f = cookie;

	fuzz_check(!e || (e->err && e->message[0]));
	fuzz_check(++f->done <= f->asked);
}

static void send_text(struct fixture *f, unsigned queue, const void *text,
		      size_t size)
{
	fuzz_poke(&f->v.m.ram, TEXT_GPA, text, size);
	fuzz_descriptor(&f->v, queue, 0, TEXT_GPA, (uint32_t)size, 0, 0);
	fuzz_offer(&f->v, queue, 0, 1);
	fuzz_notify(&f->v, queue);
	fuzz_virtio_turn(&f->v, true);
}

static void client(struct fixture *f, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in), buf[256];
	const uint8_t *bytes;
	size_t n;

	if (f->client < 0)
		return;
	if (how & 1) {
		fuzz_check(recv(f->client, buf, sizeof(buf), MSG_DONTWAIT) <=
			   (ssize_t)sizeof(buf));
	} else if (how == 0xfe) {
		f->client = fd_close(f->client);
	} else {
		bytes = fuzz_bytes(in, how, &n);
		/* What does not fit is lost. */
		(void)!send(f->client, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	fuzz_turn();
}

static void control(struct fixture *f, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);
	struct {
		uint32_t id;
		uint16_t event, value;
		uint64_t more;
	} m = {.id = how & 1, .event = how >> 1 & 7, .value = how >> 4 & 1};

	if (how & 64)
		m.id = fuzz_u32(in);
	send_text(f, CONTROL_TX, &m, how & 128 ? fuzz_u8(in) & 15 : 8);
}

static void ask(struct fixture *f, uint8_t how)
{
	f->asked++;
	if (how & 16)
		agent_request(f->agent, "guest-info", NULL, 5000, on_done, f);
	else
		agent_request(f->agent, "guest-fsfreeze-freeze",
			      json_object_new_object(), 5000, on_done, f);
}

static void say(struct fixture *f, struct fuzz_input *in)
{
	static const char *const lines[] = {
		SYNC, "{\"return\": {}}\n",
		"{\"error\": {\"class\": \"CommandNotFound\"}}\n",
		"{\"return\": [1, {\"a\": null}]}\n"};
	uint8_t how = fuzz_u8(in);
	const uint8_t *bytes;
	size_t n;

	if (how & 1) {
		const char *line = lines[how >> 1 & 3];

		send_text(f, AGENT_TX, line, strlen(line));
		return;
	}
	bytes = fuzz_bytes(in, how, &n);
	send_text(f, AGENT_TX, bytes, MIN(n, (size_t)TEXT_MAX));
}

static void run(struct fixture *f, struct fuzz_input *in)
{
	while (fuzz_more(in)) {
		uint8_t step = fuzz_u8(in);

		switch (step & 15) {
		case 12:
			client(f, in);
			break;
		case 13:
			control(f, in);
			break;
		case 14:
			ask(f, step);
			break;
		case 15:
			say(f, in);
			break;
		default:
			fuzz_virtio_step(&f->v, in, step);
			break;
		}
	}
}

static void fixture_init(struct fixture *f, bool doorbells)
{
	struct virtio_console_port ports[VIRTIO_CONSOLE_PORTS] = {{NULL}};
	struct chardev_seat seat = {.who = "fuzz"};
	struct virtio_dev *dev;
	int fds[2];

	log_open("fuzz", LOG_LEVEL_ERROR);
	fuzz_machine_init(&f->v.m);
	fuzz_dma_begin();
	fuzz_check(chardev_new(fuzz_loop(), &f->console) == 0);
	fuzz_check(agent_new(fuzz_loop(), "fuzz", &f->agent, NULL) == 0);
	fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) ==
		   0);
	f->client = fds[0];
	fuzz_check(chardev_attach(f->console, fds[1], &seat, NULL) == 0);
	ports[0].chardev = f->console;
	ports[1].chardev = agent_chardev(f->agent);
	ports[1].name = "org.qemu.guest_agent.0";
	fuzz_check(virtio_console_new(ports, &dev, NULL) == 0);
	fuzz_virtio_init(&f->v, dev, doorbells);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fixture f = {0};

	fixture_init(&f, fuzz_u8(&in) & 1);
	run(&f, &in);
	virtio_pci_free(f.v.v);
	agent_free(f.agent);
	fuzz_check(f.done == f.asked);
	chardev_free(f.console);
	fd_close(f.client);
	fuzz_loop_settle();
	fuzz_machine_done(&f.v.m);
	return 0;
}
