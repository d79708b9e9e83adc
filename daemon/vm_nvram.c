#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "daemon/supervisor_link.h"
#include "daemon/turn.h"
#include "daemon/vm_files.h"
#include "daemon/vm_nvram.h"
#include "lib/base/fd.h"
#include "lib/base/log.h"
#include "lib/uefi/varstore.h"
#include "lib/wire/spill.h"

/* Writable by both sides, but of one size for good: the daemon may read it
 * without fear of a truncation. */
#define NVRAM_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

bool vm_nvram_fd_valid(int fd)
{
	struct stat st;

	return fcntl(fd, F_GET_SEALS) == NVRAM_SEALS && fstat(fd, &st) == 0 &&
	       st.st_size == VARSTORE_SIZE;
}

/* The decoded rows to store along, or NULL while the firmware is in the
 * middle of rewriting its store: the rows then stay as they were. */
static const struct uefi_vars *decode(struct vm *vm, const uint8_t *image,
				      struct uefi_vars *vars)
{
	struct error why = ERROR_INIT;

	switch (varstore_read(image, VARSTORE_SIZE, vars, &why)) {
	case VARSTORE_VALID:
		return vars;
	case VARSTORE_CORRUPT:
		log_vm(LOG_LEVEL_WARNING, vm->config.name,
		       "its variable store cannot be decoded: %s", why.message);
		return NULL;
	case VARSTORE_BLANK:
	case VARSTORE_MOVING:
		return NULL;
	}
	return NULL;
}

static int store_image(struct vm *vm, const uint8_t *image, uint64_t offset,
		       uint64_t size, struct error *e)
{
	struct uefi_vars vars = {0};
	int r;

	r = store_nvram_commit(vm->manager->store, vm->id, image, VARSTORE_SIZE,
			       offset, size, decode(vm, image, &vars), "guest",
			       e);
	uefi_vars_done(&vars);
	return r;
}

static int load_image(struct vm *vm, uint8_t *image, uint64_t *ret_blocks,
		      struct error *e)
{
	int r = varstore_write(NULL, image, VARSTORE_SIZE, e);

	if (r < 0)
		return r;
	return store_nvram_load(vm->manager->store, vm->id, image,
				VARSTORE_SIZE, ret_blocks, e);
}

int vm_nvram_open(struct vm *vm, int *ret_fd, struct error *e)
{
	_cleanup_free_ uint8_t *image = malloc(VARSTORE_SIZE);
	_cleanup_close_ int fd = -1;
	uint64_t blocks;
	int r;

	if (!image)
		return error_set(e, -ENOMEM, "out of memory");
	r = vm_nvram_replay(vm, e);
	if (r == 0)
		r = load_image(vm, image, &blocks, e);
	/* The first start writes the whole store, so that every later image
	 * is made of stored blocks alone. */
	if (r == 0 && blocks == 0)
		r = store_image(vm, image, 0, VARSTORE_SIZE, e);
	if (r < 0)
		return r;
	fd = memfd_create("armvm-nvram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return error_set(e, -errno, "cannot make a memfd: %m");
	r = fd_pwrite_full(fd, image, VARSTORE_SIZE, 0);
	if (r < 0 || fcntl(fd, F_ADD_SEALS, NVRAM_SEALS) < 0)
		return error_set(e, r < 0 ? r : -errno,
				 "cannot fill the variable store's memory");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int vm_nvram_commit(struct vm *vm, int fd, uint64_t offset, uint64_t size,
		    struct error *e)
{
	_cleanup_free_ uint8_t *image = malloc(VARSTORE_SIZE);
	uint64_t end;
	int r;

	if (__builtin_add_overflow(offset, size, &end) || end > VARSTORE_SIZE)
		return error_set(
			e, -EINVAL,
			"a variable store update at %llu of %llu bytes "
			"lies outside the store",
			(unsigned long long)offset, (unsigned long long)size);
	if (!image)
		return error_set(e, -ENOMEM, "out of memory");
	if (fd < 0)
		return error_set(e, -EBADF, "the variable store is not here");
	/* One copy, then judged: the other side may go on changing it. */
	r = fd_pread_full(fd, image, VARSTORE_SIZE, 0);
	if (r < 0)
		return error_set(e, r, "cannot read the variable store: %s",
				 strerror(-r));
	r = store_image(vm, image, offset, size, e);
	if (r == 0)
		log_vm(LOG_LEVEL_DEBUG, vm->config.name,
		       "%llu bytes at %llu of its variable store are stored",
		       (unsigned long long)size, (unsigned long long)offset);
	return r;
}

int vm_nvram_spill_open(struct vm *vm, int *ret_fd, struct error *e)
{
	_cleanup_close_ int fd = -1;
	int r = vm_files_open(vm, "nvram.spill", 0600, &fd, e);

	if (r < 0)
		return r;
	if (fcntl(fd, F_SETFL, O_APPEND) < 0)
		return error_set(e, -errno, "spill file: %m");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

struct replay {
	struct vm *vm;
	uint8_t *image;
	struct error *e;
};

static int replay_one(void *cookie, uint64_t seq, uint64_t offset,
		      const void *data, uint64_t size)
{
	struct replay *rp = cookie;

	memcpy(rp->image + offset, data, size);
	return store_image(rp->vm, rp->image, offset, size, rp->e);
}

/* The replayed updates are durable: they need not be replayed again. */
static void replayed_cb(struct manager *m, const struct turn_note *note,
			const struct error *why)
{
	struct vm *vm = vm_in_memory(m, note->vm_id);
	_cleanup_close_ int fd = -1;
	struct error e = ERROR_INIT;
	struct stat st;

	if (why && vm && vm->supervisor)
		vm->supervisor->replay_due = true;
	if (why || !vm || vm_nvram_spill_open(vm, &fd, &e) < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size == note->number &&
	    ftruncate(fd, 0) < 0)
		log_vm(LOG_LEVEL_ERROR, vm->config.name,
		       "cannot empty the spill file: %m");
}

int vm_nvram_replay(struct vm *vm, struct error *e)
{
	struct turn_note note = {.vm_id = vm->id};
	_cleanup_free_ uint8_t *image = malloc(VARSTORE_SIZE);
	struct replay rp = {.vm = vm, .image = image, .e = e};
	_cleanup_close_ int fd = -1;
	uint64_t blocks, count = 0;
	struct stat st;
	int r;

	if (!image)
		return error_set(e, -ENOMEM, "out of memory");
	r = vm_nvram_spill_open(vm, &fd, e);
	if (r < 0)
		return r;
	if (fstat(fd, &st) == 0 && st.st_size == 0)
		return 0;
	r = load_image(vm, image, &blocks, e);
	if (r == 0)
		r = spill_replay(fd, VARSTORE_SIZE, replay_one, &rp, &count, e);
	if (r < 0)
		return r;
	log_vm(LOG_LEVEL_INFO, vm->config.name,
	       "%llu variable store updates made while armvmd was away are "
	       "now stored",
	       (unsigned long long)count);
	note.number = st.st_size;
	turn_after(vm->manager, replayed_cb, &note);
	return 0;
}

int vm_nvram_image(struct vm *vm, uint8_t *image, struct uefi_vars *ret_vars,
		   struct error *e)
{
	uint64_t blocks;
	int r = vm_nvram_replay(vm, e);

	if (r == 0)
		r = load_image(vm, image, &blocks, e);
	return r < 0 ? r
		     : store_vars_list(vm->manager->store, vm->id, ret_vars,
				       NULL, e);
}

int vm_nvram_replace(struct vm *vm, const uint8_t *image,
		     const struct uefi_vars *vars, struct error *e)
{
	struct uefi_vars own = {0};
	const struct uefi_vars *decoded;
	/* What is in the spill file is of the store that goes. */
	int r = vm_nvram_replay(vm, e);

	decoded = decode(vm, image, &own);
	if (r == 0)
		r = store_nvram_commit(vm->manager->store, vm->id, image,
				       VARSTORE_SIZE, 0, VARSTORE_SIZE,
				       decoded ? decoded : vars, "operator", e);
	uefi_vars_done(&own);
	return r;
}
