#include "daemon/vm_restore.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "api/api.h"
#include "daemon/job.h"
#include "daemon/resource.h"
#include "daemon/supervisor_link.h"
#include "daemon/vm_files.h"
#include "daemon/vm_nvram.h"
#include "daemon/vm_run.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/image/disk.h"

#define THAW_TIMEOUT_MS 45000

struct restore_op {
	struct api_call *call;
	bool created, paused, frozen;
	/* Of a VM that was there, to be put back. */
	json_object *before;
	int64_t revision;
	uint8_t *image;
	struct uefi_vars vars;
};

static void op_free(struct restore_op *op)
{
	json_object_put(op->before);
	free(op->image);
	uefi_vars_done(&op->vars);
	free(op);
}

int vm_restore_open(const char *path, int *ret_fd, struct snapshot_lead *ret,
		    struct error *e)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (path[0] != '/')
		return error_set(e, -EINVAL,
				 "path: \"%s\" is not an absolute path", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_set(e, -errno, "cannot open snapshot %s: %m",
				 path);
	r = snapshot_lead_read(fd, ret, e);
	if (r < 0)
		return error_prefix(e, r, "%s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Its content is the guest's memory's other half: it must be what it was. */
static int check_disk(const struct snapshot_disk *was,
		      const struct disk_config *d, bool changed_ok,
		      struct error *e)
{
	_cleanup_close_ int fd = -1;
	struct disk disk;
	struct stat st;
	uint64_t modified;
	int r = resources_disk_open(d, false, &fd, e);

	if (r == 0 && fstat(fd, &st) < 0)
		r = error_set(e, -errno, "disk \"%s\": %m", d->path);
	if (r == 0)
		r = disk_init(&disk, fd, d->path, e);
	if (r < 0)
		return r;
	if (disk.size_bytes != was->size)
		return error_set(e, -EINVAL,
				 "disk \"%s\" has %llu bytes; it had %llu when "
				 "the snapshot was saved",
				 d->path, (unsigned long long)disk.size_bytes,
				 (unsigned long long)was->size);
	modified = (uint64_t)st.st_mtim.tv_sec * 1000000000u +
		   (uint64_t)st.st_mtim.tv_nsec;
	if (!changed_ok && S_ISREG(st.st_mode) && was->modified_ns &&
	    modified != was->modified_ns)
		return error_set_code(
			e, ERROR_CONFLICT,
			"disk \"%s\" was written to since the snapshot was "
			"saved; put back the one of then, and say so with "
			"changed_disks",
			d->path);
	return 0;
}

static const struct snapshot_disk *disk_of(const struct snapshot_meta *meta,
					   const char *id)
{
	for (size_t i = 0; i < meta->n_disks; i++)
		if (streq(meta->disks[i].id, id))
			return &meta->disks[i];
	return NULL;
}

static int check_disks(const struct snapshot_meta *meta,
		       const struct vm_config *c, bool changed_ok,
		       struct error *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n_disks; i++) {
		const struct snapshot_disk *was = disk_of(meta, c->disks[i].id);

		r = was ? check_disk(was, &c->disks[i], changed_ok, e)
			: error_set(e, -EBADMSG,
				    "the snapshot says nothing of its disk "
				    "\"%s\"",
				    c->disks[i].id);
	}
	return r;
}

/* The supervisor judges again, by what the machine itself was recorded with. */
static int check_host(const struct manager *m, const struct snapshot_meta *meta,
		      const struct vm_config *c, struct error *e)
{
	int hypervisor, r;

	r = resources_hypervisor(m, c->hypervisor, &hypervisor, e);
	if (r < 0)
		return r;
	if (hypervisor == VM_HYPERVISOR_XEN)
		return error_set(e, -EOPNOTSUPP,
				 "it cannot be restored here: Xen on ARM "
				 "neither saves nor restores domains");
	if (!streq(meta->hypervisor,
		   hypervisor == VM_HYPERVISOR_KVM ? "kvm" : "null"))
		return error_set(e, -EOPNOTSUPP,
				 "it was saved on the hypervisor \"%s\", which "
				 "is not what it would have here",
				 meta->hypervisor);
	return meta->abi_known && m->caps_known
		       ? host_caps_provide(&m->caps, &meta->abi, e)
		       : 0;
}

/* What it ran with, where that was not its definition. */
static int read_devices(const struct snapshot_lead *l, struct vm_config *ret,
			struct error *e)
{
	_cleanup_json_ json_object *config = NULL;
	json_object *list = NULL;

	if (!l->meta.devices)
		return vm_config_from_json(l->definition, ret, e);
	if (json_object_deep_copy(l->definition, &config, NULL) < 0)
		return error_set(e, -ENOMEM, "out of memory");
	json_object_object_get_ex(l->meta.devices, "disks", &list);
	json_object_object_add(config, "disks", json_object_get(list));
	list = NULL;
	json_object_object_get_ex(l->meta.devices, "nics", &list);
	json_object_object_add(config, "nics", json_object_get(list));
	return vm_config_from_json(config, ret, e);
}

/* *ret_text is what is stored of it, and *ret_run what it is started as. */
static int judge(struct manager *m, const struct restore_request *q,
		 struct snapshot_lead *l, struct vm_config *ret,
		 json_object **ret_text, struct vm_config *ret_run,
		 struct error *e)
{
	int r;

	if (!json_object_is_type(l->definition, json_type_object))
		return error_set(e, -EBADMSG,
				 "the snapshot's definition is none");
	if (q->new_name)
		json_object_object_add(l->definition, "name",
				       json_object_new_string(q->new_name));
	r = vm_config_from_json(l->definition, ret, e);
	if (r == 0)
		r = read_devices(l, ret_run, e);
	if (r == 0)
		r = check_host(m, &l->meta, ret, e);
	if (r == 0)
		r = check_disks(&l->meta, ret_run, q->changed_disks, e);
	if (r == 0)
		r = resources_check(m, ret_run, e);
	if (r < 0)
		return r;
	*ret_text = vm_config_to_json(ret);
	return *ret_text ? 0 : error_set(e, -ENOMEM, "out of memory");
}

/* Remember what is replaced. */
static int keep_before(struct restore_op *op, struct vm *vm, struct error *e)
{
	op->revision = vm->revision;
	op->before = vm_config_to_json(&vm->config);
	op->image = malloc(VARSTORE_SIZE);
	if (!op->before || !op->image)
		return error_set(e, -ENOMEM, "out of memory");
	return vm_nvram_image(vm, op->image, &op->vars, e);
}

static int redefine(struct vm *vm, json_object *text, const uint8_t *image,
		    const struct uefi_vars *vars, struct error *e)
{
	_cleanup_vm_config_ struct vm_config config = {0};
	int64_t revision;
	int r = vm_config_from_json(text, &config, e);

	if (r == 0)
		r = store_vm_update(vm->manager->store, vm->id, config.name,
				    json_text(text), &revision, e);
	if (r < 0)
		return r;
	vm_redefine(vm, &config, revision);
	return vm_nvram_replace(vm, image, vars, e);
}

static int define(struct manager *m, struct restore_op *op,
		  const struct vm_config *config, json_object *text,
		  const struct snapshot_lead *l, struct vm **ret,
		  struct error *e)
{
	int64_t id;
	int r = store_vm_id(m->store, config->uuid, &id, NULL);

	op->created = r < 0;
	if (r < 0)
		r = store_vm_add(m->store, config->uuid, config->name,
				 json_text(text), &id, e);
	if (r < 0)
		return r;
	*ret = vm_by_id(m, id, e);
	if (!*ret)
		return -e->err;
	if (op->created)
		return vm_nvram_replace(*ret, l->image, &l->vars, e);
	r = vm_request_check((*ret)->config.name, (*ret)->state,
			     VM_REQUEST_RESTORE, e);
	if (r == 0)
		r = keep_before(op, *ret, e);
	return r < 0 ? r : redefine(*ret, text, l->image, &l->vars, e);
}

static void thawed_cb(struct vm *vm, void *cookie, json_object *reply, int *fds,
		      size_t n_fds, const struct error *e)
{
	if (e)
		vm_event(vm, "thaw-failed", e->message);
}

/* It was saved with its file systems frozen. */
static void thaw(struct vm *vm)
{
	json_object *body = json_object_new_object();

	json_object_object_add(body, "command", json_object_new_string("thaw"));
	link_request(vm->supervisor, "agent", body, NULL, 0, THAW_TIMEOUT_MS,
		     thawed_cb, NULL);
}

static void undo(struct vm *vm, struct restore_op *op)
{
	struct manager *m = vm->manager;
	struct error e = ERROR_INIT;
	int r;

	if (op->created) {
		vm_files_remove(vm);
		(void)!manager_event(m, vm, "deleted", NULL);
		r = store_vm_delete(m->store, vm->id, &e);
	} else {
		r = redefine(vm, op->before, op->image, &op->vars, &e);
	}
	if (r < 0)
		log_vm(LOG_LEVEL_ERROR, vm->config.name,
		       "after a restore that failed: %s", e.message);
}

static void started_cb(struct vm *vm, void *cookie, const struct error *e)
{
	struct restore_op *op = cookie;

	if (e) {
		undo(vm, op);
		api_call_fail(op->call, e);
	} else {
		vm_event(vm, "restored", "");
		if (op->frozen && !op->paused && vm->supervisor)
			thaw(vm);
		api_call_reply(op->call, vm_to_json(vm, false), -1);
	}
	op_free(op);
}

/* What was stored is not: nor is what is in memory. */
static void forget(struct restore_op *op, struct vm *vm)
{
	struct vm_config config = {0};

	if (vm && op->before &&
	    vm_config_from_json(op->before, &config, NULL) == 0)
		vm_redefine(vm, &config, op->revision);
}

static int prepare(struct manager *m, const struct restore_request *q,
		   struct restore_op *op, int *ret_fd,
		   struct vm_config *ret_run, struct vm **ret, struct error *e)
{
	_cleanup_snapshot_lead_ struct snapshot_lead l = {0};
	_cleanup_vm_config_ struct vm_config config = {0};
	_cleanup_json_ json_object *text = NULL;
	int r = vm_restore_open(q->path, ret_fd, &l, e);

	if (r == 0)
		r = judge(m, q, &l, &config, &text, ret_run, e);
	if (r == 0)
		r = store_begin(m->store, e);
	if (r < 0)
		return r;
	op->frozen = l.meta.frozen;
	op->paused = q->paused || l.meta.paused;
	r = define(m, op, &config, text, &l, ret, e);
	if (r == 0)
		r = manager_event(m, *ret, op->created ? "defined" : "updated",
				  NULL);
	if (r == 0)
		r = store_commit(m->store, e);
	if (r < 0) {
		store_rollback(m->store);
		forget(op, *ret);
	}
	return r;
}

void vm_restore(struct manager *m, const struct restore_request *q,
		struct api_call *call)
{
	struct restore_op *op = calloc(1, sizeof(*op));
	_cleanup_vm_config_ struct vm_config run = {0};
	struct vm_start_from from = {.config = &run};
	_cleanup_close_ int fd = -1;
	struct error e = ERROR_INIT;
	struct vm *vm = NULL;
	int r = op ? prepare(m, q, op, &fd, &run, &vm, &e)
		   : error_set(&e, -ENOMEM, "out of memory");

	if (r < 0) {
		api_call_fail(call, &e);
		if (op)
			op_free(op);
		return;
	}
	op->call = call;
	job_about(m, call, vm);
	from.snapshot_fd = fd;
	from.paused = op->paused;
	vm_start_from(vm, &from, started_cb, op);
}

struct vm *vm_restore_find(struct manager *m, const char *path)
{
	_cleanup_snapshot_lead_ struct snapshot_lead l = {0};
	_cleanup_close_ int fd = -1;
	json_object *uuid = NULL;

	if (!*path || vm_restore_open(path, &fd, &l, NULL) < 0)
		return NULL;
	json_object_object_get_ex(l.definition, "uuid", &uuid);
	return json_object_is_type(uuid, json_type_string)
		       ? vm_find(m, json_object_get_string(uuid), NULL)
		       : NULL;
}

void vm_restore_undo(struct vm *vm, int64_t began_ms)
{
	struct restore_op op = {.created = true};
	struct store_vm row = {0};

	if (vm &&
	    store_vm_get_id(vm->manager->store, vm->id, &row, NULL) == 0 &&
	    row.created_ms >= began_ms)
		undo(vm, &op);
	store_vm_done(&row);
}
