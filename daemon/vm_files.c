#include "daemon/vm_files.h"

#include <stdio.h>
#include <unistd.h>

#include "daemon/turn.h"
#include "lib/base/log.h"

static void remove_cb(struct manager *m, const struct turn_note *note,
		      const struct error *why)
{
	_cleanup_free_ char *dir = manager_vm_dir(m, note->uuid);
	_cleanup_free_ char *spill = NULL;

	if (why || !dir || asprintf(&spill, "%s/nvram.spill", dir) < 0)
		return;
	if ((unlink(spill) < 0 && errno != ENOENT) ||
	    (rmdir(dir) < 0 && errno != ENOENT))
		log_warning("cannot remove %s: %m", dir);
}

void vm_files_remove(struct vm *vm)
{
	struct turn_note note = {.vm_id = vm->id};

	snprintf(note.uuid, sizeof(note.uuid), "%s", vm->config.uuid);
	turn_after(vm->manager, remove_cb, &note);
}
