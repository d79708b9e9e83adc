#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "daemon/scope.h"
#include "daemon/supervisor_link.h"
#include "daemon/vm_fs.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/wire/messages.h"

/* As the policy for crashes has it. */
#define RESTARTS_MAX	   5
#define RESTARTS_WINDOW_MS (10 * 60 * 1000)

#define REQUEST_TIMEOUT_MS 10000

/* Where distributions have it. */
static const char *const programs[] = {
	"/usr/libexec/virtiofsd",
	"/usr/lib/virtiofsd",
	"/usr/lib/qemu/virtiofsd",
	NULL,
};

/* A server that is our child. */
struct fs_server {
	struct fs_server *next, *previous;
	struct manager *manager;
	int64_t vm_id;
	pid_t pid;
	int pidfd;
	uv_poll_t poll;
};

static int find_program(const char **ret, struct error *e)
{
	for (const char *const *p = programs; *p; p++)
		if (access(*p, X_OK) == 0) {
			*ret = *p;
			return 0;
		}
	return error_set(e, -ENOENT,
			 "filesystems: there is no virtiofsd at %s, %s or %s; "
			 "install the package virtiofsd (Debian 12: "
			 "qemu-system-common)",
			 programs[0], programs[1], programs[2]);
}

static int check_path(const struct filesystem_config *fs, struct error *e)
{
	struct stat st;

	if (stat(fs->path, &st) < 0)
		return error_set(e, -errno, "filesystem \"%s\": \"%s\": %m",
				 fs->tag, fs->path);
	if (!S_ISDIR(st.st_mode))
		return error_set(e, -EINVAL,
				 "filesystem \"%s\": \"%s\" is no folder",
				 fs->tag, fs->path);
	return 0;
}

int vm_fs_check(const struct vm_config *c, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < c->n_filesystems && r == 0; i++)
		if (c->filesystems[i].path)
			r = check_path(&c->filesystems[i], e);
	return r;
}

static void on_closed(uv_handle_t *handle)
{
	struct fs_server *s = handle->data;

	fd_close(s->pidfd);
	free(s);
}

static void forget(struct fs_server *s)
{
	if (s->next)
		s->next->previous = s->previous;
	if (s->previous)
		s->previous->next = s->next;
	else
		s->manager->fs_servers = s->next;
	uv_close((uv_handle_t *)&s->poll, on_closed);
}

/* It has ended. What that means its connection says, to the supervisor. */
static void on_ended(uv_poll_t *poll, int status, int events)
{
	struct fs_server *s = poll->data;

	waitpid(s->pid, NULL, WNOHANG);
	forget(s);
}

/* Watch our child until it has ended; without that it would stay a zombie. */
static int watch(struct vm *vm, pid_t pid, struct error *e)
{
	struct manager *m = vm->manager;
	struct fs_server *s = calloc(1, sizeof(*s));
	int pidfd = s ? pidfd_open(pid, 0) : -1;

	if (pidfd < 0 || uv_poll_init(m->loop, &s->poll, pidfd) < 0) {
		fd_close(pidfd);
		free(s);
		kill(pid, SIGKILL); /* our child, not yet reaped: still it */
		waitpid(pid, NULL, 0);
		return error_set(e, -EIO, "cannot watch process %d", (int)pid);
	}
	s->manager = m;
	s->vm_id = vm->id;
	s->pid = pid;
	s->pidfd = pidfd;
	s->next = m->fs_servers;
	if (s->next)
		s->next->previous = s;
	m->fs_servers = s;
	s->poll.data = s;
	uv_poll_start(&s->poll, UV_READABLE, on_ended);
	return 0;
}

static int spawn(struct vm *vm, const struct filesystem_config *fs,
		 const char *program, int listen_fd, struct error *e)
{
	const char *argv[] = {"armvm-supervisor",
			      "--share",
			      fs->path,
			      "--server",
			      program,
			      fs->readonly ? "--readonly" : NULL,
			      NULL};
	const char *envp[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	pid_t pid;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID |
						POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, listen_fd, WIRE_CONTROL_FD);
	/* posix_spawn takes them without const and changes nothing. */
	r = posix_spawn(&pid, vm->manager->supervisor_path, &actions, &attr,
			(char **)argv, (char **)envp);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (r != 0)
		return error_set_code(e, ERROR_INTERNAL, "cannot start %s: %s",
				      vm->manager->supervisor_path,
				      strerror(r));
	return watch(vm, pid, e);
}

static int socket_new(const char *path, struct sockaddr_un *addr, int *ret,
		      struct error *e)
{
	int fd;

	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(addr->sun_path))
		return error_set(e, -ENAMETOOLONG,
				 "socket path %s is longer than %zu bytes",
				 path, sizeof(addr->sun_path) - 1);
	strcpy(addr->sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(e, -errno, "cannot make a socket: %m");
	*ret = fd;
	return 0;
}

/* Does not wait: who listens need not accept for that. */
static int connect_to(const char *path, int *ret, struct error *e)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr;
	int r = socket_new(path, &addr, &fd, e);

	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set(e, -errno, "cannot connect to %s: %m", path);
	*ret = TAKE_FD(fd);
	return 0;
}

/* A listening socket and a connection to it that waits to be accepted. Its
 * name is needed for that moment alone. */
static int pair_new(struct vm *vm, int *ret_listen, int *ret, struct error *e)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *path = NULL;
	struct sockaddr_un addr;
	int r;

	if (asprintf(&path, "%s/fs-%lld.sock", vm->manager->runtime_dir,
		     (long long)vm->id) < 0) {
		path = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	r = socket_new(path, &addr, &fd, e);
	if (r < 0)
		return r;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set(e, -errno, "cannot listen on %s: %m", path);
	r = chmod(path, 0600) < 0 || listen(fd, 1) < 0
		    ? error_set(e, -errno, "cannot listen on %s: %m", path)
		    : connect_to(path, ret, e);
	unlink(path);
	/* The server waits in accept(). */
	if (r == 0 && fcntl(fd, F_SETFL, 0) == 0)
		*ret_listen = TAKE_FD(fd);
	return r;
}

int vm_fs_open(struct vm *vm, const struct filesystem_config *fs, int *ret,
	       struct error *e)
{
	_cleanup_close_ int fd = -1, listen_fd = -1;
	const char *program;
	int r;

	if (fs->socket) {
		r = connect_to(fs->socket, ret, e);
		return r < 0 ? error_prefix(e, r, "filesystem \"%s\"", fs->tag)
			     : 0;
	}
	r = find_program(&program, e);
	if (r == 0 && geteuid() != 0)
		r = error_set(e, -EPERM,
			      "filesystem \"%s\": only a daemon that root has "
			      "started can serve a \"path\"; start a virtiofsd "
			      "and give its \"socket\"",
			      fs->tag);
	if (r == 0)
		r = check_path(fs, e);
	if (r == 0)
		r = pair_new(vm, &listen_fd, &fd, e);
	if (r == 0)
		r = spawn(vm, fs, program, listen_fd, e);
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}

static bool may_restart(struct vm *vm)
{
	uint64_t now = uv_now(vm->manager->loop);

	if (now - vm->fs_restarts_since > RESTARTS_WINDOW_MS) {
		vm->fs_restarts_since = now;
		vm->fs_restarts = 0;
	}
	return vm->fs_restarts++ < RESTARTS_MAX;
}

static void replaced_cb(struct vm *vm, void *cookie, json_object *reply,
			int *fds, size_t n_fds, const struct error *e)
{
	if (e)
		log_vm(LOG_LEVEL_WARNING, vm->config.name, "filesystem: %s",
		       e->message);
	scopes_join(vm);
}

static int replace(struct vm *vm, const struct filesystem_config *fs,
		   struct error *e)
{
	_cleanup_close_ int fd = -1;
	json_object *body;
	int r;

	if (!may_restart(vm))
		return error_set(e, -EAGAIN,
				 "its servers ended %d times in 10 minutes; "
				 "it has none until the VM starts again",
				 RESTARTS_MAX);
	r = vm_fs_open(vm, fs, &fd, e);
	if (r < 0)
		return r;
	body = json_object_new_object();
	json_object_object_add(body, "tag", json_object_new_string(fs->tag));
	link_request(vm->supervisor, "filesystem", body, &fd, 1,
		     REQUEST_TIMEOUT_MS, replaced_cb, NULL);
	return 0;
}

void vm_fs_lost(struct vm *vm, json_object *message)
{
	const struct filesystem_config *fs = NULL;
	json_object *tag = NULL, *detail = NULL;
	char text[ERROR_MESSAGE_MAX];
	struct error e = ERROR_INIT;

	json_object_object_get_ex(message, "tag", &tag);
	json_object_object_get_ex(message, "detail", &detail);
	for (size_t i = 0; i < vm->config.n_filesystems; i++)
		if (tag && streq(json_object_get_string(tag),
				 vm->config.filesystems[i].tag))
			fs = &vm->config.filesystems[i];
	/* A supervisor does not invent filesystems. */
	if (!fs || !vm->supervisor || vm->state == VM_STOPPING)
		return;
	if (replace(vm, fs, &e) < 0)
		snprintf(text, sizeof(text), "%.300s; %.300s",
			 detail ? json_object_get_string(detail) : "",
			 e.message);
	else
		snprintf(text, sizeof(text),
			 "%.300s; a new server is there for the guest's next "
			 "mount after armvmctl reset",
			 detail ? json_object_get_string(detail) : "");
	vm_event(vm, "filesystem-lost", text);
}

size_t vm_fs_pids(const struct vm *vm, pid_t *ret, size_t max)
{
	size_t n = 0;

	for (struct fs_server *s = vm->manager->fs_servers; s; s = s->next)
		if (s->vm_id == vm->id && n < max)
			ret[n++] = s->pid;
	return n;
}

void vm_fs_ended(struct vm *vm)
{
	for (struct fs_server *s = vm->manager->fs_servers; s; s = s->next)
		if (s->vm_id == vm->id)
			pidfd_send_signal(s->pidfd, SIGKILL, NULL, 0);
	vm->fs_restarts = 0;
}

void vm_fs_forget(struct manager *m)
{
	while (m->fs_servers)
		forget(m->fs_servers);
}
