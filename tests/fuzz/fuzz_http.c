/*
 * The HTTP entry: bytes as a client sends them, in pieces, to the API's server
 * behind libwebsockets, with handlers that answer at once, later, with an error
 * or with a stream. Whatever comes, what goes back begins as an answer of
 * HTTP/1.1 does, the next client is served, and the calls end.
 *
 * The server stays for all runs; each has connections of its own.
 *
 * Input: steps of 1 byte and operands: 0-2 bytes up to a NUL, 3 a ready
 * request, 4 the loop turns, 5 a call that waits is answered, 6 an event, 7 the
 * client goes and another comes.
 */
#include <ftw.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "api/api.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "tests/fuzz/fuzz_loop.h"

#define HELD_MAX 64
#define HEAD	 "Host: a\r\n"
#define JSON	 "Content-Type: application/json\r\n"

static const char *const ready[] = {
	"GET /v1/vms HTTP/1.1\r\n" HEAD "\r\n",
	"GET /v1/vms/a HTTP/1.1\r\n" HEAD "If-None-Match: \"1\"\r\n\r\n",
	"GET /v1/vms?limit=7&state=running&labels=x HTTP/1.1\r\n" HEAD "\r\n",
	"POST /v1/vms HTTP/1.1\r\n" HEAD JSON "Content-Length: 12\r\n\r\n"
	"{\"name\":\"a\"}",
	"PATCH /v1/vms/a HTTP/1.1\r\n" HEAD JSON
	"If-Match: \"3\"\r\nContent-Length: 2\r\n\r\n{}",
	"DELETE /v1/vms/a HTTP/1.1\r\n" HEAD "If-Match: \"1\"\r\n\r\n",
	"POST /v1/vms/a/start HTTP/1.1\r\n" HEAD
	"Content-Length: 0\r\nIdempotency-Key: k\r\n\r\n",
	"POST /rpc HTTP/1.1\r\n" HEAD JSON
	"Transfer-Encoding: chunked\r\n\r\n4\r\n{\"js\r\n",
	"POST /rpc HTTP/1.1\r\n" HEAD JSON "Content-Length: 99\r\n\r\n"
	"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vm.list\"}]",
	"GET /v1/events?since=0 HTTP/1.1\r\n" HEAD
	"Accept: text/event-stream\r\nLast-Event-ID: 4\r\n\r\n",
	"GET /v1/vms/a/console HTTP/1.1\r\n" HEAD
	"Upgrade: websocket\r\nConnection: Upgrade\r\n"
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	"Sec-WebSocket-Version: 13\r\n\r\n",
	"GET /metrics HTTP/1.1\r\n" HEAD "\r\n",
	"GET /healthz HTTP/1.0\r\n\r\n",
	"GET /openapi.json HTTP/1.1\r\n" HEAD "\r\n",
	"OPTIONS * HTTP/1.1\r\nOrigin: http://b\r\n" HEAD "\r\n",
	/* a frame of a WebSocket, masked; a ping; a close */
	"\x82\x85\x01\x02\x03\x04hello",
	"\x89\x80\x01\x02\x03\x04",
	"\x88\x82\x01\x02\x03\x04\x02\xea",
};

static struct {
	char dir[64], path[80];
	struct api_server *server;
	struct api_call *held[HELD_MAX];
	size_t n_held;
	int client, console;
	bool first; /* nothing came back on this connection yet */
} world;

static void on_call(void *cookie, struct api_call *c)
{
	enum api_method_id method = api_call_method(c);
	json_object *result = json_object_new_object();
	struct error e = ERROR_INIT;
	int pair[2] = {-1, -1};

	json_object_object_add(result, "revision", json_object_new_int(3));
	json_object_object_add(result, "name", json_object_new_string("a"));
	if (method == API_VM_START && world.n_held < HELD_MAX) {
		world.held[world.n_held++] = c;
		json_object_put(result);
	} else if (method == API_VM_DELETE) {
		json_object_put(result);
		error_set(&e, -ENOENT, "no VM named \"a\"");
		api_call_fail(c, &e);
	} else if (method == API_VM_CONSOLE) {
		fuzz_check(
			socketpair(AF_UNIX,
				   SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				   0, pair) == 0);
		fd_close(world.console);
		world.console = pair[0];
		(void)!write(pair[0], "login:", 6);
		api_call_reply(c, result, pair[1]);
	} else {
		if (method == API_EVENT_SUBSCRIBE) {
			json_object_object_add(result, "events",
					       json_object_new_array());
			api_call_subscribe(c);
		}
		api_call_reply(c, result, -1);
	}
}

static int remove_one(const char *path, const struct stat *st, int kind,
		      struct FTW *ftw)
{
	return remove(path);
}

static void remove_dir(void)
{
	nftw(world.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int bind_at(const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(world.path, sizeof(world.path), "%s/%s", world.dir, name);
	memcpy(addr.sun_path, world.path, strlen(world.path) + 1);
	fuzz_check(fd >= 0 &&
		   bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
		   listen(fd, 16) == 0);
	return fd;
}

static void world_new(void)
{
	struct api_handlers handlers = {0};
	struct api_http_params params = {.tcp_fd = -1};
	struct error e = ERROR_INIT;

	log_open("fuzz", LOG_LEVEL_ERROR - 1);
	for (size_t i = 0; i < API_METHOD_COUNT; i++)
		handlers.handle[i] = on_call;
	strcpy(world.dir, "/tmp/armvm-fuzz-XXXXXX");
	fuzz_check(mkdtemp(world.dir));
	atexit(remove_dir);
	fuzz_check(api_server_new(fuzz_loop(), bind_at("api"), &handlers,
				  &world.server, &e) == 0);
	params.unix_fd = bind_at("http");
	fuzz_check(api_server_http(world.server, &params, &e) == 0);
	world.client = world.console = -1;
}

static void come(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	memcpy(addr.sun_path, world.path, strlen(world.path) + 1);
	world.client = socket(AF_UNIX,
			      SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	fuzz_check(world.client >= 0);
	fuzz_check(connect(world.client, (struct sockaddr *)&addr,
			   sizeof(addr)) == 0);
	world.first = true;
}

/* What came back begins as it must; false: the server has closed. */
static bool take_answer(void)
{
	static char buf[KIB(64)];
	ssize_t n;

	while ((n = recv(world.client, buf, sizeof(buf), 0)) > 0) {
		if (world.first)
			fuzz_check(n >= 12 &&
				   (memcmp(buf, "HTTP/1.1 ", 9) == 0 ||
				    memcmp(buf, "HTTP/1.0 ", 9) == 0));
		world.first = false;
	}
	return n < 0 && errno == EAGAIN;
}

static void turns(void)
{
	for (int i = 0; i < 4; i++)
		fuzz_turn();
	if (world.client >= 0 && !take_answer())
		world.client = fd_close(world.client);
}

static void answer_held(bool fail)
{
	struct error e = ERROR_INIT;
	struct api_call *c;

	if (world.n_held == 0)
		return;
	c = world.held[--world.n_held];
	error_set(&e, -EBUSY, "a is busy");
	if (fail)
		api_call_fail(c, &e);
	else
		api_call_reply(c, json_object_new_object(), -1);
}

static void event(void)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "seq", json_object_new_int(7));
	json_object_object_add(o, "kind", json_object_new_string("state"));
	api_server_notify(world.server, o);
	json_object_put(o);
}

static void say(const void *text, size_t size)
{
	if (world.client >= 0)
		(void)!send(world.client, text, size, MSG_NOSIGNAL);
}

static void say_bytes(struct fuzz_input *in)
{
	const uint8_t *end = memchr(in->at, '\0', in->left);
	const uint8_t *bytes;
	size_t n;

	bytes = fuzz_bytes(in, end ? (size_t)(end - in->at) : in->left, &n);
	if (end)
		fuzz_u8(in);
	say(bytes, n);
}

static void step(struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in);
	const char *text;

	switch (what & 7) {
	case 0:
	case 1:
	case 2:
		say_bytes(in);
		break;
	case 3:
		text = ready[fuzz_u8(in) % ARRAY_SIZE(ready)];
		/* All of it, or up to where the connection stalls. */
		say(text, what & 128 ? fuzz_below(in, 256) % strlen(text)
				     : strlen(text));
		break;
	case 5:
		answer_held(what & 8);
		break;
	case 6:
		event();
		break;
	case 7:
		world.client = fd_close(world.client);
		turns();
		come();
		break;
	default:
		break;
	}
	if (what & 64)
		turns();
}

/* The next one is served, whatever the last one did. */
static void serve_next(void)
{
	static const char hello[] = "GET /healthz HTTP/1.1\r\n" HEAD
				    "Connection: close\r\n\r\n";
	int n = 0;

	come();
	say(hello, strlen(hello));
	while (world.client >= 0) {
		fuzz_check(++n < 1000);
		turns();
	}
	fuzz_check(!world.first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = fuzz_begin(data, size);

	if (!world.server)
		world_new();
	come();
	while (fuzz_more(&in))
		step(&in);
	turns();
	while (world.n_held > 0)
		answer_held(false);
	world.client = fd_close(world.client);
	world.console = fd_close(world.console);
	turns();
	serve_next();
	return 0;
}
