#include "daemon/tidy.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/vm.h"
#include "daemon/vm_files.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"

#define DIRS_AT_A_TIME 128
#define PAUSE_MS       10

struct tidy {
	struct manager *manager;
	uv_timer_t timer;
	DIR *dir;
};

/* A supervisor that was never configured ends when its daemon leaves: coming
 * and going is enough. */
static void send_away(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC,
					0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (fd < 0 || strlen(path) >= sizeof(addr.sun_path))
		return;
	strcpy(addr.sun_path, path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		log_warning("%s: a supervisor whose start was never recorded "
			    "is sent away",
			    path);
}

static bool runs(struct manager *m, const char *uuid)
{
	const struct vm *vm;
	int64_t id;

	/* When in doubt it does. */
	if (store_vm_id(m->store, uuid, &id, NULL) != 0)
		return false;
	vm = vm_in_memory(m, id);
	return vm && vm->supervisor;
}

static void tidy_sockets(struct manager *m)
{
	DIR *dir = opendir(m->runtime_dir);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char uuid[UUID_TEXT_SIZE];
		_cleanup_free_ char *path = NULL;

		snprintf(uuid, sizeof(uuid), "%.36s", entry->d_name);
		if (!uuid_valid(uuid) ||
		    !streq(entry->d_name + UUID_TEXT_SIZE - 1, ".sock") ||
		    runs(m, uuid))
			continue;
		path = manager_socket_path(m, uuid);
		if (!path)
			continue;
		send_away(path);
		unlink(path);
	}
	if (dir)
		closedir(dir);
}

static void tidy_dir(struct manager *m, const char *uuid)
{
	_cleanup_free_ char *dir = manager_vm_dir(m, uuid);
	int64_t id;
	int r;

	if (!dir || store_vm_id(m->store, uuid, &id, NULL) != -ENOENT)
		return;
	r = vm_files_unlink(dir);
	if (r < 0)
		log_warning("cannot remove %s, which is left of a VM that was "
			    "deleted: %s",
			    dir, strerror(-r));
	else
		log_info("%s: left of a VM that was deleted; removed", dir);
}

static void free_cb(uv_handle_t *handle)
{
	free(handle->data);
}

static void dirs_done(struct manager *m)
{
	struct tidy *t = m->tidy;

	if (!t)
		return;
	m->tidy = NULL;
	closedir(t->dir);
	uv_close((uv_handle_t *)&t->timer, free_cb);
}

static void timer_cb(uv_timer_t *timer)
{
	struct tidy *t = timer->data;
	struct dirent *entry = NULL;

	for (int i = 0; i < DIRS_AT_A_TIME && (entry = readdir(t->dir)); i++)
		if (uuid_valid(entry->d_name))
			tidy_dir(t->manager, entry->d_name);
	if (!entry)
		dirs_done(t->manager);
}

struct check {
	uv_work_t work;
	struct manager *manager; /* NULL: it ended meanwhile */
	char *dir;
	int result;
	struct error error;
};

static void check_work(uv_work_t *work)
{
	struct check *c = container_of(work, struct check, work);

	c->result = store_check(c->dir, &c->error);
}

static void check_done(uv_work_t *work, int status)
{
	struct check *c = container_of(work, struct check, work);

	if (status == 0 && c->result < 0)
		log_error("%s", c->error.message);
	if (c->manager && status == 0 && c->result == -EBADMSG)
		store_refuse(c->manager->store);
	if (c->manager)
		c->manager->check = NULL;
	free(c->dir);
	free(c);
}

static void check_store(struct manager *m)
{
	struct check *c = calloc(1, sizeof(*c));

	if (c)
		c->dir = strdup(m->state_dir);
	if (!c || !c->dir) {
		free(c);
		return;
	}
	c->manager = m;
	m->check = c;
	if (uv_queue_work(m->loop, &c->work, check_work, check_done) == 0)
		return;
	m->check = NULL;
	free(c->dir);
	free(c);
}

void tidy_begin(struct manager *m)
{
	_cleanup_free_ char *path = NULL;
	struct tidy *t;

	tidy_sockets(m);
	if (store_is_large(m->store))
		check_store(m);
	t = calloc(1, sizeof(*t));
	if (!t || asprintf(&path, "%s/vms", m->state_dir) < 0) {
		free(t);
		path = NULL;
		return;
	}
	t->manager = m;
	t->dir = opendir(path);
	if (!t->dir) {
		free(t);
		return;
	}
	uv_timer_init(m->loop, &t->timer);
	t->timer.data = t;
	m->tidy = t;
	uv_timer_start(&t->timer, timer_cb, PAUSE_MS, PAUSE_MS);
}

void tidy_stop(struct manager *m)
{
	if (m->check)
		m->check->manager = NULL;
	m->check = NULL;
	dirs_done(m);
}
