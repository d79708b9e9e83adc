/* disk.resize: the image first, then the guest. */
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "daemon/resource.h"
#include "daemon/supervisor_link.h"
#include "daemon/vm_devices.h"
#include "lib/base/fd.h"
#include "lib/base/parse.h"

#define TIMEOUT_MS 10000
#define SECTOR	   512

struct resize_op {
	struct api_call *call;
	char id[VM_DEVICE_ID_MAX + 1];
	uint64_t before, size;
};

static const struct disk_config *find_disk(struct vm *vm, const char *id,
					   struct error *e)
{
	for (size_t i = 0; i < vm->config.n_disks; i++)
		if (streq(vm->config.disks[i].id, id))
			return &vm->config.disks[i];
	error_set(e, -ENOENT,
		  "the definition of %s has no disk \"%.64s\"; see: armvmctl "
		  "disk list %s",
		  vm->config.name, id, vm->config.name);
	return NULL;
}

static int size_of(int fd, const struct disk_config *d, bool *ret_file,
		   uint64_t *ret, struct error *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(e, -errno, "disk \"%s\": %m", d->path);
	*ret_file = S_ISREG(st.st_mode);
	*ret = (uint64_t)st.st_size;
	if (!*ret_file && ioctl(fd, BLKGETSIZE64, ret) < 0)
		return error_set(e, -errno, "disk \"%s\": %m", d->path);
	return 0;
}

static int check_size(const struct disk_config *d, bool file, uint64_t before,
		      uint64_t size, bool force, struct error *e)
{
	char have[16], want[16];

	if (!file)
		return error_set(e, -EINVAL,
				 "size: \"%s\" is a block device; resize it "
				 "where it comes from, then use rescan",
				 d->path);
	if (d->readonly)
		return error_set(e, -EINVAL,
				 "disk \"%s\" is read-only; its size can only "
				 "be rescanned",
				 d->id);
	if (size == 0 || size % SECTOR != 0)
		return error_set(e, -EINVAL,
				 "size: %llu is not a multiple of %d bytes",
				 (unsigned long long)size, SECTOR);
	if (size < before && !force)
		return error_set(
			e, -EINVAL,
			"size: disk \"%s\" has %s; %s would cut off what is "
			"behind it, which takes force",
			d->id, format_size(before, have, sizeof(have)),
			format_size(size, want, sizeof(want)));
	return 0;
}

/* Give the image its size, or find out what it is. `size` 0: rescan. */
static int resize_image(struct vm *vm, const struct disk_config *d,
			uint64_t size, bool force, struct resize_op *op,
			struct error *e)
{
	_cleanup_close_ int fd = -1;
	bool file;
	/* A running VM has locked it already. */
	int r = resources_disk_open(d, !vm_state_active(vm->state), &fd, e);

	if (r == 0)
		r = size_of(fd, d, &file, &op->before, e);
	if (r == 0 && size)
		r = check_size(d, file, op->before, size, force, e);
	if (r == 0 && size && ftruncate(fd, (off_t)size) < 0)
		r = error_set(e, -errno, "cannot resize \"%s\": %m", d->path);
	op->size = size ? size : op->before;
	return r;
}

static void answer(struct vm *vm, struct resize_op *op)
{
	json_object *result = json_object_new_object();
	char detail[128], size[16];

	snprintf(detail, sizeof(detail), "disk \"%s\" has %s", op->id,
		 format_size(op->size, size, sizeof(size)));
	vm_event(vm, "resize", detail);
	json_object_object_add(result, "id", json_object_new_string(op->id));
	json_object_object_add(result, "size",
			       json_object_new_uint64(op->size));
	json_object_object_add(result, "previous",
			       json_object_new_uint64(op->before));
	api_call_reply(op->call, result, -1);
}

static void resized_cb(struct vm *vm, void *cookie, json_object *reply,
		       int *fds, size_t n_fds, const struct error *e)
{
	_cleanup_free_ struct resize_op *op = cookie;

	if (e)
		api_call_fail(op->call, e);
	else
		answer(vm, op);
}

static int tell_guest(struct vm *vm, const struct resize_op *op,
		      struct error *e)
{
	struct resize_op *later = malloc(sizeof(*later));
	json_object *body;

	if (!later)
		return error_set(e, -ENOMEM, "out of memory");
	*later = *op;
	body = json_object_new_object();
	json_object_object_add(body, "device", json_object_new_string(op->id));
	link_request(vm->supervisor, "resize", body, NULL, 0, TIMEOUT_MS,
		     resized_cb, later);
	return 0;
}

void vm_disk_resize(struct vm *vm, const struct disk_resize *p,
		    struct api_call *call)
{
	struct error e = ERROR_INIT;
	const struct disk_config *d = find_disk(vm, p->id, &e);
	struct resize_op op = {.call = call};
	int r = d ? 0 : -ENOENT;

	if (r == 0 && !p->rescan == !p->size)
		r = error_set(&e, -EINVAL, "give either size or rescan");
	if (r == 0 && vm_state_active(vm->state))
		r = vm_request_check(vm->config.name, vm->state,
				     VM_REQUEST_HOTPLUG, &e);
	if (r == 0) {
		snprintf(op.id, sizeof(op.id), "%s", d->id);
		r = resize_image(vm, d, p->size, p->force, &op, &e);
	}
	if (r == 0 && vm->supervisor)
		r = tell_guest(vm, &op, &e);
	else if (r == 0)
		answer(vm, &op);
	if (r < 0)
		api_call_fail(call, &e);
}
