/*
 * A whole supervisor, with the null backend, against a daemon that says
 * anything, hands over anything, goes and comes back, and a client at the
 * console that types what makes the null guest act. What the supervisor says is
 * of its own messages; at the end, told to terminate, it ends and has closed
 * all it had.
 *
 * Input: steps of 1 byte and operands: 0-3 a message (fuzz_peer.h), 4 the
 * daemon goes, 5 the console's client types, 6 it reads, else the loop turns.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "supervisor/supervisor.h"
#include "tests/fuzz/fuzz_peer.h"

#define CONFIG                                                \
	"\"config\":{\"name\":\"f\",\"hypervisor\":\"null\"," \
	"\"memory\":134217728,\"console\":\"both\",\"max_hotplug\":2"

static const char *const ready[] = {
	"{\"type\":\"hello\",\"id\":1,\"version\":1}",
	"{\"type\":\"configure\",\"id\":2," CONFIG "},\"roles\":[]}",
	/* kinds 0 and 1 */
	"{\"type\":\"configure\",\"id\":2," CONFIG
	"},\"roles\":[\"nvram\",\"spill\"],\"nvram_size\":786432}",
	/* kind 2 */
	"{\"type\":\"configure\",\"id\":2," CONFIG
	",\"disks\":[{\"path\":\"/d\",\"id\":\"d\"}]},\"roles\":[\"disk:d\"]}",
	"{\"type\":\"configure\",\"id\":2,\"more\":true,\"roles\":[\"disk:d\"]"
	"}",
	"{\"type\":\"start\",\"id\":3}",
	"{\"type\":\"pause\",\"id\":4}",
	"{\"type\":\"resume\",\"id\":5}",
	"{\"type\":\"reset\",\"id\":6}",
	"{\"type\":\"shutdown\",\"id\":7}",
	"{\"type\":\"stop\",\"id\":8}",
	/* kind 4 */
	"{\"type\":\"console\",\"id\":9}",
	"{\"type\":\"console\",\"id\":9,\"device\":\"virtio\"}",
	"{\"type\":\"agent\",\"id\":10,\"command\":\"info\"}",
	"{\"type\":\"agent\",\"id\":10,\"command\":\"freeze\"}",
	"{\"type\":\"balloon\",\"id\":11,\"target\":1000}",
	"{\"type\":\"nvram-ack\",\"seq\":$}",
	"{\"type\":\"stats\",\"id\":12}",
	"{\"type\":\"devices\",\"id\":13}",
	"{\"type\":\"attach\",\"id\":14,\"kind\":\"disk\",\"config\":{\"path\":"
	"\"/e\",\"id\":\"e\"},\"timeout_ms\":1}",
	"{\"type\":\"attach\",\"id\":14,\"kind\":\"nic\",\"config\":{\"tap\":"
	"\"t\",\"id\":\"n\"},\"timeout_ms\":60000}",
	"{\"type\":\"detach\",\"id\":15,\"kind\":\"disk\",\"device\":\"e\","
	"\"timeout_ms\":1}",
	"{\"type\":\"detach\",\"id\":15,\"kind\":\"disk\",\"device\":\"d\","
	"\"force\":true,\"timeout_ms\":1}",
};

static struct {
	struct fuzz_input *in;
	struct fuzz_peer peer;
	struct sockaddr_un addr;
	socklen_t size;
} daemon_end;

static int real_run(uv_loop_t *loop)
{
	static int (*run)(uv_loop_t * loop, uv_run_mode mode);

	if (!run)
		run = (int (*)(uv_loop_t *, uv_run_mode))dlsym(RTLD_NEXT,
							       "uv_run");
	return run(loop, UV_RUN_NOWAIT);
}

/* In place of libuv's: nothing in a supervisor is worth waiting for here but
 * its own patience, which is over at once or never. */
int uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t timeout,
		   uint64_t repeat)
{
	static int (*start)(uv_timer_t * timer, uv_timer_cb cb,
			    uint64_t timeout, uint64_t repeat);

	if (!start)
		start = (int (*)(uv_timer_t *, uv_timer_cb, uint64_t,
				 uint64_t))dlsym(RTLD_NEXT, "uv_timer_start");
	return start(timer, cb, timeout <= 50 ? 0 : 3600000, repeat);
}

static void come(void)
{
	struct fuzz_peer *p = &daemon_end.peer;

	if (p->fd >= 0)
		return;
	p->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0);
	fuzz_check(p->fd >= 0);
	if (connect(p->fd, (struct sockaddr *)&daemon_end.addr,
		    daemon_end.size) < 0)
		p->fd = fd_close(p->fd);
}

static void type_text(struct fuzz_peer *p, struct fuzz_input *in)
{
	static const char *const lines[] = {
		"poweroff\n",	"reboot\n",	     "panic\n", "fatal\n",
		"nvram 0 aa\n", "nvram 4096 0102\n", "hello\n", "ignore\n"};
	uint8_t how = fuzz_u8(in);
	const uint8_t *bytes;
	size_t n;

	if (how & 1) {
		const char *line = lines[how >> 1 & 7];

		(void)!send(p->stream[0], line, strlen(line),
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		return;
	}
	bytes = fuzz_bytes(in, how, &n);
	(void)!send(p->stream[0], bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void step(uv_loop_t *loop, struct fuzz_input *in)
{
	struct fuzz_peer *p = &daemon_end.peer;
	char buf[512];

	switch (fuzz_u8(in) & 7) {
	case 0:
	case 1:
	case 2:
	case 3:
		come();
		fuzz_peer_say(p, in);
		break;
	case 4:
		p->fd = fd_close(p->fd);
		break;
	case 5:
		type_text(p, in);
		break;
	case 6:
		(void)!recv(p->stream[0], buf, sizeof(buf), MSG_DONTWAIT);
		break;
	default:
		break;
	}
	for (int i = 0; i < 3; i++)
		real_run(loop);
	fuzz_peer_read(p);
}

/* In place of libuv's: the supervisor's one call of it. */
int uv_run(uv_loop_t *loop, uv_run_mode mode)
{
	int turns = 0;

	while (fuzz_more(daemon_end.in) && uv_loop_alive(loop))
		step(loop, daemon_end.in);
	if (uv_loop_alive(loop))
		raise(SIGTERM);
	while (real_run(loop))
		fuzz_check(++turns < 1000);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);
	struct fuzz_peer *p = &daemon_end.peer;
	int before = fcntl(0, F_DUPFD_CLOEXEC, 3), after, listener;

	log_open("fuzz", LOG_LEVEL_ERROR - 1);
	fd_close(before);
	daemon_end.in = &in;
	daemon_end.addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	daemon_end.size =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			    (size_t)sprintf(daemon_end.addr.sun_path + 1,
					    "armvm-fuzz-%d", (int)getpid()));
	*p = (struct fuzz_peer){
		.ready = ready, .n_ready = ARRAY_SIZE(ready), .direction = 'S'};
	fuzz_peer_init(p);
	listener = fuzz_listen(&daemon_end.addr, daemon_end.size);
	supervisor_run("f", listener, getuid());
	fuzz_peer_done(p);
	after = fcntl(0, F_DUPFD_CLOEXEC, 3);
	fd_close(after);
	fuzz_check(before == after);
	return 0;
}
