/*
 * Starting VMs with the host: one after the other, each waited for.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/vm_policy.h"
#include "daemon/vm_run.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

struct autostart {
	struct manager *manager;
	uv_timer_t timer;
	int64_t *ids;
	size_t count, next;
};

/* Names the boot for which it was done; in the runtime directory. */
static char *mark_path(const struct manager *m)
{
	char *path;

	return asprintf(&path, "%s/autostarted", m->runtime_dir) < 0 ? NULL
								     : path;
}

static bool done_before(const struct manager *m)
{
	_cleanup_free_ char *path = mark_path(m);
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	char text[sizeof(m->boot_id)] = "";

	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 &&
	       streq(text, m->boot_id);
}

static void mark_done(const struct manager *m)
{
	_cleanup_free_ char *path = mark_path(m);
	_cleanup_close_ int fd = path ? open(path,
					     O_WRONLY | O_CREAT | O_TRUNC |
						     O_CLOEXEC | O_NOFOLLOW,
					     0600)
				      : -1;

	if (fd < 0 || write(fd, m->boot_id, strlen(m->boot_id)) < 0)
		log_warning("%s cannot be written: %m", path ? path : "");
}

static void timer_cb(uv_timer_t *timer);

static void started_cb(struct vm *vm, void *cookie, const struct error *e)
{
	struct manager *m = cookie;

	if (e)
		vm_event(vm, "autostart-failed", e->message);
	/* Gone when the daemon is stopping. */
	if (m->autostart)
		uv_timer_start(&m->autostart->timer, timer_cb,
			       e ? 0 : vm->config.autostart_delay_ms, 0);
}

static void timer_cb(uv_timer_t *timer)
{
	struct autostart *a = timer->data;
	struct manager *m = a->manager;
	struct error e = ERROR_INIT;
	struct vm *vm;

	while (a->next < a->count) {
		vm = vm_by_id(m, a->ids[a->next++], &e);
		if (!vm || vm_state_active(vm->state))
			continue;
		vm_start(vm, started_cb, m);
		return;
	}
	mark_done(m);
	vm_policy_stop(m);
}

static int collect(void *cookie, const struct store_vm *row)
{
	struct autostart *a = cookie;
	int64_t *grown = reallocarray(a->ids, a->count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	a->ids = grown;
	a->ids[a->count++] = row->id;
	return 0;
}

void vm_policy_autostart(struct manager *m)
{
	struct autostart *a;
	struct error e = ERROR_INIT;

	if (done_before(m))
		return;
	a = calloc(1, sizeof(*a));
	if (!a)
		return;
	a->manager = m;
	uv_timer_init(m->loop, &a->timer);
	a->timer.data = a;
	m->autostart = a;
	if (store_vm_each(m->store, STORE_VM_AUTOSTART, collect, a, &e) < 0)
		log_error("VMs cannot be started with the host: %s", e.message);
	uv_timer_start(&a->timer, timer_cb, 0, 0);
}

static void free_cb(uv_handle_t *handle)
{
	struct autostart *a = handle->data;

	free(a->ids);
	free(a);
}

void vm_policy_stop(struct manager *m)
{
	if (m->autostart)
		uv_close((uv_handle_t *)&m->autostart->timer, free_cb);
	m->autostart = NULL;
}
