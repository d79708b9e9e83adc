#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "daemon/link_internal.h"
#include "daemon/scope.h"
#include "lib/base/cpu_list.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/wire/messages.h"

/*
 * Each supervisor runs under a uid of its own, so that one that was taken over
 * can neither signal nor trace another. The range lies above what accounts,
 * containers (systemd: up to 1879048191) and NFS use, and below 2^31.
 */
#define SUPERVISOR_UID_BASE  1900000000
#define SUPERVISOR_UID_COUNT 200000000

uid_t link_uid(const struct vm *vm)
{
	return SUPERVISOR_UID_BASE + (uid_t)(vm->id % SUPERVISOR_UID_COUNT);
}

static int control_socket_new(const struct vm *vm, int *ret, struct error *e)
{
	_cleanup_free_ char *path = manager_socket_path(vm->manager,
							vm->config.uuid);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;

	if (!path || strlen(path) >= sizeof(addr.sun_path))
		return error_set(e, -ENAMETOOLONG,
				 "socket path %s is longer than %zu bytes; "
				 "choose a shorter --runtime-dir",
				 path ? path : "", sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(e, -errno, "cannot make a socket: %m");
	unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chmod(path, 0600) < 0 || listen(fd, 4) < 0)
		return error_set(e, -errno, "cannot listen on %s: %m", path);
	*ret = TAKE_FD(fd);
	return 0;
}

/* Own session, so that a terminal's signals to the daemon pass it by; default
 * signal dispositions and an empty mask, whatever the daemon has. */
static void spawn_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(attr);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSID |
					       POSIX_SPAWN_SETSIGMASK |
					       POSIX_SPAWN_SETSIGDEF);
}

static int spawn_process(const struct vm *vm, int control_fd, pid_t *ret_pid,
			 struct error *e)
{
	bool xen = vm->hypervisor == VM_HYPERVISOR_XEN;
	const char *program = xen ? vm->manager->supervisor_xen_path
				  : vm->manager->supervisor_path;
	char uid[16], fd_text[16];
	const char *argv[] = {xen ? "armvm-supervisor-xen" : "armvm-supervisor",
			      "--control-fd",
			      fd_text,
			      "--uid",
			      uid,
			      "--name",
			      vm->config.name,
			      NULL};
	const char *envp[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL, NULL};
	_cleanup_free_ char *journal = NULL;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int r;

	snprintf(uid, sizeof(uid), "%u", (unsigned)link_uid(vm));
	snprintf(fd_text, sizeof(fd_text), "%d", WIRE_CONTROL_FD);
	if (getenv("JOURNAL_STREAM") && asprintf(&journal, "JOURNAL_STREAM=%s",
						 getenv("JOURNAL_STREAM")) > 0)
		envp[2] = journal;
	spawn_attributes(&attr);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, control_fd, WIRE_CONTROL_FD);
	/* posix_spawn takes them without const and changes nothing. */
	r = posix_spawn(ret_pid, program, &actions, &attr, (char **)argv,
			(char **)envp);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (r != 0)
		return error_set_code(e, ERROR_INTERNAL, "cannot start %s: %s",
				      program, strerror(r));
	return 0;
}

/* Field 22 of /proc/PID/stat, counted after the parenthesized name, which may
 * hold anything. */
static int process_start_time(pid_t pid, uint64_t *ret)
{
	char path[64], text[1024], *p;
	_cleanup_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	p = strrchr(text, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EBADMSG;
	*ret = strtoull(p + 1, NULL, 10);
	return 0;
}

/* Before it has other threads, which inherit it. On Xen the domain's own CPUs
 * are meant, which are not dom0's. */
static int keep_on_cpus(const struct vm *vm, pid_t pid, struct error *e)
{
	struct cpu_list list;
	cpu_set_t set;

	if (!vm->config.host_cpus || vm->hypervisor == VM_HYPERVISOR_XEN ||
	    cpu_list_parse(vm->config.host_cpus, &list) < 0)
		return 0;
	CPU_ZERO(&set);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (cpu_list_has(&list, cpu))
			CPU_SET(cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set) == 0)
		return 0;
	return error_set(e, -errno,
			 "host_cpus: \"%.200s\": this host has none of these "
			 "CPUs",
			 vm->config.host_cpus);
}

static int record_run(struct vm *vm, pid_t pid, struct error *e)
{
	struct store_run run = {
		.vm_id = vm->id,
		.pid = pid,
		.goes_on = vm_state_active(vm->state),
	};
	int r = pid ? process_start_time(pid, &run.start_time) : 0;

	if (r < 0)
		return error_set(e, r, "cannot read /proc/%d/stat", (int)pid);
	memcpy(run.boot_id, vm->manager->boot_id, sizeof(run.boot_id));
	return store_run_set(vm->manager->store, &run, e);
}

static void kept_name(const struct vm *vm, char *ret, size_t size)
{
	snprintf(ret, size, LINK_KEPT_PREFIX "%s", vm->config.uuid);
}

void link_keep(const struct supervisor *s)
{
	char name[64];

	kept_name(s->vm, name, sizeof(name));
	service_keep(name, s->pidfd);
}

static void drop(const struct vm *vm)
{
	char name[64];

	kept_name(vm, name, sizeof(name));
	service_drop(name);
}

void link_drop(const struct supervisor *s)
{
	drop(s->vm);
}

/* The process a pidfd is of, by proc(5); -1 when it was reaped, or is none. */
static pid_t pidfd_pid(int pidfd)
{
	char path[64], text[512], *line;
	_cleanup_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -1;
	text[n] = '\0';
	line = strstr(text, "\nPid:");
	return line ? (pid_t)strtol(line + strlen("\nPid:"), NULL, 10) : -1;
}

/* Undo a half-made start: the process, its record, its socket. */
static void abort_spawn(struct vm *vm, pid_t pid)
{
	_cleanup_free_ char *path = manager_socket_path(vm->manager,
							vm->config.uuid);
	struct error e = ERROR_INIT;

	if (pid > 0) {
		kill(pid, SIGKILL); /* our child, not yet reaped: still it */
		waitpid(pid, NULL, 0);
	}
	if (path)
		unlink(path);
	if (store_run_clear(vm->manager->store, vm->id, &e) < 0)
		log_vm(LOG_LEVEL_ERROR, vm->config.name, "%s", e.message);
}

int link_spawn(struct vm *vm, struct error *e)
{
	_cleanup_close_ int control_fd = -1;
	struct supervisor *s = NULL;
	pid_t pid = 0;
	int pidfd, r;

	r = control_socket_new(vm, &control_fd, e);
	if (r == 0)
		r = record_run(vm, 0, e);
	if (r == 0)
		r = spawn_process(vm, control_fd, &pid, e);
	if (r == 0)
		r = keep_on_cpus(vm, pid, e);
	if (r == 0)
		r = record_run(vm, pid, e);
	if (r == 0) {
		pidfd = pidfd_open(pid, 0);
		s = pidfd < 0 ? NULL : link_new(vm, pid, pidfd, true, e);
		r = s ? 0 : error_set(e, -EIO, "cannot watch process %d", pid);
	}
	if (r < 0) {
		abort_spawn(vm, pid);
		return r;
	}
	/* From here the process is watched: a failure ends through it. */
	vm->supervisor = s;
	link_keep(s);
	scopes_add(vm->manager->scopes, vm);
	r = link_connect(s, e);
	if (r < 0)
		link_kill(s);
	return r;
}

void links_resume(struct manager *m)
{
	_cleanup_free_ int64_t *ids = NULL;
	size_t most = 0, n = 0;

	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		most++;
	ids = calloc(most ? most : 1, sizeof(*ids));
	if (!ids)
		return;
	/* What one says may take others out of memory. */
	for (const struct vm *vm = m->vms; vm; vm = vm->next)
		ids[n++] = vm->id;
	for (size_t i = 0; i < n; i++) {
		struct vm *vm = vm_in_memory(m, ids[i]);

		if (vm && vm->supervisor && vm->supervisor->channel)
			channel_resume(vm->supervisor->channel);
	}
}

/* That very process, or nobody. */
static int kept_pidfd(struct vm *vm, const struct store_run *run)
{
	_cleanup_close_ int fd = -1;
	char name[64];

	kept_name(vm, name, sizeof(name));
	fd = service_kept_take(&vm->manager->kept, name);
	return fd >= 0 && pidfd_pid(fd) == (pid_t)run->pid ? TAKE_FD(fd) : -1;
}

/* First the descriptor, then the proof: were the pid reused between the two,
 * the start times would differ. */
static int recorded_pidfd(const struct store_run *run)
{
	_cleanup_close_ int pidfd = pidfd_open((pid_t)run->pid, 0);
	uint64_t start_time;

	if (pidfd < 0 || process_start_time((pid_t)run->pid, &start_time) < 0 ||
	    start_time != run->start_time)
		return -1;
	return TAKE_FD(pidfd);
}

int link_adopt(struct vm *vm, const struct store_run *run,
	       const struct store_vm *row, struct error *e)
{
	_cleanup_close_ int pidfd = -1;
	struct supervisor *s;

	if (!streq(run->boot_id, vm->manager->boot_id))
		return error_set(e, -ESRCH, "the host was restarted");
	if (run->pid <= 0)
		return error_set(e, -ESRCH, "its start never finished");
	pidfd = kept_pidfd(vm, run);
	if (pidfd < 0)
		pidfd = recorded_pidfd(run);
	if (pidfd < 0) {
		drop(vm);
		return error_set(e, -ESRCH, "process %lld is gone",
				 (long long)run->pid);
	}
	s = link_new(vm, (pid_t)run->pid, TAKE_FD(pidfd), false, e);
	if (!s)
		return -ENOMEM;
	vm->supervisor = s;
	link_keep(s);
	vm_restore_state(vm, row);
	if (link_connect(s, e) == 0)
		vm_supervisor_connected(vm);
	else
		uv_timer_start(&s->retry, link_retry_cb, 100, 0);
	return 0;
}
