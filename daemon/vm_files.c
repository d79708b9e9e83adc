#include "daemon/vm_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/turn.h"
#include "daemon/vm_log.h"
#include "lib/base/log.h"

/* All that is ever made in a VM's directory. */
static const char *const names[] = {
	"nvram.spill",
	VM_LOG_NAME(0),
	VM_LOG_NAME(1),
};

int vm_files_unlink(const char *dir)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", dir, names[i]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
	}
	return rmdir(dir) < 0 && errno != ENOENT ? -errno : 0;
}

int vm_files_open(struct vm *vm, const char *name, mode_t mode, int *ret_fd,
		  struct error *e)
{
	_cleanup_free_ char *dir = manager_vm_dir(vm->manager, vm->config.uuid);
	_cleanup_free_ char *path = NULL;
	int fd;

	if (!dir || asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_set(e, -errno, "cannot make directory %s: %m",
				 dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return error_set(e, -errno, "cannot open %s: %m", path);
	*ret_fd = fd;
	return 0;
}

static void remove_cb(struct manager *m, const struct turn_note *note,
		      const struct error *why)
{
	_cleanup_free_ char *dir = manager_vm_dir(m, note->uuid);
	int r = why || !dir ? 0 : vm_files_unlink(dir);

	if (r < 0)
		log_warning("cannot remove %s: %s", dir, strerror(-r));
}

void vm_files_remove(struct vm *vm)
{
	struct turn_note note = {.vm_id = vm->id};

	snprintf(note.uuid, sizeof(note.uuid), "%s", vm->config.uuid);
	turn_after(vm->manager, remove_cb, &note);
}
