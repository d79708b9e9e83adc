/*
 * A served API in one thread for tests: a loop, a server on a socket in a
 * fresh directory, handlers that answer at once, later, large, or with a
 * descriptor; and a raw client that turns the loop while it waits.
 */
#ifndef TESTS_UNIT_API_FIXTURE_H
#define TESTS_UNIT_API_FIXTURE_H

#include <stdarg.h>
#include <poll.h>
#include <setjmp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <cmocka.h>

#include "api/api.h"
#include "lib/base/buf.h"
#include "lib/base/fd.h"

#define HELD_MAX   256
#define LARGE_SIZE KIB(100)

struct fixture {
	uv_loop_t loop;
	struct api_server *server;
	char dir[32], path[64];
	struct api_call *held[HELD_MAX]; /* vm.start: answered by the test */
	size_t n_held;
	unsigned n_large; /* vm.list calls */
	int console_peer; /* the other end of the last vm.console */
	bool locked;	  /* nothing can be written */
};

struct raw {
	struct fixture *f;
	int sock;
	struct buf in;
	int fd; /* received */
};

static inline json_object *parse_json(const char *text)
{
	struct error e = ERROR_INIT;
	json_object *o = NULL;

	if (json_parse(text, strlen(text), &o, &e) < 0)
		fail_msg("%s: %s", text, e.message);
	return o;
}

static void on_get(void *cookie, struct api_call *c)
{
	const struct api_name_params *p = api_call_params(c);
	struct error e = ERROR_INIT;
	json_object *result;

	if (streq(p->name, "missing")) {
		error_set(&e, -ENOENT, "no VM named \"missing\"");
		api_call_fail(c, &e);
		return;
	}
	result = json_object_new_object();
	json_object_object_add(result, "name", json_object_new_string(p->name));
	api_call_reply(c, result, -1);
}

static void on_start(void *cookie, struct api_call *c)
{
	struct fixture *f = cookie;

	assert_true(f->n_held < HELD_MAX);
	f->held[f->n_held++] = c;
}

static void on_list(void *cookie, struct api_call *c)
{
	struct fixture *f = cookie;
	char *text = malloc(LARGE_SIZE);

	memset(text, 'x', LARGE_SIZE);
	f->n_large++;
	api_call_reply(c, json_object_new_string_len(text, LARGE_SIZE), -1);
	free(text);
}

static void on_console(void *cookie, struct api_call *c)
{
	struct fixture *f = cookie;
	int pair[2];

	assert_return_code(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
		errno);
	fd_close(f->console_peer);
	f->console_peer = pair[0];
	assert_int_equal(write(pair[0], "login:", 6), 6);
	api_call_reply(c, json_object_new_object(), pair[1]);
}

static void on_subscribe(void *cookie, struct api_call *c)
{
	api_call_subscribe(c);
	api_call_reply(c, json_object_new_object(), -1);
}

static bool on_ready(void *cookie)
{
	const struct fixture *f = cookie;

	return !f->locked;
}

static const struct api_handlers fixture_handlers = {
	.ready = on_ready,
	.handle = {[API_VM_GET] = on_get,
		   [API_VM_START] = on_start,
		   [API_VM_LIST] = on_list,
		   [API_VM_CONSOLE] = on_console,
		   [API_EVENT_SUBSCRIBE] = on_subscribe},
};

static inline int fixture_bind(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_return_code(bind(sock, (void *)&addr, sizeof(addr)), errno);
	assert_return_code(listen(sock, 64), errno);
	return sock;
}

static inline void fixture_start_with(struct fixture *f,
				      const struct api_handlers *with)
{
	struct api_handlers handlers = *with;
	struct error e = ERROR_INIT;

	*f = (struct fixture){.dir = "/tmp/armvm-api.XXXXXX",
			      .console_peer = -1};
	handlers.cookie = f;
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(api_server_new(&f->loop, fixture_bind(f->path),
					&handlers, &f->server, &e),
			 0);
}

static inline void fixture_start(struct fixture *f)
{
	fixture_start_with(f, &fixture_handlers);
}

static inline void fixture_stop(struct fixture *f)
{
	f->server = api_server_free(f->server);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	fd_close(f->console_peer);
	unlink(f->path);
	rmdir(f->dir);
}

static inline void fixture_turn(struct fixture *f)
{
	for (int i = 0; i < 20; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
}

static inline void raw_connect(struct fixture *f, struct raw *r)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	*r = (struct raw){.f = f, .fd = -1};
	r->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->path);
	assert_return_code(connect(r->sock, (void *)&addr, sizeof(addr)),
			   errno);
	fixture_turn(f);
}

static inline void raw_close(struct raw *r)
{
	r->sock = fd_close(r->sock);
	r->fd = fd_close(r->fd);
	buf_done(&r->in);
	fixture_turn(r->f);
}

/* As much as fits, turning the loop; returns bytes sent. */
static inline size_t raw_send(struct raw *r, const void *data, size_t size)
{
	size_t sent = 0;

	for (int idle = 0; sent < size && idle < 50; idle++) {
		ssize_t n = send(r->sock, (const char *)data + sent,
				 size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			sent += (size_t)n;
			idle = 0;
		}
		uv_run(&r->f->loop, UV_RUN_NOWAIT);
	}
	return sent;
}

static inline void raw_say(struct raw *r, const char *line)
{
	assert_int_equal(raw_send(r, line, strlen(line)), strlen(line));
	assert_int_equal(raw_send(r, "\n", 1), 1);
}

static inline void raw_receive(struct raw *r)
{
	static char chunk[KIB(256)];
	struct pollfd p = {.fd = r->sock, .events = POLLIN};
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n;

	uv_run(&r->f->loop, UV_RUN_NOWAIT);
	if (poll(&p, 1, 1) <= 0)
		return;
	n = fd_recv(r->sock, chunk, sizeof(chunk), fds, &n_fds);
	if (n <= 0)
		return;
	if (n_fds > 0)
		r->fd = fds[0];
	assert_true(n_fds <= 1);
	assert_int_equal(buf_append(&r->in, chunk, (size_t)n), 0);
}

/* The next line as JSON; NULL when none comes within some 100 ms. */
static inline json_object *raw_line(struct raw *r)
{
	for (int i = 0; i < 100; i++) {
		char *end = r->in.size ? memchr(r->in.data, '\n', r->in.size)
				       : NULL;
		json_object *o;

		if (end) {
			*end = 0;
			o = parse_json(r->in.data);
			buf_consume(&r->in, (size_t)(end - r->in.data) + 1);
			return o;
		}
		raw_receive(r);
	}
	return NULL;
}

/* The next line is exactly this JSON value. */
static inline void raw_expect(struct raw *r, const char *text)
{
	_cleanup_json_ json_object *want = parse_json(text);
	_cleanup_json_ json_object *have = raw_line(r);

	if (!json_object_equal(want, have))
		fail_msg("got %s\nwant %s", have ? json_text(have) : "nothing",
			 text);
}

/* `value` is an error reply with that code and id ("null" for null). */
static inline void check_error(json_object *value, int code, const char *id)
{
	json_object *error, *o;

	assert_true(json_object_object_get_ex(value, "error", &error));
	assert_true(json_object_object_get_ex(error, "code", &o));
	if (json_object_get_int(o) != code)
		fail_msg("want %d: %s", code, json_text(value));
	assert_true(json_object_object_get_ex(value, "id", &o));
	assert_string_equal(o ? json_object_get_string(o) : "null", id);
}

static inline void raw_expect_error(struct raw *r, int code, const char *id)
{
	_cleanup_json_ json_object *have = raw_line(r);

	assert_non_null(have);
	check_error(have, code, id);
}

static inline void raw_expect_silence(struct raw *r)
{
	fixture_turn(r->f);
	raw_receive(r);
	assert_int_equal(r->in.size, 0);
}

/* The server closed the connection. */
static inline bool raw_closed(struct raw *r)
{
	char c;

	fixture_turn(r->f);
	return recv(r->sock, &c, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

#endif
