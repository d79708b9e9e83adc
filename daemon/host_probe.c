#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "daemon/manager.h"
#include "lib/base/buf.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/wire/messages.h"

/* A host that takes longer is not one that runs VMs. */
#define PROBE_TIMEOUT_MS 10000
#define PROBE_BYTES_MAX	 4096

static int spawn_probe(const char *program, int kvm_fd, int out_fd,
		       pid_t *ret_pid)
{
	const char *argv[] = {program, "--probe", NULL};
	const char *envp[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL};
	posix_spawn_file_actions_t actions;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, kvm_fd, WIRE_CONTROL_FD);
	/* posix_spawn takes them without const and changes nothing. */
	r = posix_spawn(ret_pid, program, &actions, NULL, (char **)argv,
			(char **)envp);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* All it says until it closes its end, or has taken too long. */
static int read_answer(int fd, struct buf *answer)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char bytes[512];
	ssize_t n;

	for (;;) {
		if (poll(&p, 1, PROBE_TIMEOUT_MS) <= 0)
			return -ETIMEDOUT;
		n = read(fd, bytes, sizeof(bytes));
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (answer->size > PROBE_BYTES_MAX)
			return -E2BIG;
		if (buf_append(answer, bytes, (size_t)n) < 0)
			return -ENOMEM;
	}
}

static int run_probe(const char *program, int fd, struct buf *answer,
		     bool *ret_well, struct error *e)
{
	_cleanup_close_ int in = -1, out = -1;
	int fds[2], status = 0, r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_set(e, -errno, "cannot make a pipe: %m");
	in = fds[0];
	out = fds[1];
	r = spawn_probe(program, fd, out, &pid);
	if (r < 0)
		return error_set(e, r, "cannot start %s: %s", program,
				 strerror(-r));
	out = fd_close(out);
	r = read_answer(in, answer);
	if (r < 0)
		kill(pid, SIGKILL); /* our child, not yet reaped: still it */
	waitpid(pid, &status, 0);
	if (r < 0)
		return error_set(e, r, "%s --probe: %s", program, strerror(-r));
	*ret_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return 0;
}

/* Its reason, if it got as far as giving one. */
static int refusal(const char *program, json_object *answer, struct error *e)
{
	json_object *text = NULL;

	json_object_object_get_ex(answer, "error", &text);
	if (text)
		return error_set(e, -EOPNOTSUPP, "%s",
				 json_object_get_string(text));
	return error_set(e, -EOPNOTSUPP,
			 "%s cannot run here: a library it needs is missing, "
			 "or of another version",
			 program);
}

/* What the program says, decoded by `fields`. */
static int ask(const char *program, int fd, const struct json_field *fields,
	       void *ret, struct error *e)
{
	_cleanup_json_ json_object *object = NULL;
	_cleanup_buf_ struct buf answer = {0};
	bool well;
	int r = run_probe(program, fd, &answer, &well, e);

	if (r < 0)
		return r;
	while (answer.size && answer.data[answer.size - 1] == '\n')
		answer.size--;
	r = json_parse(answer.size ? answer.data : "", answer.size, &object, e);
	if (!well)
		return refusal(program, object, e);
	if (r == 0)
		r = json_decode(object, fields, ret, "", e);
	return r < 0 ? error_prefix(e, r, "%s --probe", program) : 0;
}

static int probe_kvm(struct manager *m, struct error *e)
{
	_cleanup_close_ int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int r;

	if (fd < 0)
		return error_set(e, -errno, "/dev/kvm: %m");
	r = ask(m->supervisor_path, fd, host_caps_fields, &m->caps, e);
	m->caps_known = r == 0;
	return r;
}

static int probe_xen(struct manager *m, struct error *e)
{
	_cleanup_close_ int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r;

	if (access(m->supervisor_xen_path, X_OK) < 0)
		return error_set(e, -ENOENT,
				 "this armvmd is built without Xen");
	if (fd < 0)
		return error_set(e, -errno, "/dev/null: %m");
	r = ask(m->supervisor_xen_path, fd, xen_caps_fields, &m->xen, e);
	m->xen_known = r == 0;
	return r;
}

/* Its socket stays behind when it is killed. Where there is none, the program
 * that asks knows more. */
static int xenstored_listens(struct error *e)
{
	static const struct sockaddr_un addr = {
		.sun_family = AF_UNIX,
		.sun_path = "/run/xenstored/socket",
	};
	_cleanup_close_ int fd = socket(
		AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 ||
	    errno != ECONNREFUSED)
		return 0;
	return error_set(e, -ENODEV,
			 "xenstored is not running (%s: %m); once it has "
			 "ended, the host has to be restarted",
			 addr.sun_path);
}

int manager_find_xen(const struct manager *m, struct error *e)
{
	if (!m->xen_known)
		return error_set(e, -ENODEV, "%s", m->xen_why.message);
	return xenstored_listens(e);
}

void manager_probe_host(struct manager *m)
{
	struct error e = ERROR_INIT;

	if (probe_kvm(m, &e) < 0)
		log_info("no KVM guests: %s", e.message);
	if (probe_xen(m, &m->xen_why) < 0)
		log_info("no Xen guests: %s", m->xen_why.message);
}
