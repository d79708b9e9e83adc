#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
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
	const char *argv[] = {"armvm-supervisor", "--probe", NULL};
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

static int run_probe(const char *program, int kvm_fd, struct buf *answer,
		     struct error *e)
{
	_cleanup_close_ int in = -1, out = -1;
	int fds[2], status = 0, r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_set(e, -errno, "cannot make a pipe: %m");
	in = fds[0];
	out = fds[1];
	r = spawn_probe(program, kvm_fd, out, &pid);
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
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(e, -EOPNOTSUPP,
				 "%s --probe found nothing usable", program);
	return 0;
}

int manager_probe_host(struct manager *m, struct error *e)
{
	_cleanup_close_ int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	_cleanup_json_ json_object *object = NULL;
	_cleanup_buf_ struct buf answer = {0};
	int r;

	if (kvm_fd < 0)
		return error_set(e, -errno, "/dev/kvm: %m");
	r = run_probe(m->supervisor_path, kvm_fd, &answer, e);
	if (r < 0)
		return r;
	while (answer.size && answer.data[answer.size - 1] == '\n')
		answer.size--;
	r = json_parse(answer.size ? answer.data : "", answer.size, &object, e);
	if (r == 0)
		r = json_decode(object, host_caps_fields, &m->caps, "", e);
	if (r < 0)
		return error_prefix(e, r, "%s --probe", m->supervisor_path);
	m->caps_known = true;
	return 0;
}
