#include "daemon/vm_processes.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/supervisor_link.h"
#include "daemon/vm_fs.h"
#include "lib/base/fd.h"

#define TEXT_SIZE 2048

struct found {
	pid_t *pids;
	size_t n;
};

static void add(struct found *f, pid_t pid)
{
	if (pid > 0 && f->n < VM_PROCESSES_MAX)
		f->pids[f->n++] = pid;
}

static bool read_text(const char *path, char ret[TEXT_SIZE])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, TEXT_SIZE - 1);

	if (n < 0)
		return false;
	ret[n] = '\0';
	return true;
}

/* proc(5): what its main thread has forked, separated by spaces. */
static void add_children(struct found *f, pid_t pid)
{
	char path[64], text[TEXT_SIZE], *at = text, *end;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid,
		 (int)pid);
	if (!read_text(path, text))
		return;
	for (;; at = end) {
		pid_t child = (pid_t)strtol(at, &end, 10);

		if (end == at)
			break;
		add(f, child);
	}
}

/* Its directory belongs to root when the process may not be traced, so this
 * takes the real uid of its status. */
static bool runs_as(pid_t pid, uid_t uid)
{
	char path[40], text[TEXT_SIZE], *line;
	unsigned real;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	line = read_text(path, text) ? strstr(text, "\nUid:") : NULL;
	return line && sscanf(line, "\nUid: %u", &real) == 1 && real == uid;
}

static void add_by_uid(struct found *f, const struct vm *vm)
{
	uid_t uid = link_uid(vm);
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0])
				    ? (pid_t)atoi(entry->d_name)
				    : 0;

		if (pid > 0 && pid != vm->supervisor->pid && runs_as(pid, uid))
			add(f, pid);
	}
	if (dir)
		closedir(dir);
}

size_t vm_processes(const struct vm *vm, pid_t *ret)
{
	pid_t servers[VM_FILESYSTEMS_MAX];
	struct found f = {.pids = ret};
	size_t n = vm_fs_pids(vm, servers, ARRAY_SIZE(servers));

	for (size_t i = 0; i < n; i++) {
		add(&f, servers[i]);
		add_children(&f, servers[i]);
	}
	/* Without root everything has the daemon's uid. */
	if (vm->supervisor && geteuid() == 0)
		add_by_uid(&f, vm);
	return f.n;
}

bool vm_is_served(const struct vm_config *c)
{
	bool user = false;

	for (size_t i = 0; i < c->n_nics; i++)
		user |= c->nics[i].user;
	return user || c->n_filesystems > 0;
}
