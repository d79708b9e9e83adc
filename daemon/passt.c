#include "daemon/passt.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/fd.h"

/* What a guest sees of the network that passt plays; the gateway is the
 * host's own loopback, too. */
#define GUEST_ADDRESS	"10.0.2.15"
#define GUEST_PREFIX	"24"
#define GATEWAY_ADDRESS "10.0.2.2"
#define GATEWAY_MAC	"52:55:0a:00:02:02"
#define PASST_FD	3
#define DEFAULT_PATH	"/usr/local/bin:/usr/bin:/bin"
#define ARGUMENTS_MAX	(32 + 2 * VM_NIC_FORWARDS_MAX)
#define SPEC_MAX	80
#define ROUTES_MAX	KIB(64)

struct passt {
	uv_process_t process;
	int errors_fd; /* what it prints */
	bool known, forgotten;
	struct error why; /* err is 0 when it serves */
	passt_done_fn done;
	void *cookie;
};

struct arguments {
	const char *list[ARGUMENTS_MAX + 1];
	size_t n;
	char mtu[16], uid[16];
	char specs[VM_NIC_FORWARDS_MAX][SPEC_MAX];
};

static void add(struct arguments *a, const char *option, const char *value)
{
	a->list[a->n++] = option;
	if (value)
		a->list[a->n++] = value;
}

/* "ADDRESS/HOST:GUEST" as passt's -t and -u have it. */
static void add_forward(struct arguments *a, size_t i,
			const struct forward_config *f)
{
	uint32_t guest = f->guest_port ? f->guest_port : f->host_port;

	snprintf(a->specs[i], SPEC_MAX, "%s%s%" PRIu32 ":%" PRIu32,
		 f->address ? f->address : "", f->address ? "/" : "",
		 f->host_port, guest);
	add(a, f->protocol == VM_PROTOCOL_UDP ? "-u" : "-t", a->specs[i]);
}

/* Default routes in the kernel's tables: an interface and where to; where to,
 * how many bits of it count, and an interface. */
static bool is_default4(const char *line)
{
	char name[32], to[64];

	return sscanf(line, "%31s %63s", name, to) == 2 &&
	       streq(to, "00000000");
}

static bool is_default6(const char *line)
{
	char name[32], to[64], bits[8];

	return sscanf(line, "%63s %7s %*s %*s %*s %*s %*s %*s %*s %31s", to,
		      bits, name) == 3 &&
	       strspn(to, "0") == strlen(to) && streq(bits, "00") &&
	       !streq(name, "lo");
}

static bool has_line(const char *path, bool (*matches)(const char *line))
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = calloc(1, ROUTES_MAX);
	char *line, *rest = text;
	bool found = false;

	/* Default routes come first. */
	if (!text || fd < 0 || read(fd, text, ROUTES_MAX - 1) < 0)
		return false;
	while (!found && rest && (line = strsep(&rest, "\n")))
		found = matches(line);
	return found;
}

/* Where it has none, passt has no interface to take after; any will do then,
 * since addresses are given. */
static bool has_way_out(void)
{
	return has_line("/proc/net/route", is_default4) ||
	       has_line("/proc/net/ipv6_route", is_default6);
}

static void fill_arguments(struct arguments *a, const struct passt_params *p)
{
	const struct nic_config *nic = p->nic;
	bool udp = false;

	a->n = 0;
	add(a, "passt", NULL);
	add(a, "--quiet", NULL);
	add(a, "--fd", "3");
	add(a, "--address", GUEST_ADDRESS);
	add(a, "--netmask", GUEST_PREFIX);
	add(a, "--gateway", GATEWAY_ADDRESS);
	add(a, "--mac-addr", GATEWAY_MAC);
	snprintf(a->mtu, sizeof(a->mtu), "%" PRIu32, vm_nic_mtu(nic));
	add(a, "--mtu", a->mtu);
	if (!has_way_out())
		add(a, "--interface", "lo");
	if (geteuid() == 0) {
		snprintf(a->uid, sizeof(a->uid), "%u", (unsigned)p->uid);
		add(a, "--runas", a->uid);
	}
	for (size_t i = 0; i < nic->n_forwards; i++) {
		add_forward(a, i, &nic->forwards[i]);
		udp |= nic->forwards[i].protocol == VM_PROTOCOL_UDP;
	}
	/* Or the ports of TCP would be forwarded for UDP, too. */
	if (!udp)
		add(a, "-u", "none");
	a->list[a->n] = NULL;
}

static int find_program(char *path, size_t size, struct error *e)
{
	const char *dirs = getenv("PATH");
	_cleanup_free_ char *copy = strdup(dirs ? dirs : DEFAULT_PATH);
	char *rest = copy, *dir;

	while (rest && (dir = strsep(&rest, ":"))) {
		int n = snprintf(path, size, "%s/passt", dir);

		if (*dir == '/' && n < (int)size && access(path, X_OK) == 0)
			return 0;
	}
	return error_set(e, -ENOENT,
			 "user-mode networking needs passt, which is not "
			 "installed; on Debian it is the package \"passt\"");
}

/* What it said last is why. */
static void read_reason(struct passt *p, int64_t status, int signal)
{
	char text[4096], *line, *last = NULL, *rest = text;
	ssize_t n = read(p->errors_fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	while (rest && (line = strsep(&rest, "\n")))
		if (*line)
			last = line;
	for (char *c = last; c && *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (last)
		error_set(&p->why, -EIO, "passt: %.300s", last);
	else
		error_set(&p->why, -EIO, "passt ended with %s %" PRId64,
			  signal ? "signal" : "status",
			  signal ? (int64_t)signal : status);
}

static void on_closed(uv_handle_t *handle)
{
	struct passt *p = handle->data;

	fd_close(p->errors_fd);
	free(p);
}

static void tell(struct passt *p)
{
	passt_done_fn done = TAKE_PTR(p->done);

	if (done)
		done(p->cookie, p->why.err ? &p->why : NULL);
}

static void ended_cb(uv_process_t *process, int64_t status, int signal)
{
	struct passt *p = process->data;

	p->known = true;
	if (status || signal)
		read_reason(p, status, signal);
	if (p->forgotten)
		uv_close((uv_handle_t *)&p->process, on_closed);
	else
		tell(p);
}

static int spawn(struct passt *p, const struct passt_params *params,
		 const char *path, int fd, int errors_fd)
{
	struct arguments a;
	const char *env[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL};
	uv_stdio_container_t stdio[PASST_FD + 1] = {
		{.flags = UV_IGNORE},
		{.flags = UV_IGNORE},
		{.flags = UV_INHERIT_FD, .data.fd = errors_fd},
		{.flags = UV_INHERIT_FD, .data.fd = fd},
	};
	const uv_process_options_t options = {
		.file = path,
		/* Both are left as they are. */
		.args = (char **)a.list,
		.env = (char **)env,
		.cwd = "/",
		.exit_cb = ended_cb,
		.stdio = stdio,
		.stdio_count = ARRAY_SIZE(stdio),
		.flags = UV_PROCESS_DETACHED,
	};

	fill_arguments(&a, params);
	p->process.data = p;
	return uv_spawn(params->loop, &p->process, &options);
}

int passt_start(const struct passt_params *params, struct passt **ret,
		int *ret_fd, struct error *e)
{
	_cleanup_close_ int ours = -1, theirs = -1, errors = -1;
	struct passt *p = calloc(1, sizeof(*p));
	char path[256];
	int ends[2], r;

	r = p ? find_program(path, sizeof(path), e)
	      : error_set(e, -ENOMEM, "out of memory");
	if (r == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		r = error_set(e, -errno, "cannot make a socket: %m");
	if (r < 0) {
		free(p);
		return r;
	}
	ours = ends[0];
	theirs = ends[1];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
		free(p);
		return error_set(e, -errno, "cannot make a pipe: %m");
	}
	p->errors_fd = ends[0];
	errors = ends[1];
	r = spawn(p, params, path, theirs, errors);
	if (r < 0) {
		/* Also of a handle that did not become one (libuv). */
		uv_close((uv_handle_t *)&p->process, on_closed);
		return error_set(e, r, "cannot start %s: %s", path,
				 uv_strerror(r));
	}
	/* The daemon may end before it does. */
	uv_unref((uv_handle_t *)&p->process);
	*ret = p;
	*ret_fd = TAKE_FD(ours);
	return 0;
}

void passt_then(struct passt *p, passt_done_fn done, void *cookie)
{
	p->done = done;
	p->cookie = cookie;
	if (p->known)
		tell(p);
}

struct passt *passt_forget(struct passt *p)
{
	if (!p)
		return NULL;
	p->done = NULL;
	p->forgotten = true;
	if (p->known)
		uv_close((uv_handle_t *)&p->process, on_closed);
	return NULL;
}
