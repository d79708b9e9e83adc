/*
 * A message from the bus with any signature and any body as a call of a method
 * of the API: what is read of it are parameters that are JSON, or an error
 * that says why not.
 *
 * Input: which method (255: Call), the length of the signature, the signature,
 * the body as it goes over the wire, little-endian.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/dbus_value.h"
#include "tests/fuzz/fuzz_input.h"

#define HELLO	   "\0AUTH ANONYMOUS 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"
#define BODY_MAX   4096
#define HEADER_MAX 512
#define CALL	   255

struct target {
	struct dbus_table *table;
	uint8_t method;
	bool seen;
};

static void check_params(int r, json_object *params, const struct error *e)
{
	_cleanup_json_ json_object *again = NULL;
	const char *text;

	if (r < 0) {
		fuzz_check(!params && e->err && e->message[0]);
		return;
	}
	fuzz_check(json_object_is_type(params, json_type_object));
	text = json_text(params);
	fuzz_check(json_parse(text, strlen(text), &again, NULL) == 0);
}

/* Both interfaces have some of them; the first that has is as good. */
static const struct dbus_method *method_of(const struct target *t)
{
	static const char *const names[] = {
		"Start",  "Balloon", "AttachDisk", "Update", "DetachDisk",
		"Rename", "Define",  "ListVMs",	   "GetVM",  "JobWait",
	};
	const char *name = names[t->method % ARRAY_SIZE(names)];
	const struct dbus_method *m = dbus_method_find(t->table, DBUS_VM, name);

	return m ? m : dbus_method_find(t->table, DBUS_MANAGER, name);
}

static int on_message(sd_bus_message *m, void *cookie, sd_bus_error *unused)
{
	struct target *t = cookie;
	enum api_method_id method;
	struct error e = ERROR_INIT;
	json_object *params = NULL;
	int r;

	t->seen = true;
	if (t->method == CALL)
		r = dbus_call_read(m, &method, &params, &e);
	else
		r = dbus_params_read(m, method_of(t), "web", &params, &e);
	check_params(r, params, &e);
	json_object_put(params);
	return 1;
}

static size_t put(uint8_t *at, size_t n, const void *bytes, size_t size)
{
	memcpy(at + n, bytes, size);
	return n + size;
}

static size_t put_u32(uint8_t *at, size_t n, uint32_t value)
{
	return put(at, n, &value, sizeof(value));
}

static size_t pad(uint8_t *at, size_t n)
{
	while (n % 8)
		at[n++] = 0;
	return n;
}

/* D-Bus Specification, "Message Format": the fields path, member and
 * signature. */
static size_t make_header(uint8_t *h, const uint8_t *signature, uint8_t length,
			  size_t body)
{
	size_t n = put(h, 0, "l\1\0\1", 4);

	n = put_u32(h, n, (uint32_t)body);
	n = put_u32(h, n, 1);
	n = put_u32(h, n, 0);
	n = put(h, n, "\1\1o\0\2\0\0\0/x\0", 11);
	n = pad(h, n);
	n = put(h, n, "\3\1s\0\1\0\0\0Z\0", 10);
	n = pad(h, n);
	n = put(h, n, "\10\1g\0", 4);
	h[n++] = length;
	n = put(h, n, signature, length);
	h[n++] = 0;
	put_u32(h, 12, (uint32_t)(n - 16));
	return pad(h, n);
}

static sd_bus *serve(int fd, struct target *t)
{
	sd_id128_t id = {.bytes = {1}};
	sd_bus *sd = NULL;

	fuzz_check(sd_bus_new(&sd) >= 0 && sd_bus_set_fd(sd, fd, fd) >= 0 &&
		   sd_bus_set_server(sd, 1, id) >= 0 &&
		   sd_bus_set_anonymous(sd, 1) >= 0 &&
		   sd_bus_add_object(sd, NULL, "/x", on_message, t) >= 0 &&
		   sd_bus_start(sd) >= 0);
	return sd;
}

static void run(struct target *t, const uint8_t *data, size_t size)
{
	uint8_t header[HEADER_MAX];
	uint8_t length = size ? data[0] : 0;
	size_t body, n;
	int fds[2];
	sd_bus *sd;

	if (size < 1u + length || size - 1 - length > BODY_MAX)
		return;
	body = size - 1 - length;
	fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) ==
		   0);
	n = make_header(header, data + 1, length, body);
	fuzz_check(write(fds[1], HELLO, sizeof(HELLO) - 1) > 0 &&
		   write(fds[1], header, n) == (ssize_t)n &&
		   write(fds[1], data + 1 + length, body) == (ssize_t)body);
	sd = serve(fds[0], t);
	for (int i = 0; i < 64 && !t->seen; i++)
		if (sd_bus_process(sd, NULL) < 0)
			break;
	sd_bus_close_unref(sd);
	close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dbus_table *table;
	struct target t;

	if (!table)
		table = dbus_table_new();
	fuzz_check(table);
	if (size < 1)
		return 0;
	t = (struct target){.table = table, .method = data[0]};
	run(&t, data + 1, size - 1);
	return 0;
}
